"""The reward by the training parser beside the reward by a lenient one: what is a matter of format, what of content."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from interlace.analysis.reward_change import reward_difference
from interlace.analysis.trajectory import LENIENT, Snapshot, Trajectory
from interlace.analysis.words import signed
from interlace.estimate import Figure
from interlace.measurement import PromptScores
from interlace.statistics import PairedDifference, reward_interval

UNIT = "reward units"
OBJECTIVE = "reward_lenient"


def lenient_level(snapshot: Snapshot) -> Figure:
    """The lenient reward at one snapshot, reward units."""
    read = _as_reward(snapshot, snapshot.scores.lenient_rewards)
    values = read.scores.reward_values
    assert values is not None
    return reward_interval(read.reward, values, is_exact=False, unit=UNIT)


def lenient_difference(before: Snapshot, after: Snapshot, unit: str) -> PairedDifference:
    """Its change on the same prompts, as `reward_difference` of a sampled reward."""
    was, now = (_as_reward(snapshot, snapshot.scores.lenient_rewards) for snapshot in (before, after))
    return reward_difference(was, now, unit)


def format_excess(snapshot: Snapshot) -> Figure:
    """The lenient reward minus the training reward of the same completions, reward units: what format costs."""
    scores = snapshot.scores
    strict, lenient = (_as_reward(snapshot, rewards) for rewards in (scores.strict_rewards, scores.lenient_rewards))
    return reward_difference(strict, lenient, UNIT).change


@dataclass(frozen=True, slots=True)
class FormatExcess:
    """`format_excess` at a stage's start and at its end."""

    start: Figure
    end: Figure

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {"start": self.start.to_json(), "end": self.end.to_json()}


def stage_excess(trajectory: Trajectory) -> FormatExcess | None:
    """At both ends of a stage; None where the lenient reward was not measured at both."""
    if trajectory.gap(LENIENT) is not None:
        return None
    seen = trajectory.measured(LENIENT)
    return FormatExcess(format_excess(seen.start), format_excess(seen.end))


def disagreement(excess: FormatExcess | None, reward: Figure, lenient: Figure) -> str:
    """That the two parsers differ beyond the interval, in a sentence; "" where they do not. `reward` and `lenient` are
    the changes of both."""
    if excess is None or (excess.start.sign == 0 and excess.end.sign == 0):
        return ""
    seen = (
        f"A lenient parser reads another reward off the same completions: {_against(excess.start)} at the start, "
        f"{_against(excess.end)} at the end, against the training reward's"
    )
    if reward.sign == 0:
        return f"{seen}."
    moved = "rise" if reward.sign > 0 else "fall"
    shared = {
        reward.sign: f"it shares the {moved} of the reward ({signed(lenient)}), which is not of format alone",
        -reward.sign: f"by it reward changed the other way ({signed(lenient)})",
        0: f"by it no change is resolved ({signed(lenient)}): the {moved} of the reward may be one of format",
    }[lenient.sign]
    return f"{seen}; {shared}."


def level_disagreement(name: str, snapshot: Snapshot) -> str:
    """The same of one checkpoint; "" where the two agree, or were not both measured."""
    if not snapshot.has(LENIENT):
        return ""
    excess = format_excess(snapshot)
    if excess.sign == 0:
        return ""
    task = snapshot.held.task
    return f"{name}: a lenient parser reads {signed(excess)} off the same completions of {task}, a matter of format."


def _against(excess: Figure) -> str:
    return signed(excess, unit=False)


def _as_reward(snapshot: Snapshot, rewards: Float[np.ndarray, "prompt completion"] | None) -> Snapshot:
    """`snapshot` as if `rewards`, of sampled completions, were what the task pays for."""
    assert rewards is not None
    return replace(snapshot, scores=PromptScores.sampled(rewards))
