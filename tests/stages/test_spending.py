"""What a stage is expected to take, against what trainers count, and against arithmetic."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from interlace.methods import build_method
from interlace.stages import load_stage
from interlace.stages.base import StageRequest
from interlace.stages.hybrid import plan_of
from interlace.stages.spending import Demonstrations, Lengths, Spending, spent_mixing
from interlace.tasks import Task
from interlace.tasks.demonstrations import with_demonstrations
from tests.stages.worlds import GRPO, starts_with_its_digit, trainer

ROWS = [{"prompt": f"{n}=", "completion": str(n % 10)} for n in range(10, 50)]
EXPERT = Lengths(prompt=3.0, response=2.0)
STEPS, COMPLETIONS = 3, 16
MIXED = [
    {"name": "joint"}, {"name": "joint", "mu": 0.0}, {"name": "joint", "mu": 1.0},
    {"name": "joint", "expert_batch_size": 8}, {"name": "interleaved"},
    {"name": "sequential", "switch_at": 0.3}, {"name": "replay"}, {"name": "bridge_like"},
    {"name": "gift"}, {"name": "kl_anchor"}, {"name": "luffy"},
]  # fmt: skip


@functools.cache
def task() -> Task:
    """Prompts of three tokens, responses of two."""
    return Task.from_rows(ROWS, starts_with_its_digit, heldout=8)


def spending(
    folder: Path, method: dict[str, Any], options: dict[str, Any], completion: float, of: Task | None = None
) -> Spending:
    request = StageRequest("s", of or task(), options, folder, 0, method=method)
    arguments = load_stage("hybrid").configure(request)
    made = build_method(method, plan_of(request, arguments))
    return spent_mixing(arguments, made, Lengths(EXPERT.prompt, completion), EXPERT, Demonstrations.of(request.task))


@pytest.mark.parametrize("method", MIXED, ids=lambda method: "-".join(map(str, method.values())))
def test_tokens_are_those_that_training_counts(tmp_path: Path, method: dict[str, Any]) -> None:
    """Completions being as long as they turned out to be in the mean."""
    options = {**GRPO, **({"beta": 0.3} if method["name"] == "kl_anchor" else {})}
    trained = trainer("hybrid", tmp_path, task=task(), method=method, **options)
    trained.train()
    counters = trained.counters
    prefilled, sampled = counters.get("tokens_prefilled", 0.0), counters.get("tokens_sampled", 0.0)
    found = spending(tmp_path, method, options, sampled / (prefilled / EXPERT.prompt) if prefilled else 0.0)
    assert (found.prefilled, found.sampled) == pytest.approx((prefilled, sampled))
    assert found.scored == pytest.approx(counters.get("tokens_scored", 0.0))
    assert found.trained == pytest.approx(trained.state.num_input_tokens_seen)


def test_flops_of_a_joint_loss_by_hand(tmp_path: Path) -> None:
    """2 a token read or sampled, 6 a token trained on: 3 steps of 16 completions and 16 expert responses."""
    found = spending(tmp_path, {"name": "joint"}, dict(GRPO), completion=2.0)
    assert found.flops_per_parameter == STEPS * COMPLETIONS * (2 * (3 + 2) + 6 * 5 + 6 * 5)
    assert not found.is_open


def test_sft_and_rl_are_the_two_sides_of_a_joint_loss(tmp_path: Path) -> None:
    lengths = {task().name: EXPERT}
    request = StageRequest("s", task(), dict(GRPO), tmp_path, 0)
    rl = load_stage("rl").spends(request, load_stage("rl").configure(request), lengths)
    assert rl == spending(tmp_path, {"name": "joint", "mu": 0.0}, dict(GRPO), EXPERT.response)
    options = {"per_device_train_batch_size": COMPLETIONS, "max_steps": STEPS}
    asked = StageRequest("s", task(), options, tmp_path, 0)
    sft = load_stage("sft").spends(asked, load_stage("sft").configure(asked), lengths)
    assert sft.trained == STEPS * COMPLETIONS * 5
    assert sft == spending(tmp_path, {"name": "joint", "mu": 1.0}, dict(GRPO), EXPERT.response)


def test_rows_that_are_mixed_in_count_by_their_share(tmp_path: Path) -> None:
    """A quarter of the rows of 3 + 8 tokens, the rest of 3 + 2."""
    other = replace(task(), name="longer")
    options = {"per_device_train_batch_size": COMPLETIONS, "max_steps": STEPS}
    request = StageRequest("s", task(), options, tmp_path, 0, mixed=((other, 0.25),))
    lengths = {task().name: EXPERT, "longer": Lengths(3.0, 8.0)}
    found = load_stage("sft").spends(request, load_stage("sft").configure(request), lengths)
    assert found.trained == pytest.approx(STEPS * COMPLETIONS * (0.75 * 5 + 0.25 * 11))


@pytest.mark.parametrize("method", ["hpt", "frontier", "guarded", "cycle", "relift", "uft", "prefix_rft_like"])
def test_what_depends_on_training_is_said_to(tmp_path: Path, method: str) -> None:
    assert spending(tmp_path, {"name": method}, dict(GRPO), completion=2.0).is_open
    assert spending(tmp_path, {"name": "random_switch", "like": "s"}, dict(GRPO), completion=2.0).is_open


def test_a_task_with_few_demonstrations_is_reinforced_where_nobody_answers(tmp_path: Path) -> None:
    """A pass over 32 prompts in groups of four, of which eight hold one completion of the expert's; of one token each.
    Which come first is not known."""
    few = replace(task(), train=with_demonstrations(task().train, 8, "few"))
    options = {**GRPO, "max_steps": 8, "max_completion_length": 1}
    trained = trainer("hybrid", tmp_path, task=few, method="luffy", **options)
    trained.train()
    found = spending(tmp_path, {"name": "luffy"}, options, completion=1.0, of=few)
    assert trained.counters["tokens_sampled"] == found.sampled == 32 * 4 - 8
    assert trained.state.num_input_tokens_seen == found.trained == (32 * 4 - 8) * (3 + 1) + 8 * (3 + 2)
    assert found.is_open and not spending(tmp_path, {"name": "luffy"}, options, completion=1.0).is_open


@pytest.mark.parametrize(
    ("method", "earned", "rows"),
    [
        ({"name": "positive_lm"}, 1.0, COMPLETIONS),
        ({"name": "hpt"}, 0.0, COMPLETIONS / 4),
        ({"name": "relift", "buffer_size": 1000}, 0.0, COMPLETIONS / 4),
        ({"name": "relift", "buffer_size": 4}, 0.0, COMPLETIONS / 4),
    ],
)
def test_what_a_method_makes_of_its_groups_is_expected_at_most(
    tmp_path: Path, method: dict[str, Any], earned: float, rows: float
) -> None:
    """Every rewarded completion, or an answer to each prompt whose group fails: at once, or once enough are kept."""
    all_alike = Task.from_rows(ROWS, lambda completions, **_: [earned] * len(completions), heldout=8)
    options = {**GRPO, "max_steps": 4, "max_completion_length": 1}
    trained = trainer("hybrid", tmp_path, task=all_alike, method=method, **options)
    trained.train()
    found = spending(tmp_path, method, options, completion=1.0, of=all_alike)
    own = spending(tmp_path, {"name": "joint", "mu": 0.0}, options, completion=1.0)
    assert found.trained - own.trained == 4 * rows * EXPERT.both and found.is_open
    assert found.sampled >= trained.counters["tokens_sampled"]
    assert found.trained >= trained.state.num_input_tokens_seen
