"""A10 from rollouts: the tilt part is the enumerated one, the rest lies off the path; or a reason is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interlace.dumps import LossPoint, RolloutPlan, plan_rollouts
from interlace.dumps.groups import group
from interlace.dumps.samples import read_samples
from interlace.dumps.tilts import Tilts, tilts_of
from interlace.estimate import Estimate, Unresolved
from interlace.theory.distributional import split_tilt_off_path
from interlace.theory.finite import FiniteProblem
from tests.dumps.worlds import Row, rollouts, world, write_lines, write_verl

MADE = world(9, 1.5)
READ = (0, 4, 8)
OFF = 0.25
"""Nats that every expert response loses at the last step for nothing."""


def expert_rows(rng: np.random.Generator, count: int, steps: tuple[int, ...] = READ) -> list[Row]:
    """As the tilted policy scores them, but OFF less likely at the last step."""
    drawn = rng.choice(len(MADE.start), count, replace=False)
    right = rng.random(count) < MADE.expert
    return [
        {"step": step, "prompt": f"question {prompt}",
         "logprob": float(np.log(rate if hit else 1.0 - rate)) - OFF * (step == READ[-1])}
        for step in steps
        for prompt, hit, rate in zip(drawn, right, MADE.rates(step, MADE.start[drawn]), strict=True)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dump")
    write_verl(path / "rollouts", rollouts(MADE, np.random.default_rng(0), prompts=200, samples=8))
    write_lines(path / "logprobs.jsonl", expert_rows(np.random.default_rng(1), 1500))
    write_lines(path / "later.jsonl", expert_rows(np.random.default_rng(1), 1500, READ[1:]))
    return path


def read(dump: Path, logprobs: str = "logprobs.jsonl", **how: Any) -> RolloutPlan:
    return plan_rollouts(dump / "rollouts", logprobs=dump / logprobs, **how)


@pytest.fixture(scope="module")
def plan(dump: Path) -> RolloutPlan:
    return read(dump, expert_reward=MADE.expert)


def last_of(plan: RolloutPlan) -> LossPoint:
    return plan.losses[-1]


def test_A10_the_parts_are_those_of_the_finite_policies(plan: RolloutPlan) -> None:
    rates = MADE.start[:400]
    problem = FiniteProblem(
        prompts=np.full(400, 1.0 / 400),
        reference=np.stack([rates, 1.0 - rates], axis=1),
        expert=np.tile([MADE.expert, 1.0 - MADE.expert], (400, 1)),
        reward=np.tile([1.0, 0.0], (400, 1)),
    )
    tilted = MADE.rates(8, rates)
    truth = split_tilt_off_path(problem, np.stack([tilted, 1.0 - tilted], axis=1))
    last = last_of(plan)
    assert isinstance(last.tilt, Estimate) and isinstance(last.off_path, Estimate)
    assert isinstance(last.rl_time, Estimate) and isinstance(last.change, Estimate)
    assert truth.rl_time == pytest.approx(1.5, abs=1e-6) and truth.off_path == pytest.approx(0.0, abs=1e-9)
    assert last.rl_time.covers(1.5) and last.tilt.covers(float(MADE.sft_change[8]))
    assert last.tilt.value == pytest.approx(truth.tilt, abs=0.05)
    assert last.off_path.covers(OFF) and last.off_path.sign == 1
    assert last.tilt.value + last.off_path.value == pytest.approx(last.change.value, abs=1e-12)


def test_on_the_path_nothing_is_off_it(plan: RolloutPlan) -> None:
    half = plan.losses[1].off_path
    assert isinstance(half, Estimate) and half.covers(0.0)
    first = plan.losses[0]
    assert first.tilt.covers(0.0) and first.rl_time.covers(0.0)  # type: ignore[union-attr]
    text = " ".join(plan.advice)
    assert "comes with the tilt of the first policy that earns this reward" in text
    assert "lies off the RL path: more than so much reward asks for (A10" in text


def test_every_point_has_its_tilt_part(plan: RolloutPlan) -> None:
    points = plan.points
    assert all(isinstance(point.tilt, Estimate) for point in points)
    assert points[0].tilt.covers(0.0) and points[-1].tilt.covers(float(MADE.sft_change[8]))  # type: ignore[union-attr]


def test_parts_are_since_the_first_step_that_was_read(dump: Path, plan: RolloutPlan) -> None:
    whole, later = plan.losses, read(dump, "later.jsonl", expert_reward=MADE.expert).losses
    parts = [point.tilt.value for point in (*whole, *later) if isinstance(point.tilt, Estimate)]
    assert len(parts) == 5 and parts[3] == 0.0 and parts[4] == pytest.approx(parts[2] - parts[1], abs=1e-9)


def test_without_the_experts_reward_only_the_rl_time_is_known(dump: Path) -> None:
    last = last_of(read(dump))
    assert isinstance(last.tilt, Unresolved) and "--expert-reward" in last.tilt.reason
    assert isinstance(last.off_path, Unresolved) and isinstance(last.rl_time, Estimate)


def tilts(tmp_path: Path, rows: list[Row]) -> Tilts | Unresolved:
    write_lines(tmp_path / "rows.jsonl", rows)
    return tilts_of(group(read_samples(tmp_path / "rows.jsonl")))


def rows_of(sizes: list[int], rate: float = 0.5) -> list[Row]:
    rng = np.random.default_rng(2)
    return [
        {"step": 0, "prompt": f"p{i}", "reward": float(rng.random() < rate)}
        for i, size in enumerate(sizes)
        for _ in range(size)
    ]


def test_the_tilts_of_one_prompt_are_enumerated(tmp_path: Path) -> None:
    found = tilts(tmp_path, rows_of([20_000] * 12))
    assert isinstance(found, Tilts) and 0.0 in found.times
    at = int(np.searchsorted(found.times, 1.0))
    tau = found.times[at]
    tilted = np.exp(tau) / (1.0 + np.exp(tau))
    assert found.rises[:, at].mean() == pytest.approx(tilted - 0.5, abs=0.004)
    assert found.bends[:, at].mean() == pytest.approx(np.log(0.5 + 0.5 * np.exp(tau)) - tau / 2, abs=0.002)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (rows_of([2, 8, 3, 5] * 5), "hold 2 to 8 samples: a tilt (A10) needs groups of one size"),
        (rows_of([1] * 20), "hold 1 to 1 samples"),
        (rows_of([8] * 20, rate=2.0), "all rewards of the first step are equal"),
    ],
)
def test_what_the_first_groups_cannot_say(tmp_path: Path, rows: list[Row], reason: str) -> None:
    found = tilts(tmp_path, rows)
    assert isinstance(found, Unresolved) and reason in found.reason


def test_small_groups_carry_no_tilt_and_say_so(tmp_path: Path) -> None:
    write_verl(tmp_path, rollouts(MADE, np.random.default_rng(0), prompts=200, samples=4))
    last = plan_rollouts(tmp_path, expert_reward=MADE.expert).now
    assert isinstance(last.tilt, Unresolved)
    assert "effective samples" in last.tilt.reason and "sample more than 4 responses a prompt" in last.tilt.reason
