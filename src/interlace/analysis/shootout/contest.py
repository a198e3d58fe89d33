"""What the rows of a shoot-out are made from: the arms of some runs on one pair of tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from interlace.analysis.shootout.arms import Arm, Pair
from interlace.analysis.shootout.leads import leads_over_runs
from interlace.analysis.shootout.limit import Limit
from interlace.analysis.shootout.seen import Seen
from interlace.estimate import Figure
from interlace.store import RunRecord


@dataclass(frozen=True, eq=False)
class Contest:
    """The runs, and each run's limit; `opponent`: the arm that the others are held against, by name; `shared`: the
    tasks whose held-out prompts are the same in all runs."""

    records: Sequence[RunRecord]
    pair: Pair
    limits: Sequence[Limit | None]
    opponent: str
    exchange_rate: float
    shared: frozenset[str]

    @property
    def is_shared(self) -> bool:
        """Whether the runs have the same prompts of one of the two tasks at least."""
        return not self.shared.isdisjoint(self.pair)

    def opponent_in(self, seen: Mapping[Arm, list[Seen]]) -> list[Seen] | None:
        """The arm that the others are held against, if it was measured under these weights."""
        return next((each for arm, each in seen.items() if arm.name == self.opponent), None)

    def lead(self, ones: Sequence[Seen], others: Sequence[Seen], comparisons: int = 1) -> Figure:
        """By how much the value is above that of others, run by run, reward units; so many of them hold together."""
        mine, theirs = ([each.values(self.exchange_rate) for each in runs] for runs in (ones, others))
        return leads_over_runs(mine, theirs, self.shared, comparisons)
