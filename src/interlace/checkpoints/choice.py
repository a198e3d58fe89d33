"""Which checkpoint: the Pareto set in every objective, and a recommendation that says its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace.analysis.trajectory import REWARD, SFT_LOSS, Snapshot
from interlace.analysis.words import signed
from interlace.checkpoints.objectives import compare, level_of
from interlace.errors import DataError, RecipeError
from interlace.estimate import Estimate, Figure, figure_text
from interlace.wording import counted, number

BUDGET, EXCHANGE_RATE, NO_WORSE = "budget", "exchange_rate", "no_worse"
ABOVE, OPEN = "above", "open"
"""How an SFT loss may stand to the least, besides no worse."""
TOLERANCE = 0.05
"""A checkpoint is no worse than the one with the least SFT loss if the upper end of its rise is at most this share of
that loss, on every task, and the rise itself is not resolved."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The checkpoint to keep, by which rule, and why."""

    checkpoint: str
    rule: str
    reason: str

    def __str__(self) -> str:
        return f"{self.checkpoint}: {self.reason}"

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {"checkpoint": self.checkpoint, "rule": self.rule, "reason": self.reason}


@dataclass(frozen=True, eq=False)
class Profile:
    """A checkpoint's snapshots by task; `kind` is a word for what it is, where the name alone does not say."""

    name: str
    tasks: Mapping[str, Snapshot]
    kind: str = ""

    @property
    def called(self) -> str:
        """The name in a sentence: of a position on a line, with that word."""
        return f"{self.kind} {self.name}".strip()

    @property
    def losses(self) -> dict[str, float]:
        """SFT loss of each task that has an expert, nats/response."""
        return {task: float(item.loss.mean()) for task, item in self.tasks.items() if item.has(SFT_LOSS)}

    @property
    def rewards(self) -> dict[str, float]:
        """Reward of each task that has one, reward units."""
        return {task: float(item.reward.mean()) for task, item in self.tasks.items() if item.has(REWARD)}

    @property
    def loss(self) -> float:
        """Mean SFT loss over tasks, nats/response; NaN where no task has an expert."""
        return float(np.mean(list(self.losses.values()))) if self.losses else math.nan

    @property
    def reward(self) -> float:
        """Mean reward over tasks; NaN where no task has one."""
        return float(np.mean(list(self.rewards.values()))) if self.rewards else math.nan

    @property
    def gains(self) -> tuple[float, ...]:
        """Every objective, more is better; what is not finite is the worst."""
        return tuple(
            value if math.isfinite(value) else -math.inf
            for value in (*(-loss for loss in self.losses.values()), *self.rewards.values())
        )


def pareto(profiles: Mapping[str, Profile]) -> tuple[str, ...]:
    """The names that no other beats in one objective and equals or beats in all, by the measured means, in order."""
    gains = {name: profile.gains for name, profile in profiles.items()}
    return tuple(name for name, own in gains.items() if not any(_dominates(other, own) for other in gains.values()))


def recommend(
    profiles: Mapping[str, Profile], *, budget: float | None = None, exchange_rate: float | None = None
) -> Recommendation:
    """One of the Pareto set.

    `budget` (nats/response, >= 0): the largest reward at which no task's SFT loss is more than that above the first
    checkpoint's by the upper end of the paired change's interval, so that noise on the prompts that choose does not
    pass for a low loss; what keeps within it by its mean alone is said, and not taken. `exchange_rate` (reward units a
    nat of SFT loss is worth, >= 0): the largest reward - exchange_rate x SFT loss (A6). Neither: the largest reward
    among what is no worse in SFT loss than the least (`TOLERANCE`), on every task; more reward at an SFT loss that is
    not resolved is said, and not taken. Over several tasks reward and SFT loss are averaged.

    Without a reward the least SFT loss is recommended, without SFT loss the largest reward.

    Raises RecipeError as `check_rules` does.
    """
    assert profiles, "a recommendation needs a checkpoint"
    check_rules(budget, exchange_rate)
    first = next(iter(profiles.values()))
    if not first.rewards:
        best = min(profiles.values(), key=lambda profile: profile.loss)
        reason = f"the least SFT loss, {_level(best, 'sft_loss')}; there is no reward to weigh"
        return Recommendation(best.name, NO_WORSE, reason)
    if not first.losses:
        best = max(profiles.values(), key=lambda profile: profile.reward)
        reason = f"the largest reward, {_level(best, 'reward')}; there is no SFT loss to weigh"
        return Recommendation(best.name, NO_WORSE, reason)
    if budget is not None:
        return _within(profiles, first, budget)
    return _no_worse(profiles) if exchange_rate is None else _best_exchange(profiles, exchange_rate)


def _within(profiles: Mapping[str, Profile], first: Profile, budget: float) -> Recommendation:
    if not all(map(math.isfinite, first.losses.values())):
        raise DataError(f"{first.called} must have finite figures for a budget. It has not. Put another first.")
    allowed = [profile for profile in profiles.values() if largest_rise(first, profile) <= budget]
    best = max(allowed, key=lambda profile: (profile.reward, -profile.loss))
    within = f"within {budget:g} nats/response of {first.called} by the upper end of its interval"
    if best is first:
        reason = "no blend meets the budget: " if first.kind else ""
        reason += f"none of the {_measured(profiles)} has more reward and keeps its SFT loss {within}"
    else:
        reason = f"of the {_measured(profiles)} the largest reward whose SFT loss stays {within}: "
        reason += _against(first, best)
    more = [profile for profile in profiles.values() if profile.reward > best.reward]
    open_to = [profile.called for profile in more if max(_rises(first, profile).values()) <= budget]
    if open_to:
        reason += f"; more reward ({', '.join(open_to)}) is within it by the mean alone: measure more prompts"
    return Recommendation(best.name, BUDGET, reason)


