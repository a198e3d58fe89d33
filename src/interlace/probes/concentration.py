"""Where the gradients' energy lies: how much of each is in a few directions, and what cosine that allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interlace.estimate import Estimate, Figure, Unresolved, exact
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.probes.gradient_table import LOSS, REWARD
from interlace.probes.part_statistics import (
    from_intervals,
    ratio_over_parts,
    unresolved_norm,
)
from interlace.statistics.unbiased import MINIMUM_PARTS, clipped, left_out_products, mean_product
from interlace.theory.misalignment import cosine_bound, random_subspace_cosine

SIDES = {LOSS: "sft", REWARD: "reward"}


class Concentration:
    """B7 beside the measured cosine (`alignment`): a bound from subspaces, and what random subspaces would give.

    The leading directions of each objective are those of some parts' gradients (their second-moment matrix, an
    empirical Fisher matrix of part means); the gradient is the mean of the OTHER parts, its norm and its share outside
    without their noise. `gradient_cosine_bound` holds for abs cos(grad L, grad R); 1 says nothing. `subspace_cosine` is
    the largest cosine between the two subspaces, `random_subspace_cosine` the median for random ones of the same ranks.
    `leading_direction_share`: how much of the second moment its first direction holds.
    """

    name = "concentration"
    sentence = "share of each gradient outside its leading directions, and the bound that this puts on their cosine"
    source = "B7"
    cost: Price = "backward"
    needs: tuple[str, ...] = ("gradients",)

    def applies(self, context: ProbeContext) -> bool:
        """Where the task has both objectives and the policy is one that is trained."""
        return context.has_gradient(LOSS, REWARD)

    def measure(self, context: ProbeContext) -> Reading:
        """Split the parts into those that span and those that are measured."""
        spans = {name: _span(context, name) for name in SIDES}
        refusal = next((span for span in spans.values() if isinstance(span, Unresolved)), None)
        if refusal is not None:
            return Reading({"gradient_cosine_bound": refusal})
        sft, reward = (span for span in spans.values() if isinstance(span, Span))
        figures = _shares(context, {LOSS: sft, REWARD: reward})
        return Reading(figures | _bound(context, sft, reward, figures))


@dataclass(frozen=True)
class Span:
    """An orthonormal basis of leading directions, as coefficients on the gradients of the first `len(basis)` parts.

    `spectrum`: eigenvalues of the parts' second-moment matrix, largest first.
    """

    basis: Float[np.ndarray, "part direction"]
    spectrum: Float[np.ndarray, "part"]


def leading_directions(gram: Float[np.ndarray, "part part"]) -> Span | Unresolved:
    """The span of the parts whose inner products `gram` holds, directions of no size left out."""
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = values > 1e-10 * max(values[0], 0.0)
    if not kept.any():
        return Unresolved("every part's gradient is 0")
    return Span(vectors[:, kept] / np.sqrt(values[kept]), np.maximum(values, 0.0))


def leading_share(span: Span, *, level: float) -> Figure:
    """The first direction's share of the second moment; of a single part there is no second direction to share with."""
    if len(span.spectrum) < 2:
        return Unresolved(
            "one part spans one direction, which holds all of it: a smaller model leaves room for more parts"
        )
    return exact(float(span.spectrum[0] / span.spectrum.sum()), "fraction", len(span.basis), level)


def outside_share(span: Span, gram: Float[np.ndarray, "part part"], *, level: float, name: str = "gradient") -> Figure:
    """eps: the share of the squared norm outside the span of the first parts, of the mean gradient of the others."""
    rank = len(span.basis)
    inside = span.basis.T @ gram[:rank, rank:]
    rest = gram[rank:, rank:]
    refusal = unresolved_norm(rest, name, level)
    if refusal is not None:
        return refusal
    captured, whole = left_out_products(inside.T @ inside), left_out_products(rest)
    point = 1.0 - mean_product(inside.T @ inside) / mean_product(rest)
    figure = ratio_over_parts(
        point, whole - captured, whole, unit="fraction", method="U-statistic on other parts, jackknife", level=level
    )
    return clipped(figure, 0.0, 1.0)


def largest_singular_value(left: Span, right: Span, cross: Float[np.ndarray, "left right"]) -> float:
    """sigma_1 of U_S^T U_R, in [0, 1] up to rounding; `cross`: inner products of the parts that span."""
    return float(np.linalg.svd(left.basis.T @ cross @ right.basis, compute_uv=False)[0])


def _span(context: ProbeContext, name: str) -> Span | Unresolved:
    gram = _gram(context, name)
    spanning = min(len(gram) // 3, len(gram) - MINIMUM_PARTS)
    if spanning < 1:
        return Unresolved(
            f"{len(gram)} parts leave none to span a subspace, {MINIMUM_PARTS} are measured: give more prompts"
        )
    return leading_directions(gram[:spanning, :spanning])


def _gram(context: ProbeContext, name: str) -> Float[np.ndarray, "part part"]:
    objective = (context.target.task.name, name)
    return context.gradients.products(objective, objective)


def _shares(context: ProbeContext, spans: dict[str, Span]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for name, span in spans.items():
        figures[f"{SIDES[name]}_leading_direction_share"] = leading_share(span, level=context.level)
        outside = outside_share(span, _gram(context, name), level=context.level, name=f"gradient of the {name}")
        figures[f"{SIDES[name]}_gradient_outside_share"] = outside
    return figures


def _bound(context: ProbeContext, sft: Span, reward: Span, figures: dict[str, Figure]) -> dict[str, Figure]:
    task = context.target.task.name
    cross = context.gradients.products((task, LOSS), (task, REWARD))
    sigma = largest_singular_value(sft, reward, cross[: len(sft.basis), : len(reward.basis)])
    ranks = sft.basis.shape[1], reward.basis.shape[1]
    chance = random_subspace_cosine(context.look.space.dimension, *ranks)
    bound = from_intervals(
        lambda outside_sft, outside_rl: float(cosine_bound(sigma, outside_sft, outside_rl)),
        {"outside_sft": figures["sft_gradient_outside_share"], "outside_rl": figures["reward_gradient_outside_share"]},
        unit="cosine",
        method="B7 at the corners of the shares' intervals",
    )
    return {
        "gradient_cosine_bound": bound,
        "subspace_cosine": Estimate(sigma, sigma, sigma, context.level, sum(ranks), f"exact, ranks {ranks}", "cosine"),
        "random_subspace_cosine": exact(chance, "cosine", sum(ranks), context.level),
    }
