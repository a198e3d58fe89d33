"""D1 to D8, D15 and C7: how real updates move a policy, and what can be read from rewards alone."""

from interlace.theory.paths.reward_only import reward_only_sft_change

__all__ = [
    # read from rewards alone: C7
    "reward_only_sft_change",
]
