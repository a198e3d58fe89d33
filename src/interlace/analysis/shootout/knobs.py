"""What the options of one method do: arms that differ in nothing else, and what choosing among them is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from interlace.analysis.shootout.arms import Arm, Pair, method_of
from interlace.analysis.shootout.contest import Contest
from interlace.analysis.shootout.ranks import comparisons_of
from interlace.analysis.shootout.row import NOT_SEEN
from interlace.analysis.shootout.seen import Seen
from interlace.encoding import jsonable
from interlace.estimate import Figure, Unresolved
from interlace.store import RunRecord

SCHEDULING = frozenset({"name", "method", "max_steps", "measure_every", "save_steps"})
"""Options of a stage in which such arms may differ: equal compute sets the number of steps."""
ONE_RUN = Unresolved("one run alone cannot say what tuning is worth: run more seeds")


class Setting(NamedTuple):
    """An arm, and what its method was told that the others were told otherwise."""

    arm: str
    options: Mapping[str, Any]

    @property
    def text(self) -> str:
        """Option and value, all of them."""
        return ", ".join(f"{name} {value}" for name, value in self.options.items())


@dataclass(frozen=True, slots=True)
class Knob:
    """The settings of one `method` under one kind of weights, best value of R - lambda L first.

    `spread`: by how much the best is above the worst, run by run, reward units; the interval holds for all pairs of
    settings together, since both are picked from them. `chosen`: the setting that all runs together prefer, by the half
    of the held-out prompts that does not judge. `lead`: what tuning is worth, by how much a setting that was chosen on
    other runs is above the arm that all are held against: in each run that which the others prefer on average is
    judged, which may be another one than `chosen`. Trying the settings took `len(settings)` times an arm's compute.
    """

    method: str
    pair: Pair
    weights: str
    settings: tuple[Setting, ...]
    spread: Figure
    chosen: Setting
    lead: Figure

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        plain = {field.name: jsonable(getattr(self, field.name)) for field in fields(self)
                 if field.name not in ("settings", "chosen", "pair")}  # fmt: skip
        settings = [{"arm": each.arm, "options": dict(each.options)} for each in self.settings]
        return plain | {
            "task": self.pair.rewarded,
            "imitated": self.pair.imitated,
            "settings": settings,
            "chosen": self.chosen.arm,
        }


def knobs_of(contest: Contest, weights: str, seen: Mapping[Arm, list[Seen]]) -> Iterator[Knob]:
    """One of each method that several arms train with, in the arms' order."""
    rate = contest.exchange_rate
    for method, arms in _families(contest, list(seen)):
        settings = _settings(contest.records[0], arms)
        if len(settings) < 2:
            continue
        tried = {arm: seen[arm] for arm in settings}
        values = {arm: np.mean([each.gain(rate) for each in runs]) for arm, runs in tried.items()}
        order = sorted(settings, key=lambda arm: -values[arm])
        yield Knob(
            method=method,
            pair=contest.pair,
            weights=weights,
            settings=tuple(settings[arm] for arm in order),
            spread=contest.lead(seen[order[0]], seen[order[-1]], comparisons_of(len(order))),
            chosen=settings[_preferred(tried, range(len(contest.records)), rate)],
            lead=_lead(contest, tried, contest.opponent_in(seen)),
        )


def _families(contest: Contest, arms: Sequence[Arm]) -> list[tuple[str, list[Arm]]]:
    """Arms of one hybrid stage, by method, that are alike in all but the method's options and their schedule. The arm
    that all are held against, and controls that are like others, are no settings."""
    found: dict[tuple[str, str], list[Arm]] = {}
    for arm in arms:
        (stage, *others) = arm.of(contest.records[0])
        is_setting = arm.name != contest.opponent and "like" not in method_of(stage)
        if stage.kind == "hybrid" and not others and is_setting:
            alike = {name: value for name, value in stage.options.items() if name not in SCHEDULING}
            found.setdefault((str(method_of(stage)["name"]), repr(sorted(alike.items()))), []).append(arm)
    return [(method, family) for (method, _), family in found.items()]


def _settings(record: RunRecord, arms: Sequence[Arm]) -> dict[Arm, Setting]:
    """What tells each arm from the others; of arms told the same the first."""
    told = {arm: dict(method_of(arm.of(record)[0])) for arm in arms}
    names = list(dict.fromkeys(name for each in told.values() for name in each))
    differing = [name for name in names if len({repr(each.get(name)) for each in told.values()}) > 1]
    found: dict[str, tuple[Arm, Setting]] = {}
    for arm, each in told.items():
        options = {name: each.get(name) for name in differing}
        found.setdefault(repr(options), (arm, Setting(arm.name, options)))
    return dict(found.values())


def _preferred(tried: Mapping[Arm, Sequence[Seen]], runs: Sequence[int], exchange_rate: float) -> Arm:
    """The setting of most mean gain in some runs, on the prompts that choose."""
    return max(tried, key=lambda arm: float(np.mean([tried[arm][run].gain_choosing(exchange_rate) for run in runs])))


def _lead(contest: Contest, tried: Mapping[Arm, Sequence[Seen]], opponent: Sequence[Seen] | None) -> Figure:
    """Of the setting that all other runs prefer, run by run."""
    if opponent is None:
        return NOT_SEEN
    if len(opponent) < 2:
        return ONE_RUN
    runs, rate = range(len(opponent)), contest.exchange_rate
    chosen = [_preferred(tried, [other for other in runs if other != run], rate) for run in runs]
    return contest.lead([tried[arm][run] for run, arm in enumerate(chosen)], opponent)
