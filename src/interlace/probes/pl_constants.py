"""How steep both landscapes are for how far they still are from their best: PL constants, conditional on a best."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from interlace.estimate import Figure, Unresolved
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.probes.gradient_table import LOSS, REWARD, Objective
from interlace.probes.part_statistics import (
    means_left_out,
    ratio_over_parts,
    unresolved_norm,
)
from interlace.statistics.intervals import mean_interval
from interlace.statistics.unbiased import clipped, left_out_products, mean_product


class PlConstants:
    """C3: mu_S = norm(grad L)^2 / (2 (L - L*)) and mu_R = norm(grad R)^2 / (2 (R* - R)) at this policy.

    A constant of the path is the least of them along it, not one of them. L* is the expert's entropy on the same
    prompts where the expert is known: a lower bound of what the model can reach, so that mu_S is not too large.
    `least_loss`: nats/response, the best of a longer SFT run, in its place where the expert is not known: mu_S is then
    too large if a better one exists. R* is the best reward that each prompt's listed responses can earn. The kind
    stands in the figure's method.
    """

    name = "pl_constants"
    sentence = "squared gradient norm over twice the distance to the best, of SFT loss and of reward"
    source = "C3"
    cost: Price = "backward"
    needs: tuple[str, ...] = ("gradients",)

    def __init__(self, least_loss: float | None = None) -> None:
        self.least_loss = least_loss

    def applies(self, context: ProbeContext) -> bool:
        """Where the policy is one that is trained."""
        return context.has_gradient() and bool(context.objectives)

    def measure(self, context: ProbeContext) -> Reading:
        """Compare norms and distances, part by part."""
        figures: dict[str, Figure] = {}
        for objective in context.objectives:
            side = {LOSS: "sft", REWARD: "reward"}[objective[1]]
            gap, kind, unit = self._gap(context, objective)
            if isinstance(gap, Unresolved):
                figures |= {f"{side}_gap_to_best": gap, f"pl_constant_{side}": gap}
                continue
            distance = mean_interval(gap, unit=unit, method=f"over parts, {kind}", level=context.level)
            figures[f"{side}_gap_to_best"] = clipped(distance, 0.0, math.inf)
            gram = context.gradients.products(objective, objective)
            figures[f"pl_constant_{side}"] = _constant(gram, gap, unit, kind, context.level)
        return Reading(figures)

    def _gap(
        self, context: ProbeContext, objective: Objective
    ) -> tuple[Float[np.ndarray, "part"] | Unresolved, str, str]:
        """Distance to the best of each part, what kind of best that is, and the unit."""
        values = context.gradients.parts(objective)
        sets = [part.prompts for part in context.parts(len(values))[objective]]
        if objective[1] == REWARD:
            return _reward_gap(context, values, sets), "R* = best listed response of each prompt", "reward units"
        if context.target.task.expert_is_known:
            entropies = np.array([example.expert_entropy for example in context.target.examples])
            return values - _means(entropies, sets), "L* = the expert's entropy", "nats/response"
        if self.least_loss is not None:
            return values - self.least_loss, "L* = a given least loss", "nats/response"
        return Unresolved("the expert is not known, so neither is the least SFT loss: give least_loss"), "", ""


def _reward_gap(
    context: ProbeContext, values: Float[np.ndarray, "part"], sets: list[np.ndarray]
) -> Float[np.ndarray, "part"] | Unresolved:
    listed = context.target.rewarded
    if listed is None:
        return Unresolved("the rewarded responses cannot be listed, so the best reward is not known")
    best = np.array([max((reward for _, reward in row), default=0.0) for row in listed])
    return _means(best, sets) - values


def _means(values: Float[np.ndarray, "prompt"], sets: list[np.ndarray]) -> Float[np.ndarray, "part"]:
    return np.array([values[prompts].mean() for prompts in sets])


def _constant(
    gram: Float[np.ndarray, "part part"], gap: Float[np.ndarray, "part"], unit: str, kind: str, level: float
) -> Figure:
    refusal = unresolved_norm(gram, "gradient", level)
    if refusal is not None:
        return refusal
    distance = means_left_out(gap)
    if not (distance > 0.0).all():
        return Unresolved(f"the distance to the best is not positive on every set of parts ({kind})")
    point = mean_product(gram) / (2.0 * float(gap.mean()))
    constant = ratio_over_parts(
        point,
        left_out_products(gram),
        2.0 * distance,
        unit=f"{unit}/weight^2",
        method=f"jackknife, {kind}",
        level=level,
    )
    return clipped(constant, 0.0, math.inf)
