"""samples/*.parquet: the held-out set of each task, and what each prompt contributed at each measured point."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from interlace.measurement import GradientProducts, HeldOut, Point, PromptScores

PRODUCTS = ("loss", "reward", "cross")
ON_COMPLETIONS = ("lenient_rewards", "strict_rewards")
"""Rewards of the same sampled completions; records from before they were kept have neither."""


def write_heldout(folder: Path, heldout: HeldOut) -> None:
    """Keep a task's held-out set; one row a (prompt, expert response) pair."""
    columns = {name: getattr(heldout, name) for name in ("prompt", "probability", "reward", "num_tokens")}
    metadata = {
        "num_prompts": str(heldout.num_prompts),
        "expert_is_known": str(heldout.expert_is_known),
        "task": heldout.task,
    }
    _write(pa.table(columns).replace_schema_metadata(metadata), folder / f"heldout-{heldout.task}.parquet")


def read_heldout(path: Path) -> HeldOut:
    """The inverse of `write_heldout`."""
    table = pq.read_table(path)
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    return HeldOut(
        task=metadata["task"],
        num_prompts=int(metadata["num_prompts"]),
        expert_is_known=metadata["expert_is_known"] == "True",
        **{name: table[name].to_numpy() for name in ("prompt", "probability", "reward", "num_tokens")},
    )


def scores_path(folder: Path, point: Point) -> Path:
    """Where the contributions at `point` are kept."""
    weights = point.weights if point.position is None else f"{point.weights}-{point.position:g}"
    return folder / point.stage / f"{point.step:06d}-{weights}-{point.task}.parquet"


def write_scores(folder: Path, point: Point, scores: PromptScores) -> None:
    """Keep the contributions at `point`; arrays of unequal length share one row, so nothing is padded."""
    columns: dict[str, Any] = {"reward_is_exact": [scores.reward_is_exact]}
    for name in ("expert_logprobs", "reward_values", "reward_probabilities", "kl", *ON_COMPLETIONS):
        values = getattr(scores, name)
        if values is not None:
            columns[name] = pa.array([values.ravel()], type=pa.list_(pa.float64()))
    if scores.reward_values is not None:
        columns["atoms"] = [scores.reward_values.shape[1]]
    if scores.lenient_rewards is not None:
        columns["completions"] = [scores.lenient_rewards.shape[1]]
    if scores.gradients is not None:
        for name in PRODUCTS:
            columns[f"{name}_products"] = pa.array([getattr(scores.gradients, name).ravel()], pa.list_(pa.float64()))
    path = scores_path(folder, point)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(pa.table(columns), path)


def read_scores(folder: Path, point: Point) -> PromptScores:
    """The inverse of `write_scores`. Raises KeyError if nothing was measured at `point`."""
    path = scores_path(folder, point)
    if not path.exists():
        raise KeyError(point)
    row = pq.read_table(path)
    held = set(row.column_names)

    def array(name: str, width: str | None = None) -> np.ndarray | None:
        if name not in held:
            return None
        values = np.asarray(row[name][0].values.to_numpy(zero_copy_only=False))
        return values if width is None else values.reshape(-1, row[width][0].as_py())

    products = [array(f"{name}_products") for name in PRODUCTS]
    return PromptScores(
        expert_logprobs=array("expert_logprobs"),
        reward_values=array("reward_values", "atoms"),
        reward_probabilities=array("reward_probabilities", "atoms"),
        reward_is_exact=row["reward_is_exact"][0].as_py(),
        kl=array("kl"),
        gradients=_products(*products),
        lenient_rewards=array("lenient_rewards", "completions"),
        strict_rewards=array("strict_rewards", "completions"),
    )


def _products(loss: np.ndarray | None, reward: np.ndarray | None, cross: np.ndarray | None) -> GradientProducts | None:
    if loss is None or reward is None or cross is None:
        return None
    rows, columns = math.isqrt(loss.size), math.isqrt(reward.size)
    return GradientProducts(loss.reshape(rows, rows), reward.reshape(columns, columns), cross.reshape(rows, columns))


def _write(table: pa.Table, path: Path) -> None:
    """Whole or not at all: written beside and moved into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    pq.write_table(table, partial)
    os.replace(partial, path)
