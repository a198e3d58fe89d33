"""Intervals from what each prompt, or each seed, contributed.

Prompts are the independent units: whatever was sampled within a prompt is averaged before it comes here, so an interval
covers both the choice of prompts and the sampling within them. All take one value a prompt and return an `Estimate`, or
`Unresolved` with the reason: too few units, or values that are not finite (counted, never dropped).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import special

from interlace.estimate import THIS_RECIPE, THIS_RUN, Estimate, Figure, Unresolved

LEVEL = 0.95
"""The level of every interval unless said otherwise."""
MINIMUM_PROMPTS = 12
"""Prompts from which a loss, and a paired change, have an interval. In simulation of losses as skewed as those of a
classifier's labels (softplus of normal logits of scatter 1.5 to 3) a level then covers in 92 to 95 %; with Student t
alone it would be 79 to 92 %, and 65 to 90 % at 3 prompts. A change is Student t and covers less where a few prompts
carry all of it: 75 to 94 % from 3 to 8 prompts, 85 to 94 % from 12, 87 to 94 % from 16, 90 to 95 % from 32."""


def influence_interval(
    value: float,
    influence: Float[np.ndarray, "prompt"],
    *,
    unit: str,
    method: str = "influence function over prompts",
    level: float = LEVEL,
    scope: str = THIS_RUN,
    units: str = "prompts",
    least: float | None = None,
) -> Figure:
    """Delta method: `value` with a Student t interval, from each prompt's influence on it.

    `influence`: the derivative of the figure by each prompt's weight, times the number of prompts, so that the figure's
    error is about the mean of `influence` (for a mean: value of the prompt minus the mean). Its own mean is taken off.
    Where influence does not vary there is no visible error; the interval then has no width and `method` says why.

    `least`: the figure is never below (a loss: 0). Its prompts are then skewed, and the interval takes their skewness
    off (`unskewed`), stays in the range, and needs `MINIMUM_PROMPTS`.
    """
    refusal = refusal_of(influence, units, 2 if least is None else MINIMUM_PROMPTS)
    if refusal is not None:
        return refusal
    if not math.isfinite(value):
        return Unresolved(f"the figure itself is {value}")
    count, error = influence.size, float(influence.std(ddof=1)) / math.sqrt(influence.size)
    quantile = float(special.stdtrit(count - 1, 0.5 + level / 2))
    if error == 0.0:
        return Estimate(value, value, value, level, count, f"{method}; no variation between {units}", unit, scope)
    if least is None:
        return Estimate(value, value - quantile * error, value + quantile * error, level, count, method, unit, scope)
    lower, upper = (value - error * unskewed(end, influence) for end in (quantile, -quantile))
    lower, upper = min(value, max(least, lower)), max(value, upper)
    return Estimate(value, lower, upper, level, count, f"{method}, skewness taken off", unit, scope)


def unskewed(quantile: float, values: Float[np.ndarray, "unit"]) -> float:
    """The studentised mean t of skewed `values` at which Hall's transformation (1992) of it comes to `quantile`.

    It is t + a t^2 / 3 + a^2 t^3 / 27 + a / 6, close to symmetric, with a the skewness over sqrt(n).
    """
    deviation = values - values.mean()
    skewness = float((deviation**3).mean()) / float(deviation.std()) ** 3 / math.sqrt(values.size)
    if abs(skewness) < 1e-9:
        return quantile
    return 3.0 / skewness * (math.cbrt(1.0 + skewness * (quantile - skewness / 6.0)) - 1.0)


def mean_interval(
    values: Float[np.ndarray, "prompt"],
    *,
    unit: str,
    weights: Float[np.ndarray, "prompt"] | None = None,
    method: str = "Student t over prompts",
    level: float = LEVEL,
    least: float | None = None,
) -> Figure:
    """The mean over prompts, with a Student t interval.

    `weights`: what each prompt counts for (default: all the same), positive sum. `least`: no value is below (losses,
    divergences: 0), as of `influence_interval`. Without it coverage is close to `level` from about 30 prompts on unless
    a few prompts carry nearly all of the variation.
    """
    refusal = refusal_of(values, "prompts", 2 if least is None else MINIMUM_PROMPTS)
    if refusal is not None:
        return refusal
    relative = np.ones_like(values) if weights is None else weights / weights.mean()
    value = float((relative * values).mean())
    return influence_interval(value, relative * (values - value), unit=unit, method=method, level=level, least=least)


def paired_change(
    before: Float[np.ndarray, "prompt"],
    after: Float[np.ndarray, "prompt"],
    *,
    unit: str,
    weights: Float[np.ndarray, "prompt"] | None = None,
    level: float = LEVEL,
) -> Figure:
    """Mean of `after` - `before` over the same prompts: positive means a rise. Unresolved below `MINIMUM_PROMPTS`.

    Student t for bounded values too (rewards): a difference lies inside its range, not near an end as a level may.
    """
    with np.errstate(invalid="ignore"):  # inf - inf: counted as not finite
        change = after - before
    refusal = refusal_of(change, "prompts", MINIMUM_PROMPTS)
    if refusal is not None:
        return refusal
    return mean_interval(change, unit=unit, weights=weights, method="paired Student t over prompts", level=level)


def ratio_interval(
    numerator: Float[np.ndarray, "prompt"],
    denominator: Float[np.ndarray, "prompt"],
    *,
    unit: str,
    level: float = LEVEL,
    least: float | None = None,
) -> Figure:
    """Sum of `numerator` over sum of `denominator` (nats over tokens), linearised, prompts as clusters.

    Prompts whose denominator is 0 (without a wrong response, say) know nothing of it and are not counted. `least`: as
    of `influence_interval`.
    """
    refusal = refusal_of(numerator, "prompts") or refusal_of(denominator, "prompts") or _no_total(denominator)
    if refusal is not None:
        return refusal
    value, influence = _ratio(numerator, denominator)
    method = "linearised ratio over the prompts that have a part in it"
    return influence_interval(value, influence, unit=unit, method=method, level=level, least=least)


def paired_ratio_change(
    before: Float[np.ndarray, "prompt"],
    after: Float[np.ndarray, "prompt"],
    denominator: Float[np.ndarray, "prompt"],
    *,
    unit: str,
    level: float = LEVEL,
) -> Figure:
    """Change of a ratio whose denominator stays (the same expert tokens): sum of `after` - `before` over its sum.

    Prompts whose denominator is 0 are not counted; Unresolved with fewer than `MINIMUM_PROMPTS` others.
    """
    with np.errstate(invalid="ignore"):
        change = after - before
    refusal = refusal_of(change, "prompts") or refusal_of(denominator, "prompts") or _no_total(denominator)
    refusal = refusal or refusal_of(change[denominator > 0.0], "prompts that have a part in it", MINIMUM_PROMPTS)
    if refusal is not None:
        return refusal
    value, influence = _ratio(change, denominator)
    method = "paired linearised ratio over the prompts that have a part in it"
    return influence_interval(value, influence, unit=unit, method=method, level=level)


def seed_interval(values: Sequence[float], *, unit: str, level: float = LEVEL) -> Figure:
    """The mean over seeds, with a Student t interval that speaks of the recipe, not of one run."""
    array = np.asarray(values, dtype=np.float64)
    refusal = refusal_of(array, "seeds")
    if refusal is not None:
        return refusal
    mean = float(array.mean())
    return influence_interval(
        mean, array - mean, unit=unit, method="Student t over seeds", level=level, scope=THIS_RECIPE, units="seeds"
    )


def _ratio(
    numerator: Float[np.ndarray, "prompt"], denominator: Float[np.ndarray, "prompt"]
) -> tuple[float, Float[np.ndarray, "part"]]:
    """The ratio, and the influence on it of each prompt that has a part in it."""
    part = denominator > 0.0
    value = float(numerator[part].sum() / denominator[part].sum())
    return value, (numerator[part] - value * denominator[part]) / denominator[part].mean()


def refusal_of(values: Float[np.ndarray, "unit"], units: str, minimum: int = 2) -> Unresolved | None:
    """Why `values` have no interval: some are not finite (counted), or there are fewer than `minimum` of them."""
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        return Unresolved(
            f"{bad} of {values.size} {units} {'has a value that is' if bad == 1 else 'have values that are'} not finite"
        )
    if values.size < minimum:
        return Unresolved(f"an interval needs at least {minimum} {units}, got {values.size}")
    return None


def _no_total(denominator: Float[np.ndarray, "prompt"]) -> Unresolved | None:
    return None if denominator.sum() > 0.0 else Unresolved("the denominator adds up to 0")
