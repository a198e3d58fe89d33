"""Which place an arm takes by its value, with intervals that hold for all arms together.

An arm's place is at least 1 + the number of arms that are resolved to be better, at most the number of arms less those
that are resolved to be worse, by paired differences of which all hold together: then all true places lie in their
intervals together at the level (Mohamad, Goeman and van Zwet; Mogstad et al.). Bonferroni, since each difference has
its own variance: over 3 or 5 seeds the quantile of the greatest of all |t| is Bonferroni's to a few per cent, while
Tukey's studentised range, which pools variances, holds for all in 60 to 82 % where arms scatter unequally (by up to 10
times, 12 or 36 arms).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from interlace.analysis.shootout.arms import Arm
from interlace.analysis.shootout.seen import Seen
from interlace.estimate import THIS_RECIPE, THIS_RUN, Estimate, Figure, Unresolved
from interlace.statistics.intervals import LEVEL, ROUNDING

NO_PLACE = Unresolved("places need two prompts, or two runs")
DIVERGED = Unresolved(
    "its change of R \u2212 \u03bbL is not finite in every run: it diverged, and is behind all others"
)


def ranks_of(seen: Mapping[Arm, Sequence[Seen]], exchange_rate: float) -> Mapping[Arm, Figure]:
    """The place of each arm's mean value, 1 the best: over seeds, or over prompts of one run. An arm that diverged in a
    run has none, and counts as worse than all that did not."""
    if not seen:
        return {}
    arms = list(seen)
    values = np.array([[each.gain(exchange_rate) for each in seen[arm]] for arm in arms])
    count = values.shape[1]
    samples = [values.T] if count > 1 else _by_prompt([each for (each,) in seen.values()], exchange_rate)
    units = min(len(sample) for sample in samples)
    if units < 2:
        return dict.fromkeys(arms, NO_PLACE)
    above = resolved_or_diverged(samples, comparisons_of(len(arms)))
    found = (units, "seeds", THIS_RECIPE) if count > 1 else (units, "prompts", THIS_RUN)
    return dict(zip(arms, places_of(values.mean(axis=1), above, *found), strict=True))


def comparisons_of(arms: int) -> int:
    """Pairs of so many arms."""
    return arms * (arms - 1) // 2


def _by_prompt(runs: Sequence[Seen], exchange_rate: float) -> list[Float[np.ndarray, "prompt arm"]]:
    with np.errstate(invalid="ignore"):  # inf - inf: not finite
        rises = [each.rises() for each in runs]
    rewards, losses = (np.stack(side, axis=1) for side in zip(*rises, strict=True))
    losses = -exchange_rate * losses
    return [rewards + losses] if all(each.is_paired for each in runs) else [rewards, losses]


def resolved_or_diverged(
    samples: Sequence[Float[np.ndarray, "_ arm"]], comparisons: int
) -> Bool[np.ndarray, "arm arm"]:
    """As `resolved_above`, of arms with values that are not finite: they are below all that have none."""
    finite = np.all([np.isfinite(each).all(axis=0) for each in samples], axis=0)
    above = np.asarray(finite[:, None] & ~finite)
    above[np.ix_(finite, finite)] = resolved_above([each[:, finite] for each in samples], comparisons)
    return above


def resolved_above(
    samples: Sequence[Float[np.ndarray, "*batch _ arm"]], comparisons: int
) -> Bool[np.ndarray, "*batch arm arm"]:
    """[i, j]: whether arm i is resolved to be above arm j, where `comparisons` pairs are to hold together.

    `samples`: values of units that measured all arms; the sum of the means of several that have nothing to do with each
    other (reward of one task, SFT loss of another). Paired Student t; of several samples with Welch's degrees of
    freedom.

    >>> values = np.array([[1.0, 0.0], [1.1, 0.0], [0.9, 0.0]])
    >>> resolved_above([values], 1).tolist()
    [[False, True], [False, False]]
    """
    apart = [values[..., :, None] - values[..., None, :] for values in samples]
    difference = sum(each.mean(axis=-3) for each in apart)
    variances = [each.var(axis=-3, ddof=1) / each.shape[-3] for each in apart]
    total = np.sum(variances, axis=0)
    parts = [(found / np.where(total > 0.0, total, 1.0)) ** 2 / (each.shape[-3] - 1)
             for found, each in zip(variances, apart, strict=True)]  # fmt: skip
    inverse = np.sum(parts, axis=0)
    freedom = 1.0 / np.where(inverse > 0.0, inverse, 1.0)
    quantile = special.stdtrit(freedom, 1.0 - (1.0 - LEVEL) / 2.0 / max(1, comparisons))
    return np.asarray(difference > np.maximum(quantile * np.sqrt(total), ROUNDING))


def places_of(
    means: Float[np.ndarray, "*task arm"],
    above: Bool[np.ndarray, "*task arm arm"],
    count: int,
    units: str,
    scope: str,
) -> list[Figure]:
    """Each arm's place by value with its interval, mean over tasks where there are several; `above` as of
    `resolved_above`, over all tasks together. None of an arm whose mean is -inf in any."""
    over, arms = tuple(range(means.ndim - 1)), means.shape[-1]
    place = places(means).mean(axis=over)
    lower, upper = 1 + above.sum(axis=-2).mean(axis=over), arms - above.sum(axis=-1).mean(axis=over)
    pairs = comparisons_of(arms) * int(np.prod(means.shape[:-1]))
    method = f"paired Student t over {units}, {pairs} differences together (Bonferroni)"
    diverged = ~np.isfinite(means).all(axis=over)
    return [
        DIVERGED if lost else Estimate(float(at), float(low), float(high), LEVEL, count, method, "", scope)
        for at, low, high, lost in zip(place, lower, upper, diverged, strict=True)
    ]


def places(values: Float[np.ndarray, "*row arm"]) -> Float[np.ndarray, "*row arm"]:
    """1 for the greatest of each row; ties share the mean of their places.

    >>> places(np.array([[0.5, 2.0, 0.5]])).tolist()
    [[2.5, 1.0, 2.5]]
    """
    above = (values[..., None, :] > values[..., :, None]).sum(axis=-1)
    equal = (values[..., None, :] == values[..., :, None]).sum(axis=-1)
    return np.asarray(above + 0.5 * (equal + 1))
