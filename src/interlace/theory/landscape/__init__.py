"""B: what the landscapes of SFT loss and reward allow, CONDITIONAL on smoothness and PL on the path used.

The global PL inequality is not known for transformers, and softmax policy gradient loses it on the way to the best
reward: nothing here assumes it. Every constant is an argument, to be measured on the path, and a figure of B without
that evidence means nothing. Times are gradient-flow times (step size x steps of plain gradients), not A's RL time.
Figures alone give a float; arrays broadcast and give an array.
"""

from interlace.theory.landscape.decay import (
    path_length,
    path_length_bound,
    path_length_bound_of_steps,
    reward_gap,
    reward_gap_after_steps,
)
from interlace.theory.landscape.duration import (
    Duration,
    break_even_progress,
    least_loss_progress,
    optimal_duration,
    optimal_duration_at_optimum,
    optimal_sft_duration,
    tradeoff_on_path,
)
from interlace.theory.landscape.figures import Bounds
from interlace.theory.landscape.growth import growth_bounds
from interlace.theory.landscape.noise import (
    DriftDiffusion,
    DriftLoss,
    averaged_diffusion,
    diffusion_from_pair,
    drift_and_diffusion,
    drift_loss,
    noise_share,
)
from interlace.theory.landscape.one_update import (
    loss_change_bounds,
    suboptimality_threshold,
    update_lowers_loss,
    update_raises_loss,
)

__all__ = [
    # the gap and the length of gradient paths: B1
    "reward_gap", "reward_gap_after_steps", "path_length", "path_length_bound", "path_length_bound_of_steps",
    # one update: B2, B3
    "loss_change_bounds", "update_lowers_loss", "update_raises_loss", "suboptimality_threshold",
    # the loss at a distance from its minima: B4
    "growth_bounds",
    # how long to train: RL after SFT B5, SFT after RL B6
    "tradeoff_on_path", "optimal_duration", "optimal_duration_at_optimum", "least_loss_progress", "break_even_progress",
    "optimal_sft_duration",
    # random updates: B8
    "drift_and_diffusion", "diffusion_from_pair", "averaged_diffusion", "drift_loss", "noise_share",
    # what they return
    "Bounds", "Duration", "DriftDiffusion", "DriftLoss",
]  # fmt: skip
