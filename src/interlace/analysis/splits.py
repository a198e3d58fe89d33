"""A stage's change of SFT loss, divided: by right and wrong expert responses (A11), by tilt and off-path part (A10)."""

from __future__ import annotations

import numpy as np

from interlace.analysis.changes import NATS_RESPONSE, not_binary
from interlace.analysis.passage import Passage
from interlace.analysis.place import METHOD
from interlace.analysis.summary import Split
from interlace.analysis.trajectory import SFT_LOSS, Trajectory
from interlace.estimate import Figure, Unresolved
from interlace.statistics import mean_interval, paired_change

RL_TIME_UNIT = "per reward unit"


def split(passage: Passage) -> Split:
    """Both splits of a stage; a part that cannot be had says why."""
    right, wrong = right_wrong(passage.trajectory)
    tilt, off_path, rl_time = tilt_off_path(passage)
    return Split(right, wrong, tilt, off_path, rl_time)


def right_wrong(trajectory: Trajectory) -> tuple[Figure, Figure]:
    """A11: what the expert's right (damage, if positive) and wrong (wanted unlearning) responses add to the change.

    Contributions, not means: each response counts by its probability, so that the two add up to the change.
    """
    refusal = trajectory.gap(SFT_LOSS) or not_binary(trajectory.held)
    if refusal is not None:
        return Unresolved(refusal), Unresolved(refusal)
    part = trajectory.measured(SFT_LOSS)
    is_right = trajectory.held.is_right
    return _contribution(part, is_right), _contribution(part, ~is_right)


def _contribution(part: Trajectory, chosen: np.ndarray) -> Figure:
    before, after = (
        part.held.per_prompt(np.where(chosen, snapshot.response_loss, 0.0)) for snapshot in (part.start, part.end)
    )
    return paired_change(before, after, unit=NATS_RESPONSE)


def tilt_off_path(passage: Passage) -> tuple[Figure, Figure, Figure]:
    """A10 at the tilt that earns the stage's final reward: the tilt part, the off-path part, and that RL time."""
    refusal = "tilt and off-path part (A10) are of RL stages" if passage.stage.kind != "rl" else passage.gap
    end = Unresolved(refusal) if refusal is not None else passage.place(-1)
    if isinstance(end, Unresolved):
        return end, end, end
    return (
        mean_interval(end.tilt, unit=NATS_RESPONSE, method=METHOD),
        mean_interval(end.off_path, unit=NATS_RESPONSE, method=METHOD),
        mean_interval(end.time, unit=RL_TIME_UNIT, method=METHOD),
    )
