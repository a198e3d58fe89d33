"""Flag: probability mass leaves the RL path: SFT loss pays for more than the reward asks (A10)."""

from __future__ import annotations

from interlace.analysis.place import METHOD, place, tilting_start
from interlace.estimate import Estimate, Unresolved, figure_text
from interlace.flags.base import Evidence
from interlace.statistics import mean_interval


class OffPath:
    """A10's off-path part of the change of SFT loss, at the tilt that earns the same reward, is resolved above
    `MATERIAL` times the start's loss. Of RL stages, where the path is the law's."""

    name = "off_path"
    sentence = "the policy left the RL path: part of the rise of SFT loss is not what the reward asks for"
    source = "A10"
    cost = "none beyond SFT loss and reward"

    def applies(self, evidence: Evidence) -> bool:
        """Where both objectives are measured in an RL stage."""
        return evidence.kind == "rl" and evidence.has_loss and evidence.has_reward

    def raised(self, evidence: Evidence) -> str | None:
        """Said at the first look where the part is resolved."""
        found = place(evidence.trajectory, tilting_start(evidence.trajectory), evidence.now)
        if isinstance(found, Unresolved):
            return None
        part = mean_interval(found.off_path, unit="nats/response", method=METHOD, level=evidence.level)
        if not isinstance(part, Estimate) or part.lower <= evidence.material_rise:
            return None
        return (
            f"step {evidence.step}: the policy left the RL path on {evidence.held.task}: "
            f"{figure_text(part, signed=True)} of SFT loss is not what this reward asks for (A10)"
        )
