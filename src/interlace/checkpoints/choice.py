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
from interlace.errors import DataError
from interlace.estimate import Estimate, Figure, figure_text
from interlace.wording import number

BUDGET, EXCHANGE_RATE, NO_WORSE = "budget", "exchange_rate", "no_worse"


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
    checkpoint's. `exchange_rate` (reward units a nat of SFT loss is worth, >= 0): the largest reward - exchange_rate x
    SFT loss (A6). Neither: the largest reward whose SFT loss is not resolved above the least, on any task. Over several
    tasks reward and SFT loss are averaged.

    Without a reward the least SFT loss is recommended, without SFT loss the largest reward.

    Raises DataError as `check_rules` does.
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
    allowed = [p for p in profiles.values() if all(_rise(first, p, task) <= budget for task in first.losses)]
    if not allowed:
        raise DataError(f"{first.called} must have finite figures for a budget. It has not. Put another first.")
    best = max(allowed, key=lambda profile: (profile.reward, -profile.loss))
    if best is first:
        reason = f"nothing with more reward keeps its SFT loss within {number(budget)} nats/response of it"
    else:
        reason = f"the largest reward within {number(budget)} nats/response of {first.called}: {_against(first, best)}"
    return Recommendation(best.name, BUDGET, reason)


def _best_exchange(profiles: Mapping[str, Profile], rate: float) -> Recommendation:
    ranked = sorted(profiles.values(), key=lambda p: _worth(p, rate), reverse=True)
    best = ranked[0]
    reason = f"the largest reward \u2212 {rate:g} \u00d7 SFT loss: {number(_worth(best, rate))}"
    if len(ranked) > 1:
        reason += f"; next {ranked[1].called} with {number(_worth(ranked[1], rate))}: {_against(ranked[1], best)}"
    return Recommendation(best.name, EXCHANGE_RATE, reason)


def _no_worse(profiles: Mapping[str, Profile]) -> Recommendation:
    least = min(profiles.values(), key=lambda profile: _or_worst(profile.loss))
    kept = [profile for profile in profiles.values() if not _resolved_above(least, profile)]
    best = max(kept, key=lambda profile: (profile.reward, -profile.loss))
    if best is least:
        above = ", ".join(profile.called for profile in profiles.values() if profile.reward > best.reward)
        more = f"; more reward ({above}) only at an SFT loss resolved above it" if above else ", and no less reward"
        reason = f"the least SFT loss, {_level(best, 'sft_loss')}{more}"
    else:
        reason = f"the largest reward whose SFT loss is not resolved above the least: {_against(least, best)}"
    return Recommendation(best.name, NO_WORSE, reason)


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


def _rise(first: Profile, other: Profile, task: str) -> float:
    rise = other.losses[task] - first.losses[task]
    return rise if math.isfinite(rise) else math.inf


def _resolved_above(least: Profile, other: Profile) -> bool:
    """Whether a task's SFT loss is above the least's beyond its interval, or is not finite."""
    if other is least:
        return False
    changes = [_change(least, other, task, "sft_loss") for task in least.losses]
    return any(not isinstance(change, Estimate) or change.sign > 0 for change in changes)


def _worth(profile: Profile, rate: float) -> float:
    worth = profile.reward - rate * profile.loss
    return worth if math.isfinite(worth) else -math.inf


def _or_worst(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf


def _level(profile: Profile, objective: str) -> str:
    return ", ".join(
        figure_text(figure) + (f" on {task}" if len(profile.tasks) > 1 else "")
        for task, item in profile.tasks.items()
        if isinstance(figure := level_of(objective, item), Estimate)
    )


def _dominates(other: tuple[float, ...], own: tuple[float, ...]) -> bool:
    return all(a >= b for a, b in zip(other, own, strict=True)) and other != own


def check_rules(budget: float | None, exchange_rate: float | None) -> None:
    """Raise DataError for both rules at once, or one that is negative or not finite."""
    if budget is not None and exchange_rate is not None:
        raise DataError("budget and exchange_rate must not stand together: each is a rule. Got both. Drop one.")
    for name, value in (("budget", budget), ("exchange_rate", exchange_rate)):
        if value is not None and not (math.isfinite(value) and value >= 0.0):
            raise DataError(f"{name} must be finite and at least 0. Got {value}. Give another.")
