"""Flag: the reward stands above the expert's, so the RL path raises SFT loss from here on (A4)."""

from __future__ import annotations

from interlace.analysis.parity_gap import parity_gap
from interlace.estimate import Estimate, Figure, figure_text
from interlace.flags.base import Evidence

ROUNDING = 1e-9
"""Two means of one constant reward may differ by rounding, and always in the same direction."""


class PassedParity:
    """R - R_D over the held-out prompts is resolved above 0 (`parity_gap`: sampled rewards have a bounded interval). Of
    stages that train on a reward or on preferences: an SFT stage draws the policy to the expert and ends near parity by
    itself. "Passed" is said only where the stage's start was not resolved above, at 95 %."""

    name = "parity"
    sentence = "the reward passed the expert's, or stood above it from the start: RL raises SFT loss from here on"
    source = "A4"
    cost = "none beyond SFT loss and reward"

    def applies(self, evidence: Evidence) -> bool:
        """Where reward is known of policy and expert."""
        return evidence.kind in ("rl", "preference") and evidence.has_reward and bool(evidence.held.prompt.size)

    def raised(self, evidence: Evidence) -> str | None:
        """Said at the first look where the gap is resolved."""
        gap = parity_gap(evidence.now, evidence.expert_reward, level=evidence.level)
        if not _is_above(gap):
            return None
        stood = _is_above(parity_gap(evidence.start, evidence.expert_reward))
        how = "has stood above the expert's since the stage's start, now" if stood else "passed the expert's,"
        return (
            f"step {evidence.step}: reward on {evidence.held.task} {how} by {figure_text(gap, signed=True)}. On the RL "
            "path SFT loss rises from here on (A4)"
        )


def _is_above(gap: Figure) -> bool:
    return isinstance(gap, Estimate) and gap.lower > ROUNDING * max(1.0, abs(gap.value))
