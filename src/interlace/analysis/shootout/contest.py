"""What the rows of a shoot-out are made from: the arms of some runs on one pair of tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from interlace.analysis.shootout.arms import Arm, Pair
from interlace.analysis.shootout.leads import leads_over_runs
from interlace.analysis.shootout.limit import Limit
from interlace.analysis.shootout.seen import Seen
from interlace.estimate import Figure
from interlace.store import RunRecord
from interlace.theory.frontier import Front


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

    @property
    def front(self) -> Front | None:
        """That of all policies, from the first run (D9); None where the expert is not known, or the tasks are two."""
        return None if self.limits[0] is None else self.limits[0].front

    def opponent_in(self, seen: Mapping[Arm, list[Seen]]) -> list[Seen] | None:
        """The arm that the others are held against, if it was measured under these weights."""
        return next((each for arm, each in seen.items() if arm.name == self.opponent), None)

    def opponent_at_best(self, seen: Mapping[str, Mapping[Arm, list[Seen]]]) -> list[Seen]:
        """The same arm in each run where it has most value by the prompts that choose: under its own weights, their
        average, on its line, or at its start, not trained at all. `seen`: by kind of weights. None of it where it was
        not seen."""
        kinds = [each for found in seen.values() if (each := self.opponent_in(found)) is not None]
        if not kinds:
            return []
        untrained = [replace(each, at=each.looks[0]) for each in kinds[0]]
        return [max(run, key=lambda each: each.gain_choosing(self.exchange_rate))
                for run in zip(untrained, *kinds, strict=True)]  # fmt: skip

    def lead(self, ones: Sequence[Seen], others: Sequence[Seen], comparisons: int = 1) -> Figure:
        """By how much the value is above that of others, run by run, reward units; so many of them hold together."""
        mine, theirs = ([each.values(self.exchange_rate) for each in runs] for runs in (ones, others))
        return leads_over_runs(mine, theirs, self.shared, comparisons)
