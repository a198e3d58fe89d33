"""Each objective at a stage's start and end, and its exact change, paired prompt by prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from interlace.analysis.lenient import OBJECTIVE as REWARD_LENIENT
from interlace.analysis.lenient import lenient_difference, lenient_level
from interlace.analysis.prompt_values import PromptValues
from interlace.analysis.reward_change import reward_difference
from interlace.analysis.summary import ObjectiveChange
from interlace.analysis.trajectory import LENIENT, REWARD, SFT_LOSS, Snapshot, Trajectory
from interlace.estimate import Figure, Unresolved
from interlace.measurement import HeldOut, PromptScores
from interlace.statistics import (
    PairedDifference,
    mean_interval,
    paired_change,
    paired_ratio_change,
    ratio_interval,
    reward_interval,
)
from interlace.statistics.intervals import LEVEL, ratio_influence

NATS_RESPONSE, NATS_TOKEN, REWARD_UNIT = "nats/response", "nats/token", "reward units"

PerPrompt = Float[np.ndarray, "prompt"]


@dataclass(frozen=True, slots=True)
class Objective:
    """A mean over prompts of `value`; with `share`, the sum of `value` over the sum of `share` (prompts as clusters).

    `refuses` gives the reason why a held-out set does not have this objective, if so. `level` makes the interval of the
    objective at one snapshot where its values are bounded, `difference` that of its change where it is sampled; without
    it values are at least 0 (losses, divergences). `is_optional`: nothing is said of it where it was not measured.
    """

    quantity: str
    unit: str
    value: Callable[[Snapshot], PerPrompt]
    share: Callable[[HeldOut], PerPrompt] | None = None
    refuses: Callable[[HeldOut], str | None] = lambda held: None
    level: Callable[[Snapshot], Figure] | None = None
    difference: Callable[[Snapshot, Snapshot, str], PairedDifference] | None = None
    is_optional: bool = False

    def prompts(self, before: Snapshot, after: Snapshot) -> PromptValues:
        """What each prompt contributes at both."""
        values = self.value(before)
        share = np.ones(values.size) if self.share is None else self.share(before.held)
        return PromptValues(values, self.value(after), share)

    def influence(self, before: Snapshot, after: Snapshot) -> PerPrompt:
        """What each prompt that is counted adds to the error of the change (`influence_interval`)."""
        change = self.value(after) - self.value(before)
        return change if self.share is None else ratio_influence(change, self.share(before.held))[1]

    def figure(self, snapshot: Snapshot) -> Figure:
        """The objective at one snapshot."""
        if self.level is not None:
            return self.level(snapshot)
        if self.share is None:
            return mean_interval(self.value(snapshot), unit=self.unit, least=0.0)
        return ratio_interval(self.value(snapshot), self.share(snapshot.held), unit=self.unit, least=0.0)

    def change(self, before: Snapshot, after: Snapshot, level: float = LEVEL) -> Figure:
        """The objective at `after` minus at `before`, the same prompts; a sampled one at `LEVEL` alone."""
        if self.difference is not None:
            return self.difference(before, after, self.unit).change
        pair = self.value(before), self.value(after)
        if self.share is None:
            return paired_change(*pair, unit=self.unit, level=level)
        return paired_ratio_change(*pair, self.share(before.held), unit=self.unit, level=level)


def _only(
    chosen: Callable[[HeldOut], Bool[np.ndarray, "response"]], word: str
) -> tuple[Callable[[Snapshot], PerPrompt], Callable[[HeldOut], PerPrompt], Callable[[HeldOut], str | None]]:
    """Value, share and refusal of the mean loss over the `chosen` expert responses."""

    def value(snapshot: Snapshot) -> PerPrompt:
        return snapshot.held.per_prompt(np.where(chosen(snapshot.held), snapshot.response_loss, 0.0))

    def share(held: HeldOut) -> PerPrompt:
        return held.per_prompt(chosen(held).astype(np.float64))

    def refuses(held: HeldOut) -> str | None:
        return not_binary(held) or (None if chosen(held).any() else f"no expert response is {word}")

    return value, share, refuses


def not_binary(held: HeldOut) -> str | None:
    """Why A11 does not divide this held-out set into right and wrong responses, if so."""
    if np.isnan(held.reward).any():
        return f"task {held.task} has no reward"
    return None if held.reward_is_binary else "right and wrong need a binary reward (A11); this one has other values"


def reward_level(snapshot: Snapshot) -> Figure:
    """R at one snapshot, reward units; the interval stays in the reward's range."""
    scores = snapshot.scores
    assert scores.reward_values is not None
    return reward_interval(snapshot.reward, scores.reward_values, is_exact=scores.reward_is_exact, unit=REWARD_UNIT)


def _lenient(snapshot: Snapshot) -> PerPrompt:
    """The lenient reward of each prompt that completions were read of, reward units."""
    rewards = snapshot.scores.lenient_rewards
    assert rewards is not None
    return PromptScores.sampled(rewards).mean_reward()


OBJECTIVES: Mapping[str, Objective] = {
    "sft_loss": Objective(SFT_LOSS, NATS_RESPONSE, lambda snapshot: snapshot.loss),
    "sft_loss_per_token": Objective(
        SFT_LOSS,
        NATS_TOKEN,
        lambda snapshot: snapshot.loss,
        lambda held: held.per_prompt(held.num_tokens.astype(np.float64)),
    ),
    "sft_loss_right": Objective(SFT_LOSS, NATS_RESPONSE, *_only(lambda held: held.is_right, "right")),
    "sft_loss_wrong": Objective(SFT_LOSS, NATS_RESPONSE, *_only(lambda held: ~held.is_right, "wrong")),
    "reward": Objective(
        REWARD, REWARD_UNIT, lambda snapshot: snapshot.reward, level=reward_level, difference=reward_difference
    ),
    REWARD_LENIENT: Objective(
        LENIENT, REWARD_UNIT, _lenient, level=lenient_level, difference=lenient_difference, is_optional=True
    ),
}


def objective_changes(trajectory: Trajectory) -> tuple[ObjectiveChange, ...]:
    """Every objective over a stage, for one task and one kind of weights; what is missing is said in its place, or left
    out where it is optional. A stage that was rewound to its start stands where it began."""
    found = {name: objective for name, objective in OBJECTIVES.items()
             if not (objective.is_optional and trajectory.gap(objective.quantity))}  # fmt: skip
    return tuple(_change(trajectory, name, objective) for name, objective in found.items())


def _change(trajectory: Trajectory, name: str, objective: Objective) -> ObjectiveChange:
    refusal = trajectory.gap(objective.quantity) or objective.refuses(trajectory.held)
    part = trajectory.measured(objective.quantity)
    if refusal is not None:
        missing = Unresolved(refusal)
        stands = objective.figure(part.start) if refusal == trajectory.rewound else missing
        return ObjectiveChange(trajectory.task, name, trajectory.weights, stands, stands, missing)
    return ObjectiveChange(
        task=trajectory.task,
        objective=name,
        weights=trajectory.weights,
        before=objective.figure(part.start),
        after=objective.figure(part.end),
        change=objective.change(part.start, part.end),
        prompts=objective.prompts(part.start, part.end),
    )
