"""A: the exact analysis of policies as distributions. No assumption on any loss landscape.

The RL path is pi_tau = reference exp(tau r) / Z_tau, tau = `rl_time` >= 0: the optimum of R(pi) -
KL(pi, reference)/tau, and where natural policy gradient stands after RL time tau. A float goes in and a float comes
out; an array of times gives an array.
"""

from interlace.theory.distributional.any_policy import (
    RewardChangeBounds,
    RightWrongSplit,
    TiltSplit,
    reward_change_bounds,
    split_right_wrong,
    split_tilt_off_path,
)
from interlace.theory.distributional.increase import (
    free_energy,
    optimal_sft_increase,
    sft_loss_increase,
    sft_loss_increase_lower_bound,
    sft_loss_slope,
)
from interlace.theory.distributional.mixture import largest_sft_time, sft_path, sft_path_reward
from interlace.theory.distributional.regularised import (
    optimal_regularised_reward,
    regularised_reward,
    regularised_reward_loss,
)
from interlace.theory.distributional.rl_times import (
    matching_rl_time,
    nearest_rl_time,
    non_decoupling_threshold,
    parity_rl_time,
    perfect_expert_limit,
)
from interlace.theory.distributional.tilt import (
    log_partition,
    tilted_policy,
    tilted_reward,
    tilted_reward_variance,
)
from interlace.theory.distributional.tradeoff import (
    optimal_rl_time,
    tradeoff,
    tradeoff_is_unimodal,
    tradeoff_slope,
)

__all__ = [
    # the RL path
    "log_partition", "tilted_policy", "tilted_reward", "tilted_reward_variance",
    # along it: A1 to A5
    "sft_loss_increase", "optimal_sft_increase", "sft_loss_increase_lower_bound", "sft_loss_slope", "free_energy",
    # RL times that answer a question: A4, A5, A10
    "parity_rl_time", "non_decoupling_threshold", "perfect_expert_limit", "matching_rl_time", "nearest_rl_time",
    # reward against SFT loss along it: A6
    "tradeoff", "tradeoff_slope", "optimal_rl_time", "tradeoff_is_unimodal",
    # what leaving the optimum of regularised RL costs: A7
    "regularised_reward", "optimal_regularised_reward", "regularised_reward_loss",
    # the SFT path: A8
    "sft_path", "sft_path_reward", "largest_sft_time",
    # any policy whatever: A9 to A11
    "reward_change_bounds", "split_tilt_off_path", "split_right_wrong",
    "RewardChangeBounds", "RightWrongSplit", "TiltSplit",
]  # fmt: skip
