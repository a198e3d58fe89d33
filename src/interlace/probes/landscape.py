"""What the landscape's figures say together: which SFT loss a step can still lower, and how far RL should go."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from functools import partial

from interlace.estimate import Estimate, Figure, Unresolved
from interlace.probes.alignment import Alignment
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.probes.curvature import Curvature
from interlace.probes.gradient_table import LOSS, REWARD
from interlace.probes.movement import Movement
from interlace.probes.part_statistics import from_intervals
from interlace.probes.pl_constants import PlConstants
from interlace.probes.smoothness import Smoothness
from interlace.probes.update import Update
from interlace.theory.landscape import (
    break_even_progress,
    least_loss_progress,
    optimal_duration,
    suboptimality_threshold,
)

CONDITIONAL = "corners of the inputs' intervals, conditional on PL and smoothness on this path"


class Landscape:
    """B3's threshold and B5's duration from what the other probes measured here; nothing further is computed.

    `suboptimality_threshold`: under PL a step of the last update's size and alignment is certain to lower the SFT loss
    while L - L* is above it, nats/response. B5 takes the reward's gradient as the straight path of RL from here, with
    the SFT loss's curvature along it: `optimal_progress`, `least_sft_loss_progress` and `break_even_progress` lie in
    [0, 1] on it (0 here, 1 at the best reward); the optimum is at the exchange rate in the figure's method. Each is not
    resolved where one of its inputs is not; `break_even_progress`, which jumps where they do, where the alignment's or
    the curvature's sign is not.

    Cost: that of `alignment`, `pl_constants`, `curvature`, `smoothness`, `movement` and `update`, shared with them.
    """

    name = "landscape"
    sentence = "the SFT loss that a step can still lower (B3) and how far along its path RL should go (B5)"
    source = "B3, B5"
    cost: Price = "curvature"
    needs: tuple[str, ...] = ("gradients", "curvature_parts")

    def __init__(self, exchange_rate: float = 1.0) -> None:
        self.exchange_rate = exchange_rate

    def applies(self, context: ProbeContext) -> bool:
        """Where the task has both objectives and the policy is one that is trained."""
        return context.has_gradient(LOSS, REWARD)

    def measure(self, context: ProbeContext) -> Reading:
        """Put the figures into the laws."""
        found = _found(context)
        figures = {"suboptimality_threshold": _threshold(found)} if "update_alignment" in found else {}
        return Reading(figures | self.durations(found))

    def durations(self, found: Mapping[str, Figure]) -> dict[str, Figure]:
        """B5's three figures from those that other probes `found`."""
        inputs = {
            "gap": _mapped(found["reward_gap_to_best"], lambda gap: max(gap, 0.0)),
            "pl_constant": _positive(found["pl_constant_reward"], "mu_R"),
            "alignment": _mapped(found["gradient_cosine"], operator.neg),
            "gradient_norm": _mapped(found["sft_gradient_norm_squared"], math.sqrt),
            "curvature": found["curvature_along_reward_gradient"],
        }
        optimum = partial(_optimum, self.exchange_rate)
        of_path = partial(from_intervals, inputs=inputs, unit="fraction of RL's path")
        return {
            "optimal_progress": of_path(optimum, method=f"exchange rate {self.exchange_rate:g}, {CONDITIONAL}"),
            "least_sft_loss_progress": of_path(least_loss_progress, method=CONDITIONAL),
            "break_even_progress": _break_even(inputs, of_path),
        }


def _found(context: ProbeContext) -> dict[str, Figure]:
    probes = (Alignment(), PlConstants(), Curvature(), Smoothness(), Movement(), Update())
    found: dict[str, Figure] = {}
    for probe in probes:
        if probe.applies(context):
            found |= context.reading(probe).figures
    return found


def _threshold(found: Mapping[str, Figure]) -> Figure:
    inputs = {
        "smoothness": _mapped(found["smoothness"], abs),
        "update_norm": found["update_norm"],
        "pl_constant": _positive(found["pl_constant_sft"], "mu_S"),
        "alignment": found["update_alignment"],
    }
    return from_intervals(suboptimality_threshold, inputs, unit="nats/response", method=CONDITIONAL)


def _break_even(inputs: Mapping[str, Figure], of_path: Callable[..., Figure]) -> Figure:
    """2 c g/(kappa S) is monotone in each input, and inf beyond 1, as long as neither c nor kappa crosses 0."""
    for name in ("alignment", "curvature"):
        figure = inputs[name]
        if isinstance(figure, Estimate) and figure.lower <= 0.0 <= figure.upper and figure.lower < figure.upper:
            return Unresolved(f"the sign of the {name} is not resolved, {figure}, and the law jumps where it changes")
    return of_path(break_even_progress, method=CONDITIONAL)


def _optimum(exchange_rate: float, **inputs: float) -> float:
    return float(optimal_duration(exchange_rate=exchange_rate, **inputs).progress)


def _mapped(figure: Figure, function: Callable[[float], float]) -> Figure:
    """A monotone function of a figure, or of its size."""
    if isinstance(figure, Unresolved):
        return figure
    value, *ends = (function(end) for end in (figure.value, figure.lower, figure.upper))
    lower, upper = min(value, *ends), max(value, *ends)
    return Estimate(value, lower, upper, figure.level, figure.n, figure.method, figure.unit, figure.scope)


def _positive(figure: Figure, name: str) -> Figure:
    if isinstance(figure, Unresolved) or figure.lower > 0.0:
        return figure
    return Unresolved(f"{name} is not clearly positive, {figure}")
