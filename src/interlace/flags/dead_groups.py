"""Flag: in almost every group all completions earn the same, so that RL has nothing to learn from."""

from __future__ import annotations

import numpy as np

from interlace.estimate import Estimate, interval_text, value_text
from interlace.flags.base import Evidence
from interlace.statistics import rate_interval

DEAD = 0.8
"""The share of groups above which they count as dead: of the compute that samples them less than a fifth teaches."""


class DeadGroups:
    """The share of the trainer's latest groups whose rewards are all equal has its exact lower end above `DEAD`.

    The reward gives such a group no advantage, whether all of it is right or all wrong. Of RL stages whose samples are
    read (`attach`, pipelines); the window is a fixed number of groups over several batches, whatever they show. A
    constant reward raises it, which is no false alarm: all groups are dead. Not where TRL normalises each of several
    rewards before it adds them (`normalize_then_sum`): there equal sums may have advantages.
    """

    name = "dead_groups"
    sentence = f"in more than {DEAD:.0%} of the latest groups all completions earned the same: nothing to learn from"
    source = "D5: the variance within prompts is what RL moves along"
    cost = "none: what the trainer samples anyway"

    def applies(self, evidence: Evidence) -> bool:
        """Where the trainer's groups are known."""
        return evidence.groups is not None

    def raised(self, evidence: Evidence) -> str | None:
        """Said at the first look where the share is resolved above `DEAD`."""
        assert evidence.groups is not None
        rewards = evidence.groups.recent
        flat = np.nanmax(rewards, axis=1) == np.nanmin(rewards, axis=1)
        share = rate_interval(int(flat.sum()), flat.size, kind="clopper_pearson", level=evidence.level)
        if not isinstance(share, Estimate) or share.lower <= DEAD:
            return None
        earned = float(np.nanmean(rewards))
        return (
            f"step {evidence.step}: in {value_text(share)} {interval_text(share)} of the last {flat.size} groups that "
            f"the trainer sampled all completions earned the same (mean reward {earned:.3g}): the reward gives them no "
            "advantage and teaches nothing (D5). Train on prompts that are answered right now and then, or sample "
            "larger groups"
        )
