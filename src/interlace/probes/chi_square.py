"""X2(p_D, pi): how badly the policy misses the expert's responses, in the metric in which SFT's speed is measured."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from interlace.estimate import Figure, Unresolved
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.statistics import mean_interval
from interlace.statistics.unbiased import clipped

MINIMUM_PROMPTS = 64
LARGEST_SKEW = 0.2
"""Largest squared skewness over prompts, that of a log-normal law with the scatter of the logs. In simulation
(log-normal laws, and a few prompts of 4 to 30 times the others), intervals from 64 to 512 prompts that pass cover in 89
to 96 % where most cases pass, down to 73 % where 2 % of the prompts carry a sixth; without it, down to 58 %."""


class ChiSquare:
    """X2(p_D, pi) = E_x[sum_y p_D(y)^2 / pi(y) - 1], no unit; infinite where pi misses a response of the expert.

    D2, A8: the squared norm of grad L in Fisher's metric, so -dL/ds on the SFT path, and (R - R_D)^2 <= V X2. Exact in
    each prompt where the expert's distribution is known. From data: p_D^2 is unbiased from pairs of rows,
    n_y (n_y - 1) / (n (n - 1)) for n_y of a prompt's n rows. With ONE row a prompt there are no pairs, and the
    frequency 1 in place of p_D would give E[1 / pi] - 1, which says how short responses are, not what the expert does:
    refused.

    Its tail is heavy, because one unlikely response is enough: the mean is refused where a few prompts that were not
    drawn could carry it (`LARGEST_SKEW`). Cost: none beyond the probe `sft_loss`.
    """

    name = "chi_square"
    sentence = "chi-square divergence of the expert from the policy: the speed of SFT from here, in Fisher's metric"
    source = "D2, A8"
    cost: Price = "forward"
    needs: tuple[str, ...] = ("logprobs",)

    def applies(self, context: ProbeContext) -> bool:
        """Where the task has an expert."""
        return bool(len(context.target.expert))

    def measure(self, context: ProbeContext) -> Reading:
        """Weigh the expert's responses by how unlikely they are."""
        squared = squared_probability(context)
        if isinstance(squared, Unresolved):
            return Reading({"chi_square_expert_policy": squared})
        logprobs = np.array([context.logprobs[row].sum() for row in context.target.expert])
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            terms = np.where(squared > 0.0, np.exp(np.log(squared) - logprobs), 0.0)
        heldout = context.target.heldout
        sums = np.bincount(heldout.prompt, weights=terms, minlength=heldout.num_prompts)
        return Reading({"chi_square_expert_policy": heavy_tailed_mean(sums, level=context.level)})


def squared_probability(context: ProbeContext) -> Float[np.ndarray, "response"] | Unresolved:
    """p_D(y)^2 of each expert response, or its unbiased estimate from the rows of data."""
    heldout = context.target.heldout
    if heldout.expert_is_known:
        return heldout.probability**2
    rows = np.array([example.num_rows for example in context.target.examples])
    single = int((rows < 2).sum())
    if single:
        return Unresolved(
            f"{single} of {rows.size} prompts have one expert response, whose frequency is not its probability: "
            "give several responses a prompt"
        )
    drawn = rows[heldout.prompt]
    seen = np.rint(heldout.probability * drawn)
    return seen * (seen - 1.0) / (drawn * (drawn - 1.0))


def heavy_tailed_mean(sums: Float[np.ndarray, "prompt"], *, level: float) -> Figure:
    """E_x of `sums` - 1, at least 0, with Student's interval over prompts; refused where that cannot be trusted."""
    if np.isfinite(sums).all() and sums.size < MINIMUM_PROMPTS:
        return Unresolved(f"a heavy tail needs at least {MINIMUM_PROMPTS} prompts, got {sums.size}")
    figure = clipped(mean_interval(sums - 1.0, unit="chi-square", level=level, least=0.0), 0.0, math.inf)
    if isinstance(figure, Unresolved):
        return figure
    scatter = float(np.log(sums[sums > 0.0]).var(ddof=1)) if (sums > 0.0).sum() > 1 else 0.0
    growth = float(np.exp(min(scatter, 50.0)))
    if (growth + 2.0) ** 2 * (growth - 1.0) > LARGEST_SKEW * sums.size:
        return Unresolved(
            f"the tail is too heavy for {sums.size} prompts (logs scatter by {scatter**0.5:.2g}; those drawn give "
            f"{figure.value:.3g}): a few prompts that were not drawn may carry the mean"
        )
    return figure
