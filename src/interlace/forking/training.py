"""One fork: a training of a few steps on a copy of the policy, whose weights at its marks are handed over."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interlace.callback import CountingCallback
from interlace.callback.events import TrainerEvent
from interlace.errors import TrainingError
from interlace.forking.plan import Arm, ForkPlan
from interlace.forking.scratch import ForkLog, Weights
from interlace.forking.second_moment import Moments, go_on_with_schedule, take_over_second_moments
from interlace.policies import Policy
from interlace.policies.policy import independent_copy
from interlace.stages.base import Stage

LOGGED = ("reward", "entropy", "clip_ratio/region_mean", "completions/mean_length", "grad_norm", "loss")
"""What is kept of the trainer's own log, step by step."""

Keep = Callable[[int, Weights], None]
"""Told a fork's step and its weights there."""
GoesOn = Callable[[int], bool]
"""Told of every step, whether there is to be another."""


class _Marks(CountingCallback):
    """Hands over the weights after the steps in `marks`; ends the training after the last, or when it is stopped."""

    def __init__(self, policy: Policy, plan: ForkPlan, keep: Keep, goes_on: GoesOn) -> None:
        self.policy, self.plan, self.keep, self.goes_on = policy, plan, keep, goes_on
        self.schedule_of = plan.checkpoint if plan.from_step else None
        self.counters: dict[str, float] = {}
        self.kept: list[int] = []
        self.broken: list[int] = []
        self.is_stopped = False

    def training_begins(self, event: TrainerEvent) -> None:
        """The trainer has made its schedule by now."""
        if self.schedule_of is not None and event.optimizer is not None:
            go_on_with_schedule(event.optimizer, event.rest["lr_scheduler"], self.schedule_of)

    def after_step(self, event: TrainerEvent) -> None:
        """Look at the step's number only."""
        if event.step in self.plan.marks:
            weights = trained_weights(self.policy)
            (self.kept if all(map(_is_finite, weights.values())) else self.broken).append(event.step)
            self.keep(event.step, weights)
        is_done = event.step >= self.plan.steps or bool(self.broken)
        self.is_stopped = not self.goes_on(event.step) and not is_done
        if is_done or self.is_stopped:
            event.control.should_training_stop = True


def train_fork(
    kind: Stage,
    plan: ForkPlan,
    arm: Arm,
    number: int,
    start: Policy,
    keep: Keep,
    goes_on: GoesOn = lambda step: True,
) -> ForkLog | None:
    """Train fork `number` of `arm` from `start`, which stays as it is, while the global random states move.

    `keep` is given its weights at each mark. None: `goes_on` ended it before its last step.

    Raises RecipeError for a placebo that the stage's settings forbid, TrainingError if the fork's weights are no longer
    finite. Cost: the steps of a stage; memory of the policy, its gradients and its optimizer once more, and for a
    moment a copy of the weights.
    """
    policy = start.with_model(independent_copy(start.model))
    marks = _Marks(policy, plan, keep, goes_on)
    with tempfile.TemporaryDirectory(prefix="interlace-fork-") as folder:
        request = plan.of_fork(arm, number, Path(folder))
        trainer = kind.trainer(request, kind.configure(request), policy, marks)
        if plan.checkpoint is not None:
            take_over_second_moments(trainer, plan.checkpoint)
        before = Moments.of(trainer.optimizer)
        trainer.train()
    if marks.is_stopped:
        return None
    _refuse_broken(marks, arm, number)
    after = Moments.of(trainer.optimizer)
    start_of = before if plan.checkpoint is not None else replace(after, second=0.0)
    return ForkLog(_logged(trainer.state.log_history), after.since(start_of, plan.steps), after.momentum)


def trained_weights(policy: Policy) -> Weights:
    """Copies of the trainable weights, float32 or wider, on the CPU."""
    return {
        name: weight.detach().to("cpu", torch.promote_types(weight.dtype, torch.float32), copy=True)
        for name, weight in policy.model.named_parameters()
        if weight.requires_grad
    }


def _refuse_broken(marks: _Marks, arm: Arm, number: int) -> None:
    plan, broken = marks.plan, marks.broken
    missing = [mark for mark in plan.marks if mark not in marks.kept]
    if missing:
        found = f"its weights are not finite at step {broken[0]}" if broken else f"it ended before step {missing[0]}"
        raise TrainingError(
            f"fork {number + 1} of the {arm.name} arm must do {plan.steps} steps with finite weights. But {found}. "
            "Fork for fewer steps."
        )


def _is_finite(weight: Tensor) -> bool:
    return bool(torch.isfinite(weight).all())


def _logged(history: list[dict[str, Any]]) -> dict[str, tuple[float, ...]]:
    found = {name: tuple(float(entry[name]) for entry in history if name in entry) for name in LOGGED}
    return {name: values for name, values in found.items() if values}
