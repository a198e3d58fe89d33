"""Which place an arm takes by its value, with intervals that hold for all arms together.

An arm's place is at least 1 + the number of arms that are resolved to be better, at most the number of arms less those
that are resolved to be worse, by leads (`leads`) of which all hold together: then all true places lie in their
intervals together at the level (Mohamad, Goeman and van Zwet; Mogstad et al.). Bonferroni, since each difference has
its own variance: over 3 or 5 seeds the quantile of the greatest of all |t| is Bonferroni's to a few per cent, while
Tukey's studentised range, which pools variances, holds for all in 60 to 82 % where arms scatter unequally (by up to 10
times, 12 or 36 arms).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from interlace.analysis.shootout.arms import Arm
from interlace.analysis.shootout.contest import Contest
from interlace.analysis.shootout.leads import resolved_above
from interlace.analysis.shootout.seen import Seen
from interlace.estimate import THIS_RECIPE, THIS_RUN, Estimate, Figure, Unresolved
from interlace.statistics.intervals import LEVEL

NO_PLACE = Unresolved("places need two prompts, or two runs")
DIVERGED = Unresolved(
    "its change of R \u2212 \u03bbL is not finite in every run: it diverged, and is behind all others"
)


def ranks_of(contest: Contest, seen: Mapping[Arm, Sequence[Seen]]) -> Mapping[Arm, Figure]:
    """The place of each arm's mean value, 1 the best: over seeds, or over prompts of one run. An arm that diverged in a
    run has none, and counts as worse than all that did not."""
    if not seen:
        return {}
    arms = list(seen)
    means = np.array([np.mean([each.gain(contest.exchange_rate) for each in seen[arm]]) for arm in arms])
    prompts = [[each.values(contest.exchange_rate) for each in seen[arm]] for arm in arms]
    runs, least = len(contest.records), min(part.size for part in prompts[0][0].values())
    if max(runs, least) < 2:
        return dict.fromkeys(arms, NO_PLACE)
    above = resolved_above(prompts, contest.shared, comparisons_of(len(arms)))
    over_runs = runs, units_of(contest.is_shared), THIS_RECIPE
    found = over_runs if runs > 1 else (least, "prompts", THIS_RUN)
    return dict(zip(arms, places_of(means, above, *found), strict=True))


def units_of(is_shared: bool) -> str:
    """Over what leads are: over runs, and over their prompts too where all of them have the same."""
    return "seeds and prompts" if is_shared else "seeds"


def comparisons_of(arms: int) -> int:
    """Pairs of so many arms."""
    return arms * (arms - 1) // 2


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
