"""A rule asked about looks that are over: where it would have stopped."""

from __future__ import annotations

from collections.abc import Mapping

from interlace.analysis.trajectory import Trajectory
from interlace.controllers.base import Decision, Sighting, StopRule
from interlace.estimate import Figure


def replay(
    rule: StopRule, trajectory: Trajectory, figures: Mapping[int, Mapping[str, Figure]] | None = None
) -> tuple[int, Decision | None]:
    """The step whose weights the stage would have ended with, and the decision; the last step and None without a stop.

    `figures`: by step, what the probes read beside the prompts' scores.
    """
    state, last = rule.init(), trajectory.end
    for snapshot in trajectory.snapshots[1:]:
        seen = (figures or {}).get(snapshot.step, {})
        sighting = Sighting(
            snapshot.step, trajectory.held, trajectory.start.scores, snapshot.scores, seen, snapshot is last
        )
        state, decision = rule.update(state, sighting)
        if decision.stop:
            return snapshot.step if decision.rewind_to is None else decision.rewind_to, decision
    return last.step, None
