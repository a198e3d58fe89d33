"""What adapting is worth: an arm beside those that have the mean share of imitation that its method came to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from interlace.analysis.shootout.arms import Arm, Pair, method_of
from interlace.analysis.shootout.contest import Contest
from interlace.analysis.shootout.seen import Seen
from interlace.encoding import jsonable
from interlace.estimate import Figure


@dataclass(frozen=True, slots=True)
class Matched:
    """`arm` under one kind of weights beside its `control`, an arm whose method is `like` it: the mean share of
    imitation over all of its stage in every update, or by a coin, without adapting. `lead`: by how much the arm's value
    of R - lambda L is above its control's, run by run, reward units; each comparison by itself."""

    pair: Pair
    weights: str
    arm: str
    method: str
    control: str
    control_method: str
    lead: Figure

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        plain = {field.name: jsonable(getattr(self, field.name)) for field in fields(self) if field.name != "pair"}
        return {"task": self.pair.rewarded, "imitated": self.pair.imitated, **plain}


def matched_of(contest: Contest, weights: str, seen: Mapping[Arm, list[Seen]]) -> Iterator[Matched]:
    """Of every control whose arm was seen too, in the arms' order."""
    record = contest.records[0]
    arms = {arm.stages: arm for arm in seen}
    for control, runs in seen.items():
        if len(control.stages) > 1:
            continue
        told = method_of(control.of(record)[0])
        arm = arms.get((str(told.get("like")),))
        if arm is None:
            continue
        yield Matched(
            pair=contest.pair,
            weights=weights,
            arm=arm.name,
            method=str(method_of(arm.of(record)[0])["name"]),
            control=control.name,
            control_method=str(told["name"]),
            lead=contest.lead(seen[arm], runs),
        )
