"""The rise of SFT loss since a stage's start, over one half of the held-out prompts: what steers a method with a
budget, and what says whether it was kept."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.halves import JUDGING, half_values
from interlace.analysis.trajectory import SFT_LOSS, Snapshot, Trajectory
from interlace.estimate import Figure
from interlace.statistics import paired_ratio_change


def rise_between(start: Snapshot, now: Snapshot, half: int) -> Figure:
    """The paired change of SFT loss from one point to another over one half of the prompts, nats/token."""
    tokens = start.held.per_prompt(start.held.num_tokens.astype(float))
    return paired_ratio_change(*(half_values(each, half) for each in (start.loss, now.loss, tokens)), unit="nats/token")


def judged_rises(trajectory: Trajectory) -> Sequence[Figure]:
    """From the start to each look, over prompts that did not steer."""
    start, *looks = trajectory.measured(SFT_LOSS).snapshots
    return [rise_between(start, look, JUDGING) for look in looks]
