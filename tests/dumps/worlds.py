"""A tabular policy that moves exactly on the RL path, and dumps of what it samples, shaped as writers shape them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

Row = dict[str, Any]


@dataclass(frozen=True)
class World:
    """Prompts answered right or wrong; at RL time tau a pass rate p is p e^tau / (1 - p + p e^tau) (A1).

    `start`: pass rates of a large population of prompts; `times`: the RL time at each step; `expert`: R_D.
    """

    start: np.ndarray
    times: np.ndarray
    expert: float

    def rates(self, step: int, start: np.ndarray | None = None) -> np.ndarray:
        start = self.start if start is None else start
        tilted = start * np.exp(self.times[step])
        return tilted / (1.0 - start + tilted)

    @property
    def reward(self) -> np.ndarray:
        return np.array([self.rates(step).mean() for step in range(len(self.times))])

    @property
    def sft_change(self) -> np.ndarray:
        """A1, exactly: E log Z - tau R_D."""
        return np.array([np.log1p(self.start * np.expm1(tau)).mean() - tau * self.expert for tau in self.times])

    @property
    def parity(self) -> float:
        return float(np.interp(self.expert, self.reward, np.arange(len(self.times))))


def world(steps: int, last: float, *, expert: float = 0.55, seed: int = 0) -> World:
    logits = np.random.default_rng(seed).normal(-0.4, 1.5, 100_000)
    eased = 1.0 - np.exp(-3.0 * np.arange(steps) / max(steps - 1, 1))
    times = last * eased / eased[-1] if steps > 1 else np.zeros(1)
    return World(1.0 / (1.0 + np.exp(-logits)), times, expert)


def rollouts(
    made: World, rng: np.random.Generator, *, prompts: int, samples: int, pool: int | None = None
) -> list[Row]:
    """Rows of step, prompt, completion and reward; with `pool`, prompts of each step are drawn from so many."""
    chosen = rng.choice(len(made.start), pool, replace=False) if pool else None
    rows: list[Row] = []
    for step in range(len(made.times)):
        drawn = rng.choice(len(made.start) if chosen is None else chosen, prompts, replace=False)
        right = rng.random((prompts, samples)) < made.rates(step, made.start[drawn])[:, None]
        rows += [
            {"step": step, "prompt": f"question {prompt}", "completion": f"answer {i} of {step}", "reward": float(hit)}
            for prompt, hits in zip(drawn, right, strict=True)
            for i, hit in enumerate(hits)
        ]
    return rows


def by_step(rows: Sequence[Row]) -> dict[int, list[Row]]:
    steps = dict.fromkeys(row["step"] for row in rows)
    return {step: [row for row in rows if row["step"] == step] for step in steps}


def write_lines(path: Path, rows: Sequence[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_trl(folder: Path, rows: Sequence[Row]) -> None:
    for step, part in by_step(rows).items():
        mean = np.mean([row["reward"] for row in part])
        table = [
            {"step": step, "prompt": row["prompt"], "completion": row["completion"], "right": row["reward"],
             "advantage": row["reward"] - mean}
            for row in part
        ]  # fmt: skip
        path = folder / "completions" / f"completions_{step:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pa.parquet.write_table(pa.Table.from_pylist(table), path)


def write_verl(folder: Path, rows: Sequence[Row]) -> None:
    for step, part in by_step(rows).items():
        lines = [
            {"input": row["prompt"], "output": row["completion"], "gts": "4", "score": row["reward"], "step": step,
             "acc": row["reward"] > 0}
            for row in part
        ]  # fmt: skip
        write_lines(folder / f"{step}.jsonl", lines)


def write_prime_rl(folder: Path, rows: Sequence[Row]) -> None:
    for step, part in by_step(rows).items():
        lines = [
            {"example_id": 1, "prompt": [{"role": "user", "content": row["prompt"]}],
             "completion": [{"role": "assistant", "content": row["completion"]}], "reward": row["reward"],
             "metrics": {"right": row["reward"]}, "is_completed": True, "is_truncated": False, "advantage": None}
            for row in part
        ]  # fmt: skip
        write_lines(folder / "rollouts" / f"step_{step}" / "train_rollouts.jsonl", lines)


def write_episodes(folder: Path, rows: Sequence[Row]) -> None:
    for step, part in by_step(rows).items():
        lines = [_episode(row, step) for row in part]
        train = folder / "rollouts" / f"step_{step}" / "train"
        write_lines(train / "all" / "traces.jsonl", lines)
        write_lines(train / "effective" / "traces.jsonl", lines[: len(lines) // 2])


def _episode(row: Row, step: int) -> Row:
    task = {"type": "Task", "data": {"prompt": row["prompt"]}, "key": row["prompt"]}
    trace = {"id": row["completion"], "task": task, "agent": {"name": "solver"}, "ok": True,
             "rewards": {"right": {"score": 2.0 * row["reward"], "weight": 0.5}}}  # fmt: skip
    work = {"type": "train", "step": step}
    return {"id": "e", "env": {"id": "sums"}, "task": task, "ok": True, "traces": [trace],
            "run": {"type": "train", "id": "r", "work": work}}  # fmt: skip


def write_traces(folder: Path, rows: Sequence[Row]) -> None:
    for step, part in by_step(rows).items():
        lines = [
            {"id": row["completion"], "task": {"type": "Task", "data": {"prompt": row["prompt"]}}, "nodes": [],
             "rewards": {"right": row["reward"]}, "metrics": {}, "info": {"prime_rl": {"env_name": "sums"}}}
            for row in part
        ]  # fmt: skip
        write_lines(folder / "rollouts" / f"step_{step}" / "train_rollouts.jsonl", lines)


def write_nemo(folder: Path, rows: Sequence[Row]) -> None:
    for step, part in by_step(rows).items():
        lines = [
            {"content": [[row["prompt"], row["completion"]]], "rewards": [row["reward"]], "input_lengths": [7],
             "token_ids": [[1, 2, 3]], "advantages": [[0.0, 0.0, row["reward"] - 0.5]], "idx": i}
            for i, row in enumerate(part)
        ]  # fmt: skip
        write_lines(folder / f"train_data_step{step}.jsonl", lines)


WRITE: dict[str, Callable[[Path, Sequence[Row]], None]] = {
    "TRL": write_trl,
    "verl": write_verl,
    "prime-rl": write_prime_rl,
    "prime-rl traces": write_traces,
    "prime-rl episodes": write_episodes,
    "NeMo-RL": write_nemo,
}
