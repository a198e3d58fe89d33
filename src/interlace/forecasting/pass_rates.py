"""Pass rates from a few samples a prompt, deconvolved: what the counts of right samples tell of the law behind them.

The share of right samples among K scatters about the pass rate, so a plug-in law is too wide: it has prompts that seem
never or always solved. The law of pass rates over prompts is the one of greatest likelihood (Kiefer and Wolfowitz,
1956) on a grid, found by expectation maximisation; each prompt then has a posterior.

Posteriors are no independent data: they are drawn towards a law that all prompts have told together, so their scatter
is less than the error of their mean. What is missing is each prompt's influence on the law (`through_law`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy import special

GRID = 101
"""Values that a pass rate may have between its bounds."""
PLACES = (np.arange(GRID) + 0.5) / GRID
"""Those values, 0 at the lower bound and 1 at the upper."""
ITERATIONS = 300
"""Of expectation maximisation: the likelihood is concave, and what later steps change is far below sampling noise."""
NODES = 9
"""Places between which a function of the pass rate is taken to be straight where only its influence is asked."""
NODE_PLACES = PLACES[0] + np.ptp(PLACES) * np.sin(0.5 * np.pi * np.linspace(0.0, 1.0, NODES)) ** 2
"""Denser at both ends, where paths bend most."""

PerPrompt = Float[np.ndarray, "prompt"]
OnGrid = Float[np.ndarray, "prompt place"]


def deconvolved(right: PerPrompt, samples: int, low: PerPrompt, high: PerPrompt) -> PassRates:
    """The law of pass rates of which `right` of `samples` samples a prompt tell.

    Each rate is known to lie in [`low`, `high`] (the mass of responses whose probability and reward are known). The law
    is that of where it lies between its bounds.
    """
    rates = _between(low, high, PLACES)
    chances = np.exp(special.xlogy(right[:, None], rates) + special.xlog1py(samples - right[:, None], -rates))
    # no count is impossible at every rate but by bounds that rounding has moved
    chances = np.where(chances.sum(axis=1, keepdims=True) > 0.0, chances, 1.0)
    prior = np.full(GRID, 1.0 / GRID)
    for _ in range(ITERATIONS):
        prior = prior * _likelihoods(prior, chances).mean(axis=0)
    return PassRates(low, high, chances, prior)


@dataclass(frozen=True, eq=False)
class PassRates:
    """The law of pass rates over prompts (`prior`, by place between each prompt's bounds), and what it makes of each.

    `chances`: of each prompt's count at each place, up to a factor of its own.
    """

    low: PerPrompt
    high: PerPrompt
    chances: OnGrid
    prior: Float[np.ndarray, "place"]

    @property
    def rates(self) -> OnGrid:
        """The pass rates at the places."""
        return _between(self.low, self.high, PLACES)

    @property
    def at_nodes(self) -> Float[np.ndarray, "prompt node"]:
        """The pass rates at the nodes."""
        return _between(self.low, self.high, NODE_PLACES)

    @cached_property
    def posterior(self) -> OnGrid:
        """Each prompt's, given its count."""
        return self.prior * self._relative

    def draws(self, number: int) -> Float[np.ndarray, "prompt draw"]:
        """`number` equally likely pass rates a prompt: the midpoints of equal strata of its posterior."""
        cumulative = self.posterior.cumsum(axis=1)
        levels = (np.arange(number) + 0.5) / number
        index = (cumulative[:, :, None] < levels).sum(axis=1).clip(max=GRID - 1)
        return np.take_along_axis(self.rates, index, axis=1)

    def share_below(self, rate: float) -> PerPrompt:
        """What each prompt contributes to the share of prompts whose pass rate is below `rate`."""
        below = (self.rates < rate).astype(np.float64)
        return (self.posterior * below).sum(axis=1) + self.through_law(below)

    def through_law(self, values: OnGrid) -> PerPrompt:
        """Each prompt's influence on the mean over prompts of the posterior mean of `values`, through the law alone.

        Together with the prompt's own posterior mean it is the whole influence (infinitesimal jackknife); its mean over
        prompts is 0. Cost: once some `ITERATIONS` products of grid and prompts, then two.
        """
        mean = (self.posterior * values).sum(axis=1, keepdims=True)
        return self._influence @ (self._relative * (values - mean)).mean(axis=0)

    def through_law_of_nodes(self, values: Float[np.ndarray, "prompt node"]) -> PerPrompt:
        """`through_law` of values that are known at the nodes, straight between them."""
        return self.through_law(values @ _HATS)

    @cached_property
    def _relative(self) -> OnGrid:
        return _likelihoods(self.prior, self.chances)

    @cached_property
    def _influence(self) -> OnGrid:
        """Of each prompt on `prior`: the derivative by its weight among all, carried through every iteration."""
        count = len(self.chances)
        prior, moved = np.full(GRID, 1.0 / GRID), np.zeros_like(self.chances)
        for _ in range(ITERATIONS):
            relative = _likelihoods(prior, self.chances)
            growth = relative.mean(axis=0)
            own = prior * (relative - growth)
            shared = (moved @ relative.T) @ relative if count < GRID else moved @ (relative.T @ relative)
            moved = own + moved * growth - prior * shared / count
            prior = prior * growth
        return moved


def _between(low: PerPrompt, high: PerPrompt, places: Float[np.ndarray, "place"]) -> OnGrid:
    return low[:, None] + (high - low)[:, None] * places


def _likelihoods(prior: Float[np.ndarray, "place"], chances: OnGrid) -> OnGrid:
    """The posterior over the prior."""
    return chances / (chances @ prior)[:, None]


_HATS = np.stack([np.interp(PLACES, NODE_PLACES, unit) for unit in np.eye(NODES)])
