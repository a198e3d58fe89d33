"""Figures of one arm of one run: a level or a change, over the prompts that speak."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from interlace.analysis.changes import OBJECTIVES, reward_level
from interlace.analysis.reward_change import reward_difference
from interlace.analysis.shootout.limit import Limit
from interlace.analysis.shootout.seen import Seen
from interlace.estimate import Figure, Unresolved
from interlace.statistics import (
    mean_interval,
    paired_change,
    paired_ratio_change,
    reward_interval,
    sum_of_means_interval,
)
from interlace.statistics.intervals import refusal_of

NATS, REWARD_UNIT = "nats/response", "reward units"
NO_FRONT = Unresolved("the front at this reward is not known: the expert is not, or no policy has it")
NO_RIGHT = Unresolved("right and wrong expert responses were not told apart")
PASS_K = 8
"""Of pass@k, a column that no method trains for."""

PerPrompt = Float[np.ndarray, "prompt"]


def reward_of(seen: Seen) -> Figure:
    """R, reward units."""
    return reward_level(seen.now.rewarded)


def reward_change_of(seen: Seen) -> Figure:
    """R less the start's, the same prompts."""
    return reward_difference(seen.start.rewarded, seen.now.rewarded, REWARD_UNIT).change


def sft_loss_of(seen: Seen) -> Figure:
    """L, nats/response."""
    return mean_interval(seen.now.loss, unit=NATS, least=0.0)


def sft_loss_change_of(seen: Seen) -> Figure:
    """L less the start's, the same prompts."""
    return paired_change(seen.start.loss, seen.now.loss, unit=NATS)


def right_loss_change_of(seen: Seen) -> Figure:
    """Change of the SFT loss on right expert responses (A11): what is lost of what one would want kept."""
    objective, held = OBJECTIVES["sft_loss_right"], seen.now.imitated.held
    if objective.refuses(held) is not None:
        return NO_RIGHT
    assert objective.share is not None
    before, after = (objective.value(at.imitated) for at in (seen.start, seen.now))
    return paired_ratio_change(before, after, objective.share(held), unit=NATS)


def excess_of(seen: Seen, limit: Limit | None) -> Figure:
    """SFT loss over the least that any policy can have at this reward (D9)."""
    if limit is None:
        return NO_FRONT
    refusal = refusal_of(seen.now.loss, "prompts") or refusal_of(seen.now.reward, "prompts")
    if refusal is not None:
        return refusal
    found = limit.excess(seen.now.loss, seen.now.reward)
    return NO_FRONT if found is None else mean_interval(found, unit=NATS)


def pass_at_k_of(seen: Seen) -> Figure:
    """pass@k, of enumerated rewards of 0 and 1."""
    scores = seen.now.rewarded.scores
    if not scores.reward_is_exact or scores.reward_values is None or scores.reward_probabilities is None:
        return Unresolved("pass@k is read where rewards are enumerated")
    if not np.isin(scores.reward_values, (0.0, 1.0)).all():
        return Unresolved("pass@k speaks of rewards of 0 and 1")
    rates = np.clip((scores.reward_probabilities * scores.reward_values).sum(axis=1), 0.0, 1.0)
    passed = 1.0 - (1.0 - rates) ** PASS_K
    return reward_interval(passed, np.array([0.0, 1.0]), is_exact=True, unit="fraction")


def within(figure: Figure, low: float, high: float) -> Figure:
    """The same with its interval cut to where the figure can be at all."""
    if isinstance(figure, Unresolved):
        return figure
    lower, upper = max(figure.lower, min(low, figure.value)), min(figure.upper, max(high, figure.value))
    return replace(figure, lower=lower, upper=upper)


def value_of(seen: Seen, exchange_rate: float) -> Figure:
    """The change of R - lambda L, reward units."""
    return _valued(*seen.rises(), seen.is_paired, exchange_rate)


def lead_of(seen: Seen, opponent: Seen, exchange_rate: float) -> Figure:
    """By how much the value is above the opponent's, on the same prompts of the same run."""
    pairs = zip(seen.rises(), opponent.rises(), strict=True)
    with np.errstate(invalid="ignore"):  # inf - inf: not finite
        reward, loss = (mine - other for mine, other in pairs)
    return _valued(reward, loss, seen.is_paired, exchange_rate)


def _valued(reward: PerPrompt, loss: PerPrompt, is_paired: bool, exchange_rate: float) -> Figure:
    if is_paired:
        return mean_interval(reward - exchange_rate * loss, unit=REWARD_UNIT)
    return sum_of_means_interval([reward, -exchange_rate * loss], unit=REWARD_UNIT)
