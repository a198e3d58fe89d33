"""Differences between checkpoints: which pairs, which of them are one comparison, and what Holm makes of their p."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlace.analysis.trajectory import Snapshot
from interlace.checkpoints.objectives import COMPARED, KL_FROM_FIRST, compare
from interlace.encoding import jsonable
from interlace.estimate import Estimate, Figure
from interlace.statistics import adjusted

MAIN = ("sft_loss", "reward")
"""Objectives whose differences are listed even where there is none to be had, with the reason."""

SAME_COMPARISON = {"sft_loss_per_token": "sft_loss"}
"""Objectives whose change is 0 exactly where that of another is (the tokens are the same): one comparison, one p."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An objective at `end` minus at `start`, paired prompt by prompt.

    The interval of `figure` is a single one. `p_value`: of no change, two-sided (exact McNemar where rewards are one 0
    or 1 a prompt); `p_value_adjusted`: after Holm over all distinct comparisons of the result (`num_comparisons`), so
    that any false alarm among them has the probability it names. None for an unresolved change. `detectable`: where the
    sign is not resolved, the least change that a single comparison of this scatter and size finds in 80 % of cases.
    """

    start: str
    end: str
    task: str
    objective: str
    figure: Figure
    p_value: float | None
    p_value_adjusted: float | None
    detectable: Figure | None = None

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {"from": self.start, "to": self.end, "task": self.task, "objective": self.objective,
                "estimate": self.figure.to_json(), "p_value": jsonable(self.p_value),
                "p_value_adjusted": jsonable(self.p_value_adjusted),
                "detectable": None if self.detectable is None else self.detectable.to_json()}  # fmt: skip


def differences_of(snapshots: Mapping[tuple[str, str], Snapshot], neighbours: bool = True) -> tuple[Difference, ...]:
    """From the first to each, and between neighbours, each pair once; Holm over the distinct comparisons.

    KL is left out: it is a difference.
    """
    names, tasks = (list(dict.fromkeys(key[i] for key in snapshots)) for i in (0, 1))
    pairs = [(names[0], name) for name in names[1:]]
    pairs += list(itertools.pairwise(names[1:])) if neighbours else []
    made = [
        (start, end, task, objective, compare(objective, snapshots[start, task], snapshots[end, task]))
        for start, end in pairs
        for task in tasks
        for objective in COMPARED
        if objective != KL_FROM_FIRST
    ]
    kept = [entry for entry in made if entry[3] in MAIN or isinstance(entry[4].change, Estimate)]
    p_values = {entry[:4]: entry[4].p_value for entry in kept if entry[3] not in SAME_COMPARISON}
    controlled = dict(zip(p_values, adjusted(list(p_values.values())), strict=True))
    differences = []
    for start, end, task, objective, found in kept:
        tested = (start, end, task, _hypothesis(objective))
        open_to = found.detectable if found.change.sign == 0 else None
        differences.append(
            Difference(start, end, task, objective, found.change, p_values[tested], controlled[tested], open_to)
        )
    return tuple(differences)


def num_comparisons(differences: Sequence[Difference]) -> int:
    """How many distinct comparisons Holm's correction counts."""
    tested = (item for item in differences if item.p_value is not None)
    return len({(item.start, item.end, item.task, _hypothesis(item.objective)) for item in tested})


def _hypothesis(objective: str) -> str:
    """The objective whose change is tested for this one's."""
    return SAME_COMPARISON.get(objective, objective)
