"""Pass rates from a few samples a prompt, deconvolved: what the counts of right samples tell of the law behind them.

The share of right samples among K scatters about the pass rate, so a plug-in law is too wide: it has prompts that seem
never or always solved. The law of pass rates over prompts is the one of greatest likelihood (Kiefer and Wolfowitz,
1956) on a grid, found by expectation maximisation; each prompt then has a posterior.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import special

GRID = 101
"""Values that a pass rate may have between its bounds."""
ITERATIONS = 300
"""Of expectation maximisation: the likelihood is concave, and what later steps change is far below sampling noise."""


def posterior_pass_rates(
    right: Float[np.ndarray, "prompt"],
    samples: int,
    low: Float[np.ndarray, "prompt"],
    high: Float[np.ndarray, "prompt"],
    draws: int,
) -> Float[np.ndarray, "prompt draw"]:
    """`draws` equally likely pass rates a prompt: the midpoints of equal strata of its posterior.

    `right` of `samples` samples were right; the rate is known to lie in [`low`, `high`] (the mass of responses whose
    probability and reward are known). The prior is estimated for where the rate lies between its bounds.
    """
    place = (np.arange(GRID) + 0.5) / GRID
    rates = low[:, None] + (high - low)[:, None] * place
    chances = np.exp(special.xlogy(right[:, None], rates) + special.xlog1py(samples - right[:, None], -rates))
    # no count is impossible at every rate but by bounds that rounding has moved
    chances = np.where(chances.sum(axis=1, keepdims=True) > 0.0, chances, 1.0)
    prior = np.full(GRID, 1.0 / GRID)
    for _ in range(ITERATIONS):
        prior = _posterior(prior, chances).mean(axis=0)
    return _strata(rates, _posterior(prior, chances), draws)


def _posterior(
    prior: Float[np.ndarray, "place"], chances: Float[np.ndarray, "prompt place"]
) -> Float[np.ndarray, "prompt place"]:
    joint = prior * chances
    return joint / joint.sum(axis=1, keepdims=True)


def _strata(
    rates: Float[np.ndarray, "prompt place"], posterior: Float[np.ndarray, "prompt place"], draws: int
) -> Float[np.ndarray, "prompt draw"]:
    """The posterior's quantiles at the midpoints of `draws` equal shares."""
    cumulative = posterior.cumsum(axis=1)
    levels = (np.arange(draws) + 0.5) / draws
    index = (cumulative[:, :, None] < levels).sum(axis=1).clip(max=rates.shape[1] - 1)
    return np.take_along_axis(rates, index, axis=1)
