"""Which place an arm takes by its value, with the interval of what other prompts or seeds might have said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from interlace.analysis.shootout.arms import Arm
from interlace.analysis.shootout.seen import Seen
from interlace.estimate import THIS_RECIPE, THIS_RUN, Estimate, Figure, Unresolved
from interlace.statistics import student_draws
from interlace.statistics.intervals import LEVEL

DRAWS = 4000
NO_PLACE = Unresolved("places need two prompts, or two runs, and values that are finite")


def ranks_of(seen: Mapping[Arm, Sequence[Seen]], exchange_rate: float) -> Mapping[Arm, Figure]:
    """The place of each arm's mean value, 1 the best: over seeds, or over prompts of one run; all arms together, so
    that what is common to them does not count."""
    if not seen:
        return {}
    rng, arms = np.random.default_rng(0), list(seen)
    values = np.array([[each.gain(exchange_rate) for each in seen[arm]] for arm in arms])
    count = values.shape[1]
    units = count if count > 1 else min(each.rises()[0].size for (each,) in seen.values())
    if units < 2 or not np.isfinite(values).all():
        return dict.fromkeys(arms, NO_PLACE)
    if count > 1:
        figures = places_of(values.mean(axis=1), student_draws(rng, values.T, DRAWS), count, "seeds", THIS_RECIPE)
    else:
        runs = [each for (each,) in seen.values()]
        figures = places_of(values[:, 0], _by_prompts(rng, runs, exchange_rate), len(runs[0].rises()[0]), "prompts",
                            THIS_RUN)  # fmt: skip
    return dict(zip(arms, figures, strict=True))


def _by_prompts(rng: np.random.Generator, runs: Sequence[Seen], exchange_rate: float) -> Float[np.ndarray, "draw arm"]:
    rises = [each.rises() for each in runs]
    rewards, losses = (np.stack(side, axis=1) for side in zip(*rises, strict=True))
    if all(each.is_paired for each in runs):
        return student_draws(rng, rewards - exchange_rate * losses, DRAWS)
    return student_draws(rng, rewards, DRAWS) - exchange_rate * student_draws(rng, losses, DRAWS)


def places_of(
    points: Float[np.ndarray, "*task arm"],
    drawn: Float[np.ndarray, "draw *task arm"],
    count: int,
    units: str,
    scope: str,
) -> list[Figure]:
    """Each arm's place by value, mean over tasks where there are several; the interval holds 95 % of drawn places."""
    over = tuple(range(points.ndim - 1))
    place, others = places(points).mean(axis=over), places(drawn).mean(axis=tuple(axis + 1 for axis in over))
    lower, upper = np.quantile(others, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
    method = f"places of {len(drawn)} draws from Student t of the means over {units}"
    return [
        Estimate(float(at), min(float(low), float(at)), max(float(high), float(at)), LEVEL, count, method, "", scope)
        for at, low, high in zip(place, lower, upper, strict=True)
    ]


def places(values: Float[np.ndarray, "*row arm"]) -> Float[np.ndarray, "*row arm"]:
    """1 for the greatest of each row; ties share the mean of their places.

    >>> places(np.array([[0.5, 2.0, 0.5]])).tolist()
    [[2.5, 1.0, 2.5]]
    """
    above = (values[..., None, :] > values[..., :, None]).sum(axis=-1)
    equal = (values[..., None, :] == values[..., :, None]).sum(axis=-1)
    return np.asarray(above + 0.5 * (equal + 1))
