"""Batches of generations that last several updates: what is counted went through the model, and is what is expected."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from interlace.errors import RecipeError
from interlace.ledger import estimated_flops
from interlace.methods import build_method
from interlace.stages import load_stage
from interlace.stages.base import StageRequest
from interlace.stages.hybrid import plan_of
from interlace.stages.spending import Demonstrations, Lengths, Spending, spent_mixing, spent_reinforcing
from interlace.tasks import Task
from tests.stages.worlds import GRPO, trainer

ROWS = [{"prompt": f"{n}=", "completion": str(n % 10)} for n in range(10, 50)]
SAMPLED, EXPERT = Lengths(prompt=3.0, response=1.0), Lengths(prompt=3.0, response=2.0)
OPTIONS = {**GRPO, "max_steps": 4, "max_completion_length": 1}
TWICE, HALVES, QUARTERS = {"num_iterations": 2}, {"steps_per_generation": 2}, {"steps_per_generation": 4}
PARTS = {"gradient_accumulation_steps": 2}
RL_RL_SFT = {"name": "interleaved", "rl_steps": 2, "first": "rl"}
CASES = [
    (None, TWICE), (None, QUARTERS | TWICE), (None, PARTS | TWICE),
    ("joint", HALVES), ("joint", PARTS | TWICE), ("frontier", TWICE), ("frontier", PARTS | QUARTERS),
    ("bridge_like", TWICE), ("interleaved", TWICE), ("interleaved", HALVES),
    (RL_RL_SFT, QUARTERS), (RL_RL_SFT, PARTS | HALVES | TWICE),
]  # fmt: skip


def unrewarded(completions: list[str], **_: Any) -> list[float]:
    """Nothing earns anything: the joint optimum of a prompt is the expert, one response a prompt."""
    return [0.0] * len(completions)


@functools.cache
def task() -> Task:
    """Prompts of three tokens, responses of one, and the end."""
    return Task.from_rows(ROWS, unrewarded, heldout=8)


class Passed:
    """Tokens that pass the model of a trainer outside of sampling: with a gradient to come, and alone."""

    def __init__(self, trained: Any) -> None:
        self.trained, self.scored, self._samples = 0, 0, False
        generate = trained._generate_single_turn

        def generating(*given: Any, **named: Any) -> Any:
            self._samples = True
            found = generate(*given, **named)
            self._samples = False
            return found

        trained._generate_single_turn = generating
        trained.model.register_forward_pre_hook(self._passing, with_kwargs=True)

    def _passing(self, model: Any, given: Any, named: dict[str, Any]) -> None:
        tokens = 0 if self._samples else int(named["attention_mask"].sum())
        if torch.is_grad_enabled():
            self.trained += tokens
        else:
            self.scored += tokens


def expected(asked: Mapping[str, Any] | None, folder: Path, options: dict[str, Any]) -> Spending:
    request = StageRequest("s", task(), options, folder, 0, method=asked)
    if asked is None:
        return spent_reinforcing(load_stage("rl").configure(request), SAMPLED)
    arguments = load_stage("hybrid").configure(request)
    method = build_method(asked, plan_of(request, arguments))
    return spent_mixing(arguments, method, SAMPLED, EXPERT, Demonstrations.of(task()))


@pytest.mark.parametrize(("method", "lasting"), CASES)
def test_what_is_counted_passed_the_model_and_was_expected(tmp_path: Path, method: Any, lasting: Any) -> None:
    asked, options = {"name": method} if isinstance(method, str) else method, OPTIONS | lasting
    trained = trainer("hybrid" if asked else "rl", tmp_path, task=task(), method=asked, **options)
    passed = Passed(trained)
    trained.train()
    tokens, counted = trained.state.num_input_tokens_seen, trained.counters
    scored, generated = counted.get("tokens_scored", 0.0), counted["tokens_sampled"] + counted["tokens_prefilled"]
    assert (tokens, scored) == (passed.trained, passed.scored)
    found = expected(asked, tmp_path, options)
    assert (found.sampled + found.prefilled, found.trained, found.scored) == (generated, tokens, scored)
    assert found.flops_per_parameter == estimated_flops(1, int(generated), int(tokens + scored), tokens)


def test_an_update_of_imitation_leaves_a_batch_in_hand(tmp_path: Path) -> None:
    """RL, RL, imitation, RL: four updates' completions are sampled once, and the third part of them is passed over."""
    trained = trainer("hybrid", tmp_path, task=task(), method=RL_RL_SFT, **(OPTIONS | QUARTERS))
    trained.train()
    assert trained.counters["tokens_sampled"] == 4 * 16


@pytest.mark.parametrize(("method", "is_refused"), [("frontier", True), ("hpt", True), ("joint", False)])
def test_an_update_of_several_batches_of_groups_is_refused(tmp_path: Path, method: str, is_refused: bool) -> None:
    """What a batch says would be imitated in part: each part of an update has groups of its own."""
    options = {**GRPO, "gradient_accumulation_steps": 2, "steps_per_generation": 1}
    request = StageRequest("s", task(), options, tmp_path, 0, method={"name": method})
    found = "steps_per_generation of stage 's' must be a multiple of gradient_accumulation_steps, 2, with method"
    with pytest.raises(RecipeError, match=found) if is_refused else nullcontext():
        load_stage("hybrid").configure(request)
