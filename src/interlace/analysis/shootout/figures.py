"""Figures of one arm of one run: a level or a change, over the prompts that speak."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from interlace.analysis.changes import OBJECTIVES, reward_level
from interlace.analysis.prompt_values import PromptValues
from interlace.analysis.reward_change import reward_difference
from interlace.analysis.shootout.leads import REWARD_UNIT, in_one, value_over_prompts
from interlace.analysis.shootout.limit import Limit
from interlace.analysis.shootout.seen import Seen
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics import (
    mean_interval,
    paired_change,
    paired_ratio_change,
    reward_interval,
)
from interlace.statistics.intervals import refusal_of

NATS = "nats/response"
NO_FRONT = Unresolved("the front at this reward is not known: the expert is not, or no policy has it")
NO_RIGHT = Unresolved("right and wrong expert responses were not told apart")
PASS_K = 8
"""Of pass@k, a column that no method trains for."""

PerPrompt = Float[np.ndarray, "prompt"]


class Told(NamedTuple):
    """A figure of one run, and the prompts' values that it is the mean of, where it has an interval."""

    figure: Figure
    prompts: PerPrompt | None = None


def reward_of(seen: Seen) -> Told:
    """R, reward units."""
    return Told(reward_level(seen.now.rewarded), seen.now.reward)


def reward_change_of(seen: Seen) -> Told:
    """R less the start's, the same prompts."""
    return Told(reward_difference(seen.start.rewarded, seen.now.rewarded, REWARD_UNIT).change, seen.rises()[0])


def sft_loss_of(seen: Seen) -> Told:
    """L, nats/response."""
    return Told(mean_interval(seen.now.loss, unit=NATS, least=0.0), seen.now.loss)


def sft_loss_change_of(seen: Seen) -> Told:
    """L less the start's, the same prompts."""
    return Told(paired_change(seen.start.loss, seen.now.loss, unit=NATS), seen.rises()[1])


def right_loss_change_of(seen: Seen) -> Told:
    """Change of the SFT loss on right expert responses (A11): what is lost of what one would want kept."""
    objective, held = OBJECTIVES["sft_loss_right"], seen.now.imitated.held
    if objective.refuses(held) is not None:
        return Told(NO_RIGHT)
    assert objective.share is not None
    before, after = (objective.value(at.imitated) for at in (seen.start, seen.now))
    share = objective.share(held)
    figure = paired_ratio_change(before, after, share, unit=NATS)
    prompts = PromptValues(before, after, share).of("change") if isinstance(figure, Estimate) else None
    return Told(figure, prompts)


def excess_of(seen: Seen, limit: Limit | None) -> Told:
    """SFT loss over the least that any policy can have at this reward (D9)."""
    if limit is None:
        return Told(NO_FRONT)
    refusal = refusal_of(seen.now.loss, "prompts") or refusal_of(seen.now.reward, "prompts")
    if refusal is not None:
        return Told(refusal)
    found = limit.excess(seen.now.loss, seen.now.reward)
    return Told(NO_FRONT) if found is None else Told(mean_interval(found, unit=NATS), found)


def pass_at_k_of(seen: Seen) -> Told:
    """pass@k, of enumerated rewards of 0 and 1."""
    scores = seen.now.rewarded.scores
    if not scores.reward_is_exact or scores.reward_values is None or scores.reward_probabilities is None:
        return Told(Unresolved("pass@k is read where rewards are enumerated"))
    if not np.isin(scores.reward_values, (0.0, 1.0)).all():
        return Told(Unresolved("pass@k speaks of rewards of 0 and 1"))
    rates = np.clip((scores.reward_probabilities * scores.reward_values).sum(axis=1), 0.0, 1.0)
    passed = 1.0 - (1.0 - rates) ** PASS_K
    return Told(reward_interval(passed, np.array([0.0, 1.0]), is_exact=True, unit="fraction"), passed)


def value_of(seen: Seen, exchange_rate: float) -> Told:
    """The change of R - lambda L, reward units."""
    values = seen.values(exchange_rate)
    figure = value_over_prompts(values)
    return Told(figure, in_one(list(values.values())) if isinstance(figure, Estimate) else None)


def within(figure: Figure, low: float, high: float) -> Figure:
    """The same with its interval cut to where the figure can be at all."""
    if isinstance(figure, Unresolved):
        return figure
    lower, upper = max(figure.lower, min(low, figure.value)), min(figure.upper, max(high, figure.value))
    return replace(figure, lower=lower, upper=upper)
