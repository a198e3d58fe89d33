"""Flag: the reward passed the expert's, so the RL path raises SFT loss from here on (A4)."""

from __future__ import annotations

from interlace.estimate import Estimate, figure_text
from interlace.flags.base import Evidence
from interlace.statistics import paired_change

ROUNDING = 1e-9
"""Two means of one constant reward may differ by rounding, and always in the same direction."""


class PassedParity:
    """R - R_D, paired prompt by prompt, is resolved above 0. Of stages that train on a reward or on preferences: an SFT
    stage draws the policy to the expert and ends near parity by itself."""

    name = "parity"
    sentence = "the reward passed the expert's: RL raises SFT loss from here on"
    source = "A4"
    cost = "none beyond SFT loss and reward"

    def applies(self, evidence: Evidence) -> bool:
        """Where reward is known of policy and expert."""
        return evidence.kind != "sft" and evidence.has_reward and bool(evidence.held.prompt.size)

    def raised(self, evidence: Evidence) -> str | None:
        """Said at the first look where the gap is resolved."""
        gap = paired_change(evidence.expert_reward, evidence.now.reward, unit="reward units", level=evidence.level)
        if not isinstance(gap, Estimate) or gap.lower <= ROUNDING * max(1.0, abs(gap.value)):
            return None
        return (
            f"step {evidence.step}: reward on {evidence.held.task} passed the expert's, by "
            f"{figure_text(gap, signed=True)}. On the RL path SFT loss rises from here on (A4)"
        )
