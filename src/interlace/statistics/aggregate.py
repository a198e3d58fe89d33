"""Several tasks and seeds in one number: interquartile mean and probability of improvement (Agarwal et al. 2021).

Scores are [task, seed]; intervals resample seeds within each task (stratified bootstrap) and speak of the recipe on
these tasks.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interlace.estimate import THIS_RECIPE, Figure, Unresolved
from interlace.statistics.bootstrap import resampled_interval, tail_probability
from interlace.statistics.intervals import LEVEL, refusal_of

RESAMPLES = 3000
"""As many as the far quantiles of 3 seeds of 5 tasks need."""
MINIMUM_SEEDS = 3
"""Seeds a task from which the interval covers in at least 93 % of cases over 5 tasks, of normal and skewed scores."""


def interquartile_mean(scores: Float[np.ndarray, "*batch task seed"]) -> Float[np.ndarray, "*batch"]:
    """Mean of the middle half of all runs of all tasks: a quarter of them (rounded down) is left out at each end.

    >>> float(interquartile_mean(np.array([[0.0, 1.0, 2.0, 100.0]])))
    1.5
    """
    runs = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = runs.shape[-1] // 4
    return np.asarray(runs[..., cut : runs.shape[-1] - cut].mean(axis=-1))


def probability_of_improvement(
    before: Float[np.ndarray, "*batch task seed_before"], after: Float[np.ndarray, "*batch task seed_after"]
) -> Float[np.ndarray, "*batch"]:
    """Chance that a run `after` scores above a run `before`, ties half, mean over tasks (Mann-Whitney in each).

    >>> float(probability_of_improvement(np.array([[0.0, 1.0]]), np.array([[1.0, 2.0]])))
    0.875
    """
    difference = after[..., :, None] - before[..., None, :]
    return np.asarray((0.5 + 0.5 * np.sign(difference)).mean(axis=(-3, -2, -1)))


def interquartile_mean_interval(
    scores: Float[np.ndarray, "task seed"],
    *,
    rng: np.random.Generator,
    unit: str,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Figure:
    """`interquartile_mean` with a stratified bootstrap interval. Unresolved with fewer than `MINIMUM_SEEDS`."""
    drawn = interquartile_mean(seeds_resampled(rng, scores, resamples))
    return _interval(drawn, float(interquartile_mean(scores)), [scores], unit, level)


def improvement_interval(
    before: Float[np.ndarray, "task seed_before"],
    after: Float[np.ndarray, "task seed_after"],
    *,
    rng: np.random.Generator,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Figure:
    """`probability_of_improvement` with a stratified bootstrap interval, fraction; .5 means neither is better.

    Unresolved where every run of one lies above every run of the other: resamples then are all equal.
    """
    point = float(probability_of_improvement(before, after))
    if point in (0.0, 1.0):
        return Unresolved(f"every run {'after' if point else 'before'} scores higher on every task: run more seeds")
    drawn = probability_of_improvement(*(seeds_resampled(rng, scores, resamples) for scores in (before, after)))
    return _interval(drawn, point, [before, after], "fraction", level)


def seeds_resampled(
    rng: np.random.Generator, scores: Float[np.ndarray, "task seed"], resamples: int
) -> Float[np.ndarray, "resample task seed"]:
    """Each task's seeds drawn with replacement, independently. 8 bytes an entry."""
    drawn = rng.integers(scores.shape[1], size=(resamples, *scores.shape))
    return np.take_along_axis(scores[None], drawn, axis=2)


def _interval(
    drawn: Float[np.ndarray, "resample"], point: float, groups: list[np.ndarray], unit: str, level: float
) -> Figure:
    for scores in groups:
        refusal = refusal_of(scores.ravel(), "runs", minimum=0)
        if refusal is not None:
            return refusal
    tasks, seeds = groups[0].shape[0], min(scores.shape[1] for scores in groups)
    if seeds < MINIMUM_SEEDS:
        return Unresolved(f"a stratified bootstrap needs at least {MINIMUM_SEEDS} seeds a task, got {seeds}")
    tail = tail_probability(seeds, tasks * (seeds - 1), level)
    return resampled_interval(
        drawn, point, tail, count=seeds, units=f"seeds of {tasks} tasks", unit=unit, level=level, scope=THIS_RECIPE
    )
