"""Pilots: the first steps of the RL stage that is planned, really taken on copies of the checkpoint that are let go."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from interlace.callback import CountingCallback
from interlace.callback.events import TrainerEvent
from interlace.errors import TrainingError
from interlace.forecasting import Pilots
from interlace.forecasting.pilots import FIRST
from interlace.planning.steps import PilotStage
from interlace.policies import Policy
from interlace.policies.policy import independent_copy
from interlace.policies.randomness import untouched_randomness
from interlace.probes import MeasuredTask, ProbeContext
from interlace.probes.reward import Reward
from interlace.stages import load_stage
from interlace.stages.base import StageRequest
from interlace.tasks import Task

SAMPLED_EVERY = 5
"""Steps from look to look where the reward must be sampled; enumerated it is read at every step."""


@dataclass(eq=False)
class _Readings(CountingCallback):
    """Reads the reward after the steps of `looks`."""

    policy: Policy
    looks: frozenset[int]
    read: Callable[[Policy], float]
    rewards: list[float] = field(default_factory=list)
    counters: dict[str, float] = field(default_factory=dict)

    def after_step(self, event: TrainerEvent) -> None:
        """A reading leaves no trace in training."""
        if event.step in self.looks:
            self.rewards.append(self.read(self.policy))


@untouched_randomness()
def take_pilots(
    policy: Policy,
    target: MeasuredTask,
    reward_range: tuple[float, float],
    stage: PilotStage,
    completions: int,
    seed: int,
    note: Callable[[str], None] | None = None,
) -> Pilots:
    """Train `stage.pilots` copies of `policy` on the task's prompts and read their reward on the held-out ones.

    `reward_range`: the least and the best mean reward there is; `completions`: sampled a prompt at a reading where the
    reward is not enumerated, every `SAMPLED_EVERY` steps.

    Raises RecipeError for options that TRL refuses, TrainingError if a pilot's weights are no longer finite. Cost: the
    steps of all pilots and their readings; memory of the policy, its gradients and its optimizer once more.
    """

    def read(at: Policy) -> float:
        context = ProbeContext(at, at, target, completions, seed)
        values, chances = (context.reading(Reward()).scores[f"reward_{name}"] for name in ("values", "probabilities"))
        return float((values * chances).sum(axis=1).mean())

    looks = _looks(stage.steps, every=1 if target.rewarded is not None else SAMPLED_EVERY)
    rewards = []
    for number in range(stage.pilots):
        if note is not None:
            note(f"pilot {number + 1} of {stage.pilots} on {target.task.name}: {stage.steps} steps")
        rewards.append(_one(policy, target.task, stage, pilot_seed(seed, number), frozenset(looks), read))
    return Pilots(read(policy), *reward_range, np.array(looks, dtype=np.float64), np.array(rewards))


def pilot_seed(seed: int, number: int) -> int:
    """The seed of a pilot's training: no small number, so that a later run is another draw than the pilots."""
    return zlib.crc32(f"{seed}/pilot/{number}".encode())


def _looks(steps: int, every: int) -> list[int]:
    """The first step, the first of the course, then every so many, and the last."""
    return sorted({1, FIRST, steps, *range(every, steps + 1, every)})


def _one(
    start: Policy, task: Task, stage: PilotStage, seed: int, looks: frozenset[int], read: Callable[[Policy], float]
) -> list[float]:
    policy = start.with_model(independent_copy(start.model))
    readings, kind = _Readings(policy, looks, read), load_stage("rl")
    with tempfile.TemporaryDirectory(prefix="interlace-pilot-") as folder:
        request = StageRequest("pilot", task, _options(stage), Path(folder), seed)
        kind.trainer(request, kind.configure(request), policy, readings).train()
    if len(readings.rewards) < len(looks) or not np.isfinite(readings.rewards).all():
        raise TrainingError(
            f"a pilot must do {stage.steps} steps and stay finite. Got {len(readings.rewards)} of {len(looks)} "
            "readings, or one that is not. Give a smaller --learning-rate or --batch."
        )
    return readings.rewards


def _options(stage: PilotStage) -> dict[str, Any]:
    return {
        "max_steps": stage.steps,
        "learning_rate": stage.learning_rate,
        "lr_scheduler_type": "constant",
        "per_device_train_batch_size": stage.batch,
        "num_generations": stage.group_size,
        "beta": stage.kl_coefficient,
        "save_strategy": "no",
    }
