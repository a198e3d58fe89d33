"""SFT loss from log-probabilities: paired changes, A11's split, C7 beside the measurement."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from interlace.dumps import plan_rollouts
from interlace.dumps.losses import read_losses
from interlace.errors import DataError
from interlace.estimate import Estimate, Unresolved
from tests.dumps.worlds import Row, rollouts, world, write_lines, write_verl

MADE = world(9, 2.0)
READ = (0, 4, 8)


def expert_rows(rng: np.random.Generator, count: int) -> list[Row]:
    """One expert response a prompt, right with probability R_D; its log-probability as the policy gives it."""
    drawn = rng.choice(len(MADE.start), count, replace=False)
    right = rng.random(count) < MADE.expert
    rates = {step: MADE.rates(step, MADE.start[drawn]) for step in READ}
    return [
        {"step": step, "prompt": f"question {prompt}", "num_tokens": 4, "reward": float(hit),
         "logprob": float(np.log(rates[step][i] if hit else 1.0 - rates[step][i]))}
        for step in READ
        for i, (prompt, hit) in enumerate(zip(drawn, right, strict=True))
    ]  # fmt: skip


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dump")
    write_verl(path / "rollouts", rollouts(MADE, np.random.default_rng(0), prompts=100, samples=8))
    write_lines(path / "logprobs.jsonl", expert_rows(np.random.default_rng(1), 2000))
    return path


def test_on_the_path_the_measured_change_is_the_forecast(dump: Path) -> None:
    plan = plan_rollouts(dump / "rollouts", expert_reward=MADE.expert, logprobs=dump / "logprobs.jsonl")
    assert [point.step for point in plan.losses] == list(READ)
    for point in plan.losses[1:]:
        assert isinstance(point.change, Estimate) and isinstance(point.beyond, Estimate)
        assert point.change.value == pytest.approx(MADE.sft_change[point.step], abs=0.1)
        assert point.beyond.covers(0.0)
    assert any("Beyond what rewards forecast" in sentence for sentence in plan.advice)


def test_A11_right_and_wrong_parts_add_up(dump: Path) -> None:
    plan = plan_rollouts(dump / "rollouts", expert_reward=MADE.expert, logprobs=dump / "logprobs.jsonl")
    last = plan.losses[-1]
    assert isinstance(last.right, Estimate) and isinstance(last.wrong, Estimate) and isinstance(last.change, Estimate)
    assert last.right.value + last.wrong.value == pytest.approx(last.change.value, abs=1e-12)
    assert last.right.sign == -1 and last.wrong.sign == 1
    loss, per_token = last.sft_loss, last.sft_loss_per_token
    assert isinstance(loss, Estimate) and isinstance(per_token, Estimate)
    assert per_token.value == pytest.approx(loss.value / 4)


def test_several_responses_a_prompt_are_one_prompt(tmp_path: Path) -> None:
    rows = [{"step": s, "id": i, "logprob": -1.0 - s - k} for s in (0, 1) for i in range(3) for k in (0, 1)]
    write_lines(tmp_path / "l.jsonl", rows)
    losses = read_losses(tmp_path / "l.jsonl", {})
    assert losses.loss.tolist() == [[1.5, 2.5]] * 3
    assert losses.right is None and losses.tokens is None


def test_prompts_that_are_not_at_every_step_are_left_out_and_said(tmp_path: Path) -> None:
    rows = [{"step": s, "prompt": f"p{i}", "logprob": -1.0} for s in (0, 1) for i in range(4) if (s, i) != (1, 3)]
    write_lines(tmp_path / "l.jsonl", [*rows, {"step": 0, "prompt": "p", "logprob": None}])
    losses = read_losses(tmp_path / "l.jsonl", {})
    assert len(losses.prompts) == 3
    assert losses.notes == (
        "Log-probabilities: 1 row was left out: the step, the prompt or the log-probability is missing (l.jsonl:8).",
        "Log-probabilities: 1 prompts were left out: they are not at every step alike.",
    )


def test_losses_in_place_of_log_probabilities_are_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "l.jsonl", [{"step": 0, "prompt": "p", "logprob": 1.5}])
    with pytest.raises(DataError, match=r"must be at most 0. Got one above 0 at l.jsonl:1"):
        read_losses(tmp_path / "l.jsonl", {})
    write_lines(tmp_path / "l.jsonl", [{"step": 0, "prompt": "p"}])
    with pytest.raises(DataError, match="l.jsonl must have the logprob: a column logprob"):
        read_losses(tmp_path / "l.jsonl", {})
    write_lines(tmp_path / "l.jsonl", [{"step": s, "prompt": f"p{s}", "logprob": -1} for s in (0, 1)])
    with pytest.raises(DataError, match="must have the same prompts at every step"):
        read_losses(tmp_path / "l.jsonl", {})


@pytest.mark.parametrize(("text", "shown"), [("-Infinity", "-inf"), ("-1e30", r"-1e\+30")])
def test_log_probabilities_of_an_absurd_size_are_refused_where_they_stand(
    text: str, shown: str, tmp_path: Path
) -> None:
    row = '{"step": 0, "prompt": "p", "logprob": %s}\n'
    (tmp_path / "l.jsonl").write_text(row % "-1.0" + row % text)
    with pytest.raises(DataError, match=rf"at most 1e\+09 in size. Got {shown} at l.jsonl:2\."):
        read_losses(tmp_path / "l.jsonl", {})


def test_without_rewards_the_split_says_what_is_missing(dump: Path, tmp_path: Path) -> None:
    rows = [{"step": s, "prompt": f"p{i}", "logprob": -1.0 - s} for s in (0, 8) for i in range(30)]
    write_lines(tmp_path / "l.jsonl", rows)
    last = plan_rollouts(dump / "rollouts", logprobs=tmp_path / "l.jsonl").losses[-1]
    assert isinstance(last.right, Unresolved) and "a column reward" in last.right.reason
    assert isinstance(last.forecast, Unresolved) and isinstance(last.change, Estimate)


def test_steps_far_from_the_rollouts_have_no_forecast(dump: Path, tmp_path: Path) -> None:
    rows = [{"step": s, "prompt": f"p{i}", "logprob": -1.0 - s} for s in (0, 8, 30) for i in range(30)]
    write_lines(tmp_path / "l.jsonl", rows)
    plan = plan_rollouts(dump / "rollouts", expert_reward=0.5, logprobs=tmp_path / "l.jsonl")
    assert isinstance(plan.losses[1].forecast, Estimate)
    assert isinstance(plan.losses[2].forecast, Unresolved) and "no rollouts near" in plan.losses[2].forecast.reason


def test_whose_prompts_were_read_is_said(dump: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (dump / "rollouts" / "0.jsonl").read_text().splitlines()]
    asked = list(dict.fromkeys(row["input"] for row in rows))[:20]

    def said(prompts: list[str]) -> str:
        write_lines(tmp_path / "l.jsonl", [{"step": s, "prompt": p, "logprob": -1.0} for s in (0, 8) for p in prompts])
        found = plan_rollouts(dump / "rollouts", logprobs=tmp_path / "l.jsonl").conditions
        return next(sentence for sentence in found if sentence.startswith("SFT loss was read"))

    others = [f"another {i}" for i in range(20)]
    assert said(asked) == "SFT loss was read on 20 prompts, all of which the rollouts have."
    assert "on 25 prompts, 20 of which the rollouts have; the others" in said([*asked, *others[:5]])
    none = said(others)
    assert "none of which the rollouts have" in none
    assert f"--logprobs has 'another 0', the rollouts {asked[0]!r}" in none
