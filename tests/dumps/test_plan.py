"""From a folder to a plan: every figure with an interval or a reason, in Python, in sentences and as JSON."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interlace
from interlace.dumps import RolloutPlan, plan_rollouts
from interlace.dumps.arguments import RolloutArguments
from interlace.encoding import dumps
from interlace.errors import DataError, RecipeError
from interlace.estimate import Estimate, Unresolved, figure_from_json
from interlace.options import parse_options
from tests.dumps.worlds import Row, rollouts, world, write_lines, write_trl, write_verl

MADE = world(12, 2.5)
FIGURES = ("reward", "reward_variance", "dead_groups", "parity_gap", "rl_time", "sft_loss_change")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dump")
    write_trl(path, rollouts(MADE, np.random.default_rng(0), prompts=64, samples=8))
    return path


@pytest.fixture(scope="module")
def plan(folder: Path) -> RolloutPlan:
    return interlace.plan(rollouts=folder, expert_reward=MADE.expert, exchange_rate=0.5)


def constant(reward: float, steps: int = 3, samples: int = 4) -> list[Row]:
    return [
        {"step": step, "prompt": f"p{prompt}", "completion": f"{step}/{i}", "reward": reward}
        for step in range(steps)
        for prompt in range(20)
        for i in range(samples)
    ]


def test_every_figure_is_there_with_its_interval(plan: RolloutPlan) -> None:
    for name in FIGURES:
        assert isinstance(getattr(plan.now, name), Estimate), name
    assert isinstance(plan.now.implied_exchange_rate, Estimate) and isinstance(plan.parity, Estimate)
    assert isinstance(plan.start.implied_exchange_rate, Unresolved)
    assert [point.first_step for point in plan.points] == list(range(12))
    assert plan.now.num_prompts == 64 and plan.now.num_samples == 512


def test_the_figures_are_those_of_the_policy(plan: RolloutPlan) -> None:
    last = len(MADE.times) - 1
    rates = MADE.rates(last)
    truths = {"reward": MADE.reward[last], "reward_variance": float((rates * (1.0 - rates)).mean()),
              "dead_groups": float((rates**8 + (1.0 - rates) ** 8).mean()), "rl_time": MADE.times[last],
              "parity_gap": MADE.reward[last] - MADE.expert, "sft_loss_change": MADE.sft_change[last]}  # fmt: skip
    for name, truth in truths.items():
        figure = getattr(plan.now, name)
        assert isinstance(figure, Estimate)
        assert figure.lower - 0.3 * abs(truth) <= truth <= figure.upper + 0.3 * abs(truth), name


def test_sentences_name_what_holds_and_what_to_do(plan: RolloutPlan) -> None:
    text = " ".join(plan.advice)
    assert "Reward passed the expert\u2019s 0.550 at step" in text
    assert "of SFT loss from step 0 to step 11" in text and "if the policy moves on the RL path" in text
    assert "If a nat is worth 0.5 reward, RL " in text or "If a nat is worth 0.5 reward: by step 11" in text
    assert "compare different prompts" in plan.conditions[0]
    assert text.split(". ")[0] in str(plan)


def test_the_plan_is_frozen_and_travels_as_json(plan: RolloutPlan) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.parity = Unresolved("no")  # type: ignore[misc]
    found = json.loads(dumps(plan))
    assert next(iter(found)) == "schema_version"
    (forecast,) = found["forecasts"]
    assert figure_from_json(forecast["curve"][-1]["rl_time"]) == plan.now.rl_time
    assert figure_from_json(forecast["parity"]) == plan.parity


def test_the_same_seed_gives_the_same_plan(folder: Path, plan: RolloutPlan) -> None:
    again = plan_rollouts(folder, expert_reward=MADE.expert, exchange_rate=0.5)
    assert again == plan
    assert plan_rollouts(folder, expert_reward=MADE.expert, seed=1).now.rl_time != plan.now.rl_time


def test_without_the_experts_reward_the_rest_is_said(folder: Path) -> None:
    plan = plan_rollouts(folder, exchange_rate=0.5)
    assert isinstance(plan.now.rl_time, Estimate)
    for figure in (plan.parity, plan.stop, plan.now.sft_loss_change, plan.now.implied_exchange_rate):
        assert isinstance(figure, Unresolved) and "--expert-reward or --expert-scores" in figure.reason


def test_scores_of_the_sft_data_are_paired_with_the_prompts(folder: Path, tmp_path: Path) -> None:
    rows = rollouts(MADE, np.random.default_rng(0), prompts=64, samples=8)
    prompts = list(dict.fromkeys(row["prompt"] for row in rows))
    hits = np.random.default_rng(1).random(len(prompts)) < MADE.expert
    write_lines(
        tmp_path / "s.jsonl", [{"prompt": p, "score": float(hit)} for p, hit in zip(prompts, hits, strict=True)]
    )
    (tmp_path / "s.csv").write_text(
        "prompt,score\n" + "".join(f"{p},{int(h)}\n" for p, h in zip(prompts, hits, strict=True))
    )
    plan = plan_rollouts(folder, expert_scores=tmp_path / "s.jsonl")
    assert plan.shared_prompts == 1.0
    assert isinstance(plan.expert_reward, Estimate) and plan.expert_reward.covers(MADE.expert)
    assert plan_rollouts(folder, expert_scores=tmp_path / "s.csv").expert_reward == plan.expert_reward
    with pytest.raises(RecipeError, match="said once. Got --expert-reward and --expert-scores"):
        plan_rollouts(folder, expert_reward=0.5, expert_scores=tmp_path / "s.jsonl")
    write_lines(tmp_path / "bad.jsonl", [{"prompt": "p"}])
    with pytest.raises(DataError, match=r"bad.jsonl must have the score: a column score, .* Got prompt"):
        plan_rollouts(folder, expert_scores=tmp_path / "bad.jsonl")


def test_scores_of_other_prompts_are_refused(folder: Path, tmp_path: Path) -> None:
    write_lines(tmp_path / "s.jsonl", [{"prompt": "Another question, longer than what is shown of it", "score": 1.0}])
    with pytest.raises(
        DataError, match=r"Got 1, the first 'Another .*\u2026'; the rollouts' first is 'question .*mean"
    ):
        plan_rollouts(folder, expert_scores=tmp_path / "s.jsonl")


@pytest.mark.parametrize("given", [55.0, -0.1, 1.01])
def test_an_expert_reward_in_another_unit_is_refused(folder: Path, given: float) -> None:
    with pytest.raises(
        RecipeError, match=r"the rollouts' rewards, which go from 0 to 1\. Got .*, or give --expert-scores"
    ):
        plan_rollouts(folder, expert_reward=given)


def test_graded_rewards_have_the_range_that_was_seen(tmp_path: Path) -> None:
    rows = rollouts(MADE, np.random.default_rng(0), prompts=20, samples=4)
    write_verl(tmp_path, [row | {"reward": 10.0 * row["reward"] - 2.0} for row in rows])
    assert plan_rollouts(tmp_path, expert_reward=5.5).points
    with pytest.raises(RecipeError, match="which go from -2 to 8. Got 9"):
        plan_rollouts(tmp_path, expert_reward=9.0)


def test_rewards_that_never_vary_leave_nothing_to_move_along(tmp_path: Path) -> None:
    write_verl(tmp_path, constant(1.0))
    plan = plan_rollouts(tmp_path, expert_reward=0.5, exchange_rate=1.0)
    assert isinstance(plan.now.reward, Estimate) and plan.now.reward.value == 1.0 and plan.now.reward.lower < 1.0
    assert plan.now.reward_variance == Unresolved("no reward differs within any of 20 groups")
    assert isinstance(plan.now.dead_groups, Estimate) and plan.now.dead_groups.value == 1.0
    for figure in (plan.now.rl_time, plan.now.sft_loss_change):
        assert isinstance(figure, Unresolved) and "differs within any of 60 groups" in figure.reason
    for figure in (plan.stop, plan.now.implied_exchange_rate, plan.now.reward_variance_curve):
        assert isinstance(figure, Unresolved) and "RL moves nowhere" in figure.reason
    assert plan.advice[0].startswith(
        "Rewards never differ within a prompt, at any step: the variance within prompts is 0"
    )
    assert plan.now.reward_curve == plan.now.reward, "what the samples leave open, not a bare number"
    assert isinstance(plan.now.parity_gap, Estimate) and plan.now.parity_gap.lower < 0.5 == plan.now.parity_gap.value
    assert not any("(A4)" in sentence for sentence in plan.advice)
    write_verl(tmp_path / "other", constant(0.3))
    assert isinstance(plan_rollouts(tmp_path / "other").now.reward, Unresolved)


def test_curves_of_rewards_that_are_hardly_ever_earned_stay_in_range(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    write_verl(tmp_path, [row | {"reward": float(rng.random() < 0.01)} for row in constant(0.0, steps=30)])
    plan = plan_rollouts(tmp_path, expert_reward=0.5)
    for point in plan.points:
        assert isinstance(point.reward_curve, Estimate) and point.reward_curve.value >= 0.0
    assert (
        isinstance(plan.now.sft_loss_change, Unresolved) and "not resolved above 0" in plan.now.sft_loss_change.reason
    )


def test_single_samples_have_no_variance_and_say_so(tmp_path: Path) -> None:
    write_verl(tmp_path, rollouts(MADE, np.random.default_rng(0), prompts=40, samples=1))
    plan = plan_rollouts(tmp_path, expert_reward=0.5, exchange_rate=0.5)
    assert isinstance(plan.now.reward, Estimate) and isinstance(plan.now.parity_gap, Estimate)
    for figure in (plan.now.reward_variance, plan.now.rl_time, plan.now.sft_loss_change, plan.stop):
        assert isinstance(figure, Unresolved) and "two samples" in figure.reason


def test_one_step_and_few_prompts_are_refused_with_reasons(tmp_path: Path) -> None:
    write_verl(tmp_path / "one", constant(1.0, steps=1))
    one = plan_rollouts(tmp_path / "one", expert_reward=0.5)
    assert isinstance(one.now.rl_time, Unresolved)
    few = [row for row in rollouts(MADE, np.random.default_rng(0), prompts=2, samples=4) if row["step"] < 2]
    write_verl(tmp_path / "few", few)
    plan = plan_rollouts(tmp_path / "few", expert_reward=0.5, exchange_rate=0.5)
    assert len(plan.points) == 1
    assert isinstance(plan.now.parity_gap, Unresolved) and "at least 12 prompts" in plan.now.parity_gap.reason


def test_steps_with_few_prompts_are_one_point_with_their_neighbours(tmp_path: Path) -> None:
    write_verl(tmp_path, rollouts(MADE, np.random.default_rng(0), prompts=5, samples=8))
    plan = plan_rollouts(tmp_path, expert_reward=MADE.expert)
    assert [(point.first_step, point.last_step) for point in plan.points] == [(0, 2), (3, 5), (6, 8), (9, 11)]
    assert plan.points[0].name == "steps 0\u20132"


def test_a_reward_that_the_advantages_do_not_follow_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"step": 1, "prompt": f"p{i // 4}", "completion": f"{i}", "accuracy": float(rng.random() < 0.5),
         "length": float(rng.integers(1, 90))} for i in range(200)
    ]  # fmt: skip
    rows = [row | {"advantage": row["accuracy"] - 0.5} for row in rows]
    write_lines(tmp_path / "a.jsonl", rows)
    assert "go with this reward only in part" in plan_rollouts(tmp_path).notes[-1]
    assert plan_rollouts(tmp_path, reward="accuracy").notes == ()


def test_dumps_without_dead_groups_are_suspected_of_filtering(tmp_path: Path) -> None:
    rows = rollouts(MADE, np.random.default_rng(0), prompts=64, samples=2)
    pairs = [(rows[i], rows[i + 1]) for i in range(0, len(rows), 2)]
    write_verl(tmp_path, [row for pair in pairs if pair[0]["reward"] != pair[1]["reward"] for row in pair])
    assert any("dynamic sampling" in sentence for sentence in plan_rollouts(tmp_path).conditions)


def test_an_exchange_rate_must_be_positive(folder: Path) -> None:
    with pytest.raises(RecipeError, match="--exchange-rate must be above 0"):
        plan_rollouts(folder, exchange_rate=0.0)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"exchange_rate": "dear"}, "plan: exchange_rate must be a number. Got 'dear'"),
        ({"logprobs": 3}, "plan: logprobs must be a path. Got 3"),
        ({"columns": 5}, "plan: columns must be ROLE=COLUMN,... or a mapping of role to column. Got 5"),
        ({"reward": ["a"]}, r"plan: reward must be text. Got \['a'\]"),
        ({"seed": -1}, "plan: seed must be at least 0. Got -1"),
        ({"expert_rewards": 0.5}, "Got unknown key 'expert_rewards'. The nearest known key is 'expert_reward'"),
        ({"group_size": 8}, "plan must hold known keys .* Got unknown key 'group_size'"),
    ],
)
def test_arguments_of_another_type_are_answered(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        interlace.plan(**{"rollouts": "example", **given})


def test_rollouts_are_one_place() -> None:
    with pytest.raises(RecipeError, match=r"plan: rollouts must be a path. Got \['a', 'b'\]"):
        parse_options(RolloutArguments, {"rollouts": ["a", "b"]}, "plan")


def test_the_example_needs_nothing_else() -> None:
    plan = plan_rollouts("example", exchange_rate=0.5)
    assert plan.source.startswith("21 files of TRL 1.16") and plan.notes == ()
    assert isinstance(plan.expert_reward, Estimate) and plan.expert_reward.covers(0.76)
    assert isinstance(plan.parity, Estimate) and plan.parity.value < 20
    assert isinstance(plan.losses[-1].change, Estimate) and plan.losses[-1].change.sign == 1
    assert isinstance(plan.losses[-1].right, Estimate) and plan.losses[-1].right.sign == -1


def test_torch_is_not_imported() -> None:
    code = (
        "import sys, interlace; interlace.plan(rollouts='example'); "
        "print([name for name in ('torch', 'transformers', 'trl', 'datasets', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_stop_that_what_was_read_refutes_is_called_so() -> None:
    """The example's SFT loss rose by more than rewards forecast, from its first steps on."""
    plan = plan_rollouts("example", exchange_rate=0.5)
    assert any(sentence.startswith("Do not go by that stop: at step") for sentence in plan.advice)
    assert not any("Do not go by" in sentence for sentence in plan_rollouts("example").advice)  # no rate, no stop
