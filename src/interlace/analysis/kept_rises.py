"""The rise of SFT loss at each look of a stage, over the held-out prompts that did not steer its method."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.shootout.halves import JUDGING
from interlace.analysis.trajectory import SFT_LOSS, Trajectory
from interlace.estimate import Figure
from interlace.statistics import paired_ratio_change


def judged_rises(trajectory: Trajectory) -> Sequence[Figure]:
    """The paired change of SFT loss from the start to each look, over prompts that did not steer, nats/token."""
    start, *looks = trajectory.measured(SFT_LOSS).snapshots
    tokens = trajectory.held.per_prompt(trajectory.held.num_tokens.astype(float))[JUDGING::2]
    return [
        paired_ratio_change(start.loss[JUDGING::2], look.loss[JUDGING::2], tokens, unit="nats/token") for look in looks
    ]
