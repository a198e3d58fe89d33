"""The order of prompts of a GRPO trainer that is resumed in a later pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from trl.trainer.utils import RepeatSampler

from interlace.stages import load_stage
from interlace.stages.prompt_order import PromptOrder
from tests.stages.worlds import GRPO, trainer, weights_of


def order(passed: list[int]) -> PromptOrder:
    return PromptOrder(RepeatSampler(range(5), mini_repeat_count=2, batch_size=2, seed=3), lambda: passed[0])


def test_unbroken_it_is_trls_order() -> None:
    passed = [0]
    plain, ours = RepeatSampler(range(5), mini_repeat_count=2, batch_size=2, seed=3), order(passed)
    for passed[0] in range(4):
        assert list(ours) == list(plain) and len(ours) == len(plain) == 8


@pytest.mark.parametrize("first", [1, 2, 3])
def test_resumed_it_goes_on_with_the_pass_that_an_unbroken_one_is_in(first: int) -> None:
    passed, begun = [0], [first]
    unbroken, resumed, passes = order(passed), order(begun), []
    for passed[0] in range(5):
        passes.append(list(unbroken))
    for begun[0] in range(first, 5):
        assert list(resumed) == passes[begun[0]]
    assert passes[0] != passes[1]


@pytest.mark.parametrize("kind", ["sft", "rl", "hybrid"])
@pytest.mark.parametrize("step", [3, 4])
def test_a_training_resumed_in_a_later_pass_ends_as_an_unbroken_one(tmp_path: Path, kind: str, step: int) -> None:
    """32 prompts, 16 a step: two steps are a pass; resumed in the middle of one and at the end of one."""
    batch = {"per_device_train_batch_size": 16} if kind == "sft" else {**GRPO, "per_device_train_batch_size": 64}
    method = {"method": "joint"} if kind == "hybrid" else {}
    options = {**batch, **method, "max_steps": 7, "save_strategy": "steps", "save_steps": 1, "save_total_limit": 7}
    unbroken = trainer(kind, tmp_path, **options)
    unbroken.train()
    again = trainer(kind, tmp_path, **options)
    again.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{step}"))
    assert torch.equal(weights_of(again), weights_of(unbroken))


def test_a_checkpoint_resumes_exactly_where_generations_are_used_up(tmp_path: Path) -> None:
    """Three micro-batches a generation, two a step: a step ends with a generation at every third."""
    parts = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2, "steps_per_generation": 3}
    options = {**GRPO, **parts, "max_steps": 6, "save_strategy": "steps", "save_steps": 3}
    unbroken = trainer("rl", tmp_path, **options)
    assert load_stage("rl").resumable_every(unbroken.args) == 3
    unbroken.train()
    again = trainer("rl", tmp_path, **options)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert torch.equal(weights_of(again), weights_of(unbroken))
