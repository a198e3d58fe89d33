"""One fork: a training of a few steps on a copy of the policy, of which only weights at its marks are kept."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interlace.callback import CountingCallback
from interlace.callback.events import TrainerEvent
from interlace.errors import Interrupted, TrainingError
from interlace.forking.plan import Arm, ForkPlan
from interlace.forking.second_moment import Moments, go_on_with_schedule, take_over_second_moments
from interlace.policies import Policy
from interlace.policies.policy import independent_copy
from interlace.stages.base import Stage

Weights = Mapping[str, Tensor]

LOGGED = ("reward", "entropy", "clip_ratio/region_mean", "completions/mean_length", "grad_norm", "loss")
"""What is kept of the trainer's own log, step by step."""


@dataclass(frozen=True)
class Fork:
    """What a fork left: its weights at each mark (float32, CPU), how its trainer saw it, and its momentum's decay.

    `mean_square_gradient`: of its gradients as clipped, the later steps weighing most; NaN where no optimizer tells.
    """

    weights: Mapping[int, Weights]
    log: Mapping[str, tuple[float, ...]]
    mean_square_gradient: float
    momentum: float


class _Marks(CountingCallback):
    """Keeps the weights after the steps in `marks`; ends the training after the last, or when it is stopped."""

    def __init__(self, policy: Policy, plan: ForkPlan, is_stopped: Callable[[], bool]) -> None:
        self.policy, self.marks, self.is_stopped = policy, plan.marks, is_stopped
        self.schedule_of = plan.checkpoint if plan.from_step else None
        self.counters: dict[str, float] = {}
        self.kept: dict[int, Weights] = {}

    def training_begins(self, event: TrainerEvent) -> None:
        """The trainer has made its schedule by now."""
        if self.schedule_of is not None and event.optimizer is not None:
            go_on_with_schedule(event.optimizer, event.rest["lr_scheduler"], self.schedule_of)

    def after_step(self, event: TrainerEvent) -> None:
        """Look at the step's number only."""
        if event.step in self.marks:
            self.kept[event.step] = trained_weights(self.policy)
        if event.step >= self.marks[-1] or self.is_stopped():
            event.control.should_training_stop = True


def train_fork(
    kind: Stage,
    plan: ForkPlan,
    arm: Arm,
    number: int,
    start: Policy,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Fork:
    """Train fork `number` of `arm` from `start`, which stays as it is, while the global random states move.

    Raises RecipeError for a placebo that the stage's settings forbid, TrainingError if the fork's weights are no longer
    finite, Interrupted if `is_stopped` says so. Cost: the steps of a stage; memory of the policy, its gradients and its
    optimizer once more, and a copy of the weights a mark.
    """
    policy = start.with_model(independent_copy(start.model))
    marks = _Marks(policy, plan, is_stopped)
    with tempfile.TemporaryDirectory(prefix="interlace-fork-") as folder:
        request = plan.of_fork(arm, number, Path(folder))
        trainer = kind.trainer(request, kind.configure(request), policy, marks)
        if plan.checkpoint is not None:
            take_over_second_moments(trainer, plan.checkpoint)
        before = Moments.of(trainer.optimizer)
        trainer.train()
    if is_stopped():
        raise Interrupted(f"stopped in the forks of {plan.request.stage}: none of them is kept.", exit_code=130)
    _refuse_broken(marks.kept, plan, arm, number)
    after = Moments.of(trainer.optimizer)
    start_of = before if plan.checkpoint is not None else replace(after, second=0.0)
    return Fork(marks.kept, _logged(trainer.state.log_history), after.since(start_of, plan.steps), after.momentum)


def trained_weights(policy: Policy) -> Weights:
    """Copies of the trainable weights, float32 or wider, on the CPU."""
    return {
        name: weight.detach().to("cpu", torch.promote_types(weight.dtype, torch.float32), copy=True)
        for name, weight in policy.model.named_parameters()
        if weight.requires_grad
    }


def _refuse_broken(kept: Mapping[int, Weights], plan: ForkPlan, arm: Arm, number: int) -> None:
    missing = [mark for mark in plan.marks if mark not in kept]
    broken = [mark for mark, weights in kept.items() if not all(map(_is_finite, weights.values()))]
    if missing or broken:
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
