"""A stage that is looked at trains as one that is not, bit for bit, whatever its reward draws."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interlace.pipeline import run_recipe
from interlace.policies import load_policy
from interlace.probes.instruments import Instruments
from interlace.recipe import Recipe
from interlace.tasks import Task, build_task

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 16, "attention_dropout": 0.3}
ADDITION = {"kind": "addition", "digits": 1, "error_kind": "off_by_one", "heldout": 12}


def restless_task() -> Task:
    """Its reward draws from every global generator, as a user's may, and must be sampled."""
    task = build_task("sums", dict(ADDITION), 0)

    def reward(completions: list[str], **columns: Any) -> list[float]:
        random.random()
        np.random.rand()  # noqa: NPY002
        torch.rand(1)
        return [float(len(text) % 2) for text in completions]

    heldout = tuple(replace(example, rewarded=None) for example in task.heldout)
    return replace(task, reward=reward, heldout=heldout)


def trained(base: Path, every: int, preset: str) -> dict[str, Any]:
    """Everything that a stage of RL leaves in its last checkpoint."""
    rl = {"task": "sums", "max_steps": 4, "save_steps": 4, "learning_rate": 1e-2}
    recipe = Recipe.model_validate(
        {
            "name": "restless",
            "model_options": SMALL,
            "tasks": {"sums": ADDITION},
            "stages": [{"rl": {**rl, "per_device_train_batch_size": 8, "num_generations": 8}}],
            "measure": {"every": every, "preset": preset, "completions": 2},
        }
    )
    (folder,) = run_recipe(recipe, base, tasks={"sums": restless_task()})
    checkpoint = folder / "stages" / "01-rl" / "checkpoint-4"
    generators = torch.load(checkpoint / "rng_state.pth", weights_only=False)
    weights = load_policy(str(checkpoint)).model.state_dict()
    return {**weights, "cpu": generators["cpu"], "numpy": torch.as_tensor(generators["numpy"][1].astype(np.int64))}


@pytest.mark.parametrize(("every", "preset"), [(1, "light"), (3, "full")])
def test_looks_change_nothing_though_the_reward_draws(
    every: int, preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = trained(tmp_path / "looked", every, preset)
    for method in ("look", "show", "remember", "see_micro_batch"):
        monkeypatch.setattr(Instruments, method, lambda *_, **__: None)
    alone = trained(tmp_path / "alone", every, preset)
    assert looked.keys() == alone.keys()
    assert all(torch.equal(looked[name], alone[name]) for name in looked)
