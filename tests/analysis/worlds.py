"""Runs made up in memory from finite problems, where everything is known by enumeration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from interlace.measurement import AVERAGED, LINE, RAW, HeldOut, Measurement, Point, PromptScores
from interlace.statistics import mean_interval
from interlace.store import RunRecord, StageRecord
from interlace.theory.distributional.tilt import tilted_policy
from interlace.theory.finite import FiniteProblem

TASK = "sums"


def binary_problem(
    rng: np.random.Generator, prompts: int = 60, responses: int = 5, expert_reward: float = 0.7, skill: float = 0.3
) -> FiniteProblem:
    """Binary rewards, the first two responses right; policy and expert vary from prompt to prompt."""
    right = np.zeros((prompts, responses))
    right[:, :2] = 1.0
    return FiniteProblem(
        np.full(prompts, 1.0 / prompts),
        _spread(rng, right, rng.beta(20 * skill, 20 * (1 - skill), size=prompts)),
        _spread(rng, right, rng.beta(40 * expert_reward, 40 * (1 - expert_reward), size=prompts)),
        right,
    )


def _spread(rng: np.random.Generator, right: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Policies that are right at `rate`, at random within right and within wrong."""
    weights = rng.gamma(2.0, size=right.shape) + 0.05
    on_right, on_wrong = weights * right, weights * (1.0 - right)
    rate = rate[:, None]
    return rate * on_right / on_right.sum(1, keepdims=True) + (1 - rate) * on_wrong / on_wrong.sum(1, keepdims=True)


def tilted_run(problem: FiniteProblem, times: Sequence[float]) -> dict[int, np.ndarray]:
    """The policies of a run that follows the RL path exactly, ten steps apart."""
    return {10 * i: tilted_policy(problem, time) for i, time in enumerate(times)}


@dataclass(frozen=True)
class Stage:
    """A stage to make up: policies by step, and what else a stage may have."""

    policies: Mapping[int, np.ndarray]
    kind: str = "rl"
    averaged: Mapping[int, np.ndarray] = field(default_factory=dict)
    line: Mapping[float, np.ndarray] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    spent: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    planned: int | None = None
    name: str | None = None


@dataclass(frozen=True)
class MemoryRecord(RunRecord):
    """A run record whose scores are in memory."""

    kept: Mapping[Point, PromptScores] = field(default_factory=dict)

    def scores(self, point: Point) -> PromptScores:
        return self.kept[point]


def held_out(problem: FiniteProblem, *, known: bool = True, task: str = TASK) -> HeldOut:
    """The problem's prompts with every response that the expert can give."""
    prompt, response = np.nonzero(problem.expert > 0.0)
    return HeldOut(
        task=task,
        num_prompts=problem.prompts.size,
        prompt=prompt,
        probability=problem.expert[prompt, response],
        reward=problem.reward[prompt, response],
        num_tokens=response + 2,
        expert_is_known=known,
    )


def scores(
    problem: FiniteProblem, policy: np.ndarray, start: np.ndarray, rng: np.random.Generator, samples: int = 0
) -> PromptScores:
    """What a perfect probe would keep; `samples` > 0: rewards sampled that often instead of enumerated."""
    prompt, response = np.nonzero(problem.expert > 0.0)
    with np.errstate(divide="ignore"):
        logprobs = np.log(policy[prompt, response])
    with np.errstate(divide="ignore", invalid="ignore"):
        kl = np.where(policy > 0.0, policy * np.log(policy / start), 0.0).sum(axis=1)
    if not samples:
        return PromptScores(logprobs, problem.reward, policy, True, kl)
    pairs = zip(problem.reward, policy, strict=True)
    drawn = np.stack([rng.choice(row, size=samples, p=chances) for row, chances in pairs])
    return PromptScores(logprobs, drawn, np.full_like(drawn, 1.0 / samples), False, kl)


def make_record(
    problem: FiniteProblem, *stages: Stage, known: bool = True, samples: int = 0, seed: int = 0
) -> MemoryRecord:
    """A run of `stages`, all on one task."""
    rng = np.random.default_rng(seed)
    kept: dict[Point, PromptScores] = {}
    records = []
    for number, stage in enumerate(stages, start=1):
        name = stage.name or stage.kind
        folder = f"{number:02d}-{name}"
        points = _points(folder, stage)
        start = stage.policies[0] if 0 in stage.policies else next(iter(stage.policies.values()))
        for point, policy in points.items():
            kept[point] = scores(problem, policy, start, rng, samples)
        done = max(stage.policies)
        records.append(
            StageRecord(
                stage=folder,
                name=name,
                kind=stage.kind,
                task=TASK,
                steps_planned=stage.planned or done,
                steps_done=done,
                finished=not stage.planned or stage.planned == done,
                options=dict(stage.options),
                spent={step: dict(counted) for step, counted in stage.spent.items()},
                ledger={"optimizer_steps": done},
                measurements=tuple(item for point in points for item in _measurements(problem, point, kept[point])),
            )
        )
    return MemoryRecord(
        folder=Path("runs/made-up"),
        recipe="made-up",
        seed=seed,
        manifest={},
        resolved={},
        stages=tuple(records),
        heldout={TASK: held_out(problem, known=known)},
        kept=kept,
    )


def _points(folder: str, stage: Stage) -> dict[Point, np.ndarray]:
    raw = {Point(folder, step, TASK, RAW): policy for step, policy in stage.policies.items()}
    starts = (
        {0: stage.policies[0]} if stage.averaged and 0 in stage.policies else {}
    )  # an average begins where its stage does
    averaged = {Point(folder, step, TASK, AVERAGED): policy for step, policy in (starts | dict(stage.averaged)).items()}
    end = max(stage.policies)
    line = {Point(folder, end, TASK, LINE, position): policy for position, policy in stage.line.items()}
    return raw | averaged | line


def _measurements(problem: FiniteProblem, point: Point, kept: PromptScores) -> list[Measurement]:
    assert kept.expert_logprobs is not None and kept.kl is not None
    loss = held_out(problem).per_prompt(-kept.expert_logprobs)
    return [
        Measurement(point, "sft_loss", mean_interval(loss, unit="nats/response")),
        Measurement(point, "reward", mean_interval(kept.mean_reward(), unit="reward units")),
        Measurement(point, "kl_policy_start_nats_per_response", mean_interval(kept.kl, unit="nats/response")),
    ]


def softmax_gradient_run(problem: FiniteProblem, rate: float, steps: int) -> dict[int, np.ndarray]:
    """Plain softmax policy gradient from the reference, tabular (D3)."""
    logits = np.log(problem.reference)
    policies = {0: problem.reference}
    for step in range(1, steps + 1):
        policy = policies[step - 1]
        advantage = problem.reward - (policy * problem.reward).sum(axis=1, keepdims=True)
        logits = logits + rate * policy * advantage
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        policies[step] = weights / weights.sum(axis=1, keepdims=True)
    return policies
