"""Flag: the held-out SFT loss rose since the stage's start, beyond its interval and beyond a wobble."""

from __future__ import annotations

from interlace.estimate import Estimate, figure_text
from interlace.flags.base import MATERIAL, Evidence
from interlace.statistics import paired_change


class SftLossRise:
    """The paired change of SFT loss since the stage's start has its lower end above `MATERIAL` times the loss there."""

    name = "sft_loss_rise"
    sentence = f"SFT loss rose since the stage's start, resolved above {MATERIAL:.0%} of what it was"
    source = "the run itself"
    cost = "none beyond SFT loss"

    def applies(self, evidence: Evidence) -> bool:
        """Where the task has an expert."""
        return evidence.has_loss

    def raised(self, evidence: Evidence) -> str | None:
        """Said at the first look where the rise is resolved."""
        change = paired_change(evidence.start.loss, evidence.now.loss, unit="nats/response", level=evidence.level)
        if not isinstance(change, Estimate) or change.lower <= evidence.material_rise:
            return None
        return (
            f"step {evidence.step}: SFT loss on {evidence.held.task} rose by {figure_text(change, signed=True)} "
            "since the stage's start"
        )
