"""D9 to D14: what no method can escape, and what a pipeline leaves on the table."""

from interlace.theory.frontier.balance import allowed
from interlace.theory.frontier.decoupling import Pipeline, best_pipeline, price_of_decoupling
from interlace.theory.frontier.descent import (
    DescentRates,
    DescentWindow,
    LeastNorm,
    descent_window,
    least_norm_direction,
    pcgrad_rates,
    projected_rates,
    step_limit,
)
from interlace.theory.frontier.floor import least_sft_loss, sft_loss_floor, sft_loss_floor_from_figures
from interlace.theory.frontier.interleaving import Cycle, interleaving_cycle
from interlace.theory.frontier.joint import Front, front, joint_optimum, joint_value, regret
from interlace.theory.frontier.tabular import PlConstants, tabular_pl_constants
from interlace.theory.frontier.two_looks import Sides, alternated, sides_between

__all__ = [
    # the best of both at once: D9
    "joint_optimum", "joint_value", "regret", "front", "allowed", "Front",
    # one after the other: D10
    "price_of_decoupling", "best_pipeline", "Pipeline",
    # in turns: D11
    "interleaving_cycle", "Cycle", "alternated", "sides_between", "Sides",
    # both gradients in one step: D12
    "descent_window", "pcgrad_rates", "projected_rates", "least_norm_direction", "step_limit",
    "DescentRates", "DescentWindow", "LeastNorm",
    # whatever the method: D13
    "sft_loss_floor", "sft_loss_floor_from_figures", "least_sft_loss",
    # the landscape of tabular policies: D14
    "tabular_pl_constants", "PlConstants",
]  # fmt: skip
