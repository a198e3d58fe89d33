"""D1 to D8, D15 and C7: how real updates move a policy, and what can be read from rewards alone.

Rates are per unit of the time in which the logits move; RL time is that of the RL path (A). A path model is a way in
which RL moves a policy; `follow` follows one.
"""

from interlace.theory.paths.anchored import anchored_loss_rate, anchored_policy, rl_clock, rl_clock_steps
from interlace.theory.paths.group import group_rl_time, group_step_scale, group_velocity
from interlace.theory.paths.linearised import linearised_cost
from interlace.theory.paths.models import PATH_MODELS, Path, follow
from interlace.theory.paths.path_model import PathModel, PathOptions, Point
from interlace.theory.paths.prices import reward_per_nat, sft_cost_per_nat
from interlace.theory.paths.rates import Projection, loss_rate, natural_velocity, projection_bound, reward_rate
from interlace.theory.paths.reward_only import reward_only_sft_change
from interlace.theory.paths.rl_time import RlTimeFit, rl_time_from_log_ratios, rl_time_from_rewards, within_prompt_sums
from interlace.theory.paths.sft_weight import optimal_sft_weight
from interlace.theory.paths.softmax import softmax_loss_rate, softmax_sign_follows_parity, softmax_velocity
from interlace.theory.paths.std_natural import std_natural_loss_rate, std_natural_pass_rate, std_natural_velocity
from interlace.theory.paths.walk_back import WalkedBack, least_reward

__all__ = [
    # any update: D1; through shared parameters: D15
    "loss_rate", "reward_rate", "natural_velocity", "projection_bound", "linearised_cost", "Projection",
    # what a nat costs and gains: D2
    "reward_per_nat", "sft_cost_per_nat",
    # plain policy gradient: D3
    "softmax_velocity", "softmax_loss_rate", "softmax_sign_follows_parity",
    # groups (GRPO) and advantages divided by their std: D4
    "group_step_scale", "group_rl_time", "group_velocity",
    "std_natural_velocity", "std_natural_loss_rate", "std_natural_pass_rate",
    # read from a run: D5, C7
    "rl_time_from_log_ratios", "within_prompt_sums", "rl_time_from_rewards", "reward_only_sft_change", "RlTimeFit",
    # a KL term in the objective: D6, D7
    "anchored_policy", "anchored_loss_rate", "rl_clock", "rl_clock_steps",
    # SFT after RL: D8
    "optimal_sft_weight", "least_reward", "WalkedBack",
    # path models
    "follow", "PATH_MODELS", "Path", "PathModel", "PathOptions", "Point",
]  # fmt: skip