def largest_rise(first: Profile, other: Profile) -> float:
    """Upper end of the paired change of SFT loss from `first` on the task where it is largest, nats/response.

    0 of the first itself; inf where a change has no interval.
    """
    if other is first:
        return 0.0
    changes = (_change(first, other, task, "sft_loss") for task in first.losses)
    return max(change.upper if isinstance(change, Estimate) else math.inf for change in changes)


def _best_exchange(profiles: Mapping[str, Profile], rate: float) -> Recommendation:
    ranked = sorted(profiles.values(), key=lambda p: _worth(p, rate), reverse=True)
    best, worth = ranked[0], f"reward \u2212 {rate:g} \u00d7 SFT loss"
    reason = f"of the {_measured(profiles)} the largest {worth}: {number(_worth(best, rate))}"
    if len(ranked) > 1:
        reason += f"; next {ranked[1].called} with {number(_worth(ranked[1], rate))}: {_against(ranked[1], best)}"
    return Recommendation(best.name, EXCHANGE_RATE, reason)


def _measured(profiles: Mapping[str, Profile]) -> str:
    """How many were chosen from: what lies between positions was not looked at."""
    return f"{counted(len(profiles), next(iter(profiles.values())).kind or 'checkpoint')} measured"


def _no_worse(profiles: Mapping[str, Profile]) -> Recommendation:
    least = min(profiles.values(), key=lambda profile: _or_worst(profile.loss))
    standing = {name: _standing(least, profile) for name, profile in profiles.items()}
    kept = [profile for name, profile in profiles.items() if standing[name] == NO_WORSE]
    best = max(kept, key=lambda profile: (profile.reward, -profile.loss))
    if best is least:
        reason = f"the least SFT loss, {_level(best, 'sft_loss')}"
    else:
        within = f"within {TOLERANCE:.0%} of the least by the upper end of its interval"
        reason = f"the largest reward whose SFT loss is no worse ({within}): {_against(least, best)}"
    more = {name: profile for name, profile in profiles.items() if profile.reward > best.reward}
    return Recommendation(best.name, NO_WORSE, reason + _passed_over(more, standing))


def _passed_over(more: Mapping[str, Profile], standing: Mapping[str, str]) -> str:
    """Which checkpoints have more reward, and why they are not recommended."""
    if not more:
        return ", and no less reward"
    words = {
        ABOVE: "more reward ({}) only at an SFT loss resolved above it",
        OPEN: f"more reward ({{}}) at an SFT loss that is not known to be no worse (it may be over {TOLERANCE:.0%} "
        "above the least: measure more prompts, or give a budget)",
    }
    said = {kind: [profile.called for name, profile in more.items() if standing[name] == kind] for kind in words}
    return "".join(f"; {words[kind].format(', '.join(names))}" for kind, names in said.items() if names)


def _standing(least: Profile, other: Profile) -> str:
    """Whether the SFT loss is no worse than the least's on every task, resolved above it on one, or open."""
    if other is least:
        return NO_WORSE
    changes = {task: _change(least, other, task, "sft_loss") for task in least.losses}
    if any(change.sign > 0 for change in changes.values()) or not math.isfinite(other.loss):
        return ABOVE
    known = (
        isinstance(change, Estimate) and change.upper <= TOLERANCE * least.losses[task]
        for task, change in changes.items()
    )
    return NO_WORSE if all(known) else OPEN


def _against(before: Profile, after: Profile) -> str:
    """Both changes between two checkpoints in words, task by task."""
    several = len(before.tasks) > 1
    parts = [
        f"{words} {signed(change, unit=objective == 'sft_loss')}{f' on {task}' if several else ''}"
        for task in before.tasks
        for objective, words in (("reward", "reward"), ("sft_loss", "SFT loss"))
        if isinstance(change := _change(before, after, task, objective), Estimate)
    ]
    return f"{', '.join(parts)} against {before.called}"


def _change(before: Profile, after: Profile, task: str, objective: str) -> Figure:
    return compare(objective, before.tasks[task], after.tasks[task]).change


def _rises(first: Profile, other: Profile) -> dict[str, float]:
    """By how much the mean SFT loss of each task is above the first's; inf where it is not finite."""
    rises = {task: other.losses[task] - loss for task, loss in first.losses.items()}
    return {task: rise if math.isfinite(rise) else math.inf for task, rise in rises.items()}


def _worth(profile: Profile, rate: float) -> float:
    worth = profile.reward - rate * profile.loss
    return worth if math.isfinite(worth) else -math.inf


def _or_worst(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf


def _level(profile: Profile, objective: str) -> str:
    """The objective's figures in words, task by task; what has no interval is said to have none."""
    said = (
        figure_text(figure) + (f" on {task}" if len(profile.tasks) > 1 else "")
        for task, item in profile.tasks.items()
        if isinstance(figure := level_of(objective, item), Estimate)
    )
    return ", ".join(said) or "by the means alone, which have no interval"


def _dominates(other: tuple[float, ...], own: tuple[float, ...]) -> bool:
    return all(a >= b for a, b in zip(other, own, strict=True)) and other != own


def check_rules(budget: float | None, exchange_rate: float | None) -> None:
    """Raise RecipeError for both rules at once, or one that is negative or not finite."""
    if budget is not None and exchange_rate is not None:
        raise RecipeError("--budget and --exchange-rate must not stand together: each is a rule. Got both. Drop one.")
    for name, value in (("--budget", budget), ("--exchange-rate", exchange_rate)):
        if value is not None and not (math.isfinite(value) and value >= 0.0):
            raise RecipeError(f"{name} must be finite and at least 0. Got {value}. Give another.")
