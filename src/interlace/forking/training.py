"""One fork: a training of a few steps on a copy of the policy, of which only weights at its marks are kept."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerControl, TrainerState, TrainingArguments

from interlace.callback import CountingCallback
from interlace.errors import TrainingError
from interlace.forking.plan import Arm, ForkPlan
from interlace.forking.second_moment import mean_second_moment, take_over_second_moments
from interlace.policies import Policy
from interlace.policies.policy import independent_copy
from interlace.stages.base import Stage

Weights = Mapping[str, Tensor]

LOGGED = ("reward", "entropy", "clip_ratio/region_mean", "completions/mean_length", "grad_norm", "loss")
"""What is kept of the trainer's own log, step by step."""


@dataclass(frozen=True)
class Fork:
    """What a fork left: its weights at each mark (float32, CPU), how its trainer saw it, and its optimizer."""

    weights: Mapping[int, Weights]
    log: Mapping[str, tuple[float, ...]]
    second_moment: float


class _Marks(CountingCallback):
    """Keeps the weights after the steps in `marks`, and ends the training after the last."""

    def __init__(self, policy: Policy, marks: tuple[int, ...]) -> None:
        self.policy, self.marks = policy, marks
        self.counters: dict[str, float] = {}
        self.kept: dict[int, Weights] = {}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Look at the step's number only."""
        if state.global_step in self.marks:
            self.kept[state.global_step] = trained_weights(self.policy)
        if state.global_step >= self.marks[-1]:
            control.should_training_stop = True


def train_fork(kind: Stage, plan: ForkPlan, arm: Arm, number: int, start: Policy) -> Fork:
    """Train fork `number` of `arm` from `start`, which stays as it is, while the global random states move.

    Raises RecipeError for a placebo that the stage's settings forbid, TrainingError if the fork's weights are no longer
    finite. Cost: the steps of a stage; memory of the policy, its gradients and its optimizer once more, and a copy of
    the weights a mark.
    """
    policy = start.with_model(independent_copy(start.model))
    marks = _Marks(policy, plan.marks)
    with tempfile.TemporaryDirectory(prefix="interlace-fork-") as folder:
        request = plan.of_fork(arm, number, Path(folder))
        trainer = kind.trainer(request, kind.configure(request), policy, marks)
        if plan.checkpoint is not None:
            take_over_second_moments(trainer, plan.checkpoint)
        trainer.train()
    _refuse_broken(marks.kept, plan, arm, number)
    return Fork(marks.kept, _logged(trainer.state.log_history), mean_second_moment(trainer.optimizer))


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
