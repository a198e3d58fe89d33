"""The level of a bounded mean: an interval that stays in its range, and that samples never make certain.

A Student t interval of a 0/1 rate of .98 over 128 prompts covers in 92 % of cases, of a sampled rate of .002 in half to
nine tenths, and it reaches beyond 1. Levels of reward therefore take the interval below. Differences of reward do not:
they are paired prompt by prompt and lie far from the ends of their range, where Student t is right.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import special

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics.intervals import LEVEL, few_changed, mean_interval, paired_change
from interlace.statistics.rates import wilson_ends

PRIOR = 0.1
"""How much sampled prompts count, in prompts, for the widest scatter that their mean allows: successes that came from
one prompt or none do not tell how unequal prompts are. Chosen in simulation: coverage is 94 to 99 % from rates of .002
to .98 over 128 and 512 prompts of 2 to 16 samples, however unequal the prompts; without it, down to 87 %."""
PROMPTS_FOR_PRIOR = 64
"""With fewer prompts `PRIOR` shrinks in proportion: Student's quantile already widens the interval, and both together
cover 98 % at 16 equal prompts of 8 samples (97 % so)."""
ENUMERATED_PRIOR = 0.3
"""`PRIOR` of enumerated prompts, times how lumpy they are (`_lumpiness`): equal ones tell how equal prompts are, a few
that carry the mean do not. Chosen in simulation over Beta-distributed values of mean .05 to .95, from equal to nearly 0
or 1, 16 to 1000 prompts: coverage is 94.6 to 96.7 % on average and at least 93 % at each mean; without it down to 67 %,
and 40 % at a mean of .02 (96 % so). Means below .005 are covered in more than 97 %."""
CARRIERS = 4
"""Prompts that must carry the mean's distance from an end before their own scatter tells how unequal prompts are."""
METHOD = "Wilson over prompts, effective number by their variance"


def bounded_mean_interval(
    values: Float[np.ndarray, "prompt"],
    low: float,
    high: float,
    *,
    unit: str,
    is_exact: bool,
    level: float = LEVEL,
) -> Figure:
    """The mean over prompts of values in [`low`, `high`], with Wilson's interval at the effective number of trials.

    That number is (n - 1) m (1 - m) / s^2 with mean m and variance s^2 in units of the range: n - 1 where every prompt
    is at one end or the other (then it is Wilson's), more where values are smooth (in the middle of the range it
    becomes the Student t interval). Student's quantile stands in for the normal one.

    `is_exact`: each prompt's value is enumerated. Equal values inside the range are then known to be equal, and the
    interval has no width (`mean_interval`); sampled ones only happened to be (`PRIOR`). Where a handful of prompts
    carries nearly all, or all are at one end, the next ones may be at the other (`ENUMERATED_PRIOR`).

    Raises ValueError if `low` < `high` does not hold.

    >>> print(bounded_mean_interval(np.zeros(128), 0.0, 1.0, unit="reward units", is_exact=False))
    0.00 [0.00, 0.03] reward units
    """
    if not low < high:
        raise ValueError(f"low must be less than high. Got [{low}, {high}]. Use mean_interval for a constant.")
    plain = mean_interval(values, unit=unit, level=level)
    if isinstance(plain, Unresolved) or (is_exact and low < plain.lower == plain.upper < high):
        return plain
    count = values.size
    mean = min(1.0, max(0.0, (plain.value - low) / (high - low)))
    variance = float(values.var()) / (high - low) ** 2
    prior = ENUMERATED_PRIOR * _lumpiness(mean, variance, count) if is_exact else PRIOR
    prior *= min(1.0, count / PROMPTS_FOR_PRIOR)
    trials = (count - 1) * (count * mean * (1.0 - mean) + prior) / (count * variance + prior)
    lower, upper = wilson_ends(mean, trials, float(special.stdtrit(count - 1, 0.5 + level / 2)))
    ends = low + (high - low) * lower, low + (high - low) * upper
    return Estimate(plain.value, min(plain.value, ends[0]), max(plain.value, ends[1]), level, count, METHOD, unit)


def _lumpiness(mean: float, variance: float, count: int) -> float:
    """0: all prompts alike, or many carry the mean's distance from the nearer end; near 1: a few do; 1: all are there.

    The share c of prompts that carry is mean^2 / mean square; lumpiness is (1 - c)^2, less where c n > `CARRIERS`.
    """
    side = min(mean, 1.0 - mean)
    if side <= 0.0:
        return 1.0
    carrying = side**2 / (variance + side**2)
    return (1.0 - carrying) ** 2 * min(1.0, CARRIERS / (carrying * count)) ** 2


def sampled_change(
    before: Float[np.ndarray, "prompt"], after: Float[np.ndarray, "prompt"], *, unit: str, level: float = LEVEL
) -> Figure:
    """Mean of `after` - `before`, prompt means of sampled rewards: `paired_change`, refused where none changed too.

    Where most prompts are always right or always wrong, a few carry all of the change, and how much the next ones would
    change is not known; enumerated rewards that stay are known to. Right or wrong once a prompt: `rate_change`.
    """
    change = paired_change(before, after, unit=unit, level=level)
    if isinstance(change, Unresolved) or (before != after).any():
        return change
    return few_changed(0, before.size)


def reward_interval(
    means: Float[np.ndarray, "prompt"],
    rewards: Float[np.ndarray, "..."],
    *,
    is_exact: bool,
    unit: str = "reward units",
    level: float = LEVEL,
) -> Figure:
    """A level of reward from each prompt's mean, where `rewards` are all that were enumerated (`is_exact`) or sampled.

    The range is known where rewards are enumerated, and [0, 1] where all sampled ones are 0 or 1. Other sampled rewards
    have a Student t interval; Unresolved if they are all equal, because that says nothing about the next one.
    """
    if is_exact and np.ptp(rewards) > 0.0:
        return bounded_mean_interval(means, float(rewards.min()), float(rewards.max()), unit=unit, is_exact=True,
                                     level=level)  # fmt: skip
    if not is_exact and np.isin(rewards, (0.0, 1.0)).all():
        return bounded_mean_interval(means, 0.0, 1.0, unit=unit, is_exact=False, level=level)
    plain = mean_interval(means, unit=unit, level=level)
    if not is_exact and isinstance(plain, Estimate) and plain.lower == plain.upper:
        return Unresolved(f"every prompt's sampled reward is {plain.value:.4g}, and the reward's range is not known")
    return plain


def share_interval(hits: Float[np.ndarray, "unit"]) -> Figure:
    """The share of units that hit (0 or 1), a fraction."""
    return reward_interval(hits, np.array([0.0, 1.0]), is_exact=False, unit="fraction")
