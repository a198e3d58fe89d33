"""The shoot-out of one recipe: all arms, under each kind of weights, best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

from interlace.analysis.exclusion import exclusion
from interlace.analysis.shootout.adapting import Matched, matched_of
from interlace.analysis.shootout.arms import THEN, Arm, Arms, Pair, arms_of, pairs_of, rl_alone
from interlace.analysis.shootout.compute import By
from interlace.analysis.shootout.contest import Contest
from interlace.analysis.shootout.knobs import Knob, knobs_of
from interlace.analysis.shootout.leads import shared_tasks
from interlace.analysis.shootout.limit import Limit, limit_of
from interlace.analysis.shootout.missing import begun_and_not, not_arms, not_seen
from interlace.analysis.shootout.row import ShootoutRow, rows_of
from interlace.analysis.shootout.seen import Seen, course_of, seen_at_common_compute
from interlace.encoding import jsonable
from interlace.errors import DataError, RecipeError
from interlace.measurement import AVERAGED, RAW
from interlace.store import RunRecord
from interlace.theory.checks import check_exchange_rate
from interlace.theory.frontier import Front


@dataclass(frozen=True, slots=True)
class Shootout:
    """`rows`, best value first within each pair of tasks and kind of weights, of the half of the held-out prompts that
    judges. `started_from`: the stage that all arms begin with; `by`: what compute is counted in; `against`: the arm of
    `lead` and `better`; `seeds`: of the runs, in the order of each row's `values`; `shared`: tasks whose held-out
    prompts all runs have: what is peculiar to these is then in the intervals; `left_out`: how many the recipe's rule
    excludes; `missing`: of each stage, path of stages or seed that has no part in it, why; `fronts`: of each pair of
    one task whose expert is known, the front of all policies (D9), from the first run; `knobs`: of each method that
    several arms train with, what its options do; `matched`: of each arm with a control at its share of imitation, what
    adapting is worth."""

    rows: tuple[ShootoutRow, ...]
    started_from: str
    by: By
    against: str
    exchange_rate: float
    seeds: tuple[int, ...]
    shared: tuple[str, ...]
    left_out: int
    missing: Mapping[str, str]
    fronts: Mapping[Pair, Front]
    knobs: tuple[Knob, ...]
    matched: tuple[Matched, ...]

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The tasks whose reward and whose SFT loss are compared."""
        return tuple(dict.fromkeys(row.pair for row in self.rows))

    @property
    def why_empty(self) -> str:
        """Of one without rows."""
        return "; ".join(f"{name}: {reason}" for name, reason in self.missing.items())

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        parts: dict[str, Sequence[ShootoutRow | Knob | Matched]]
        parts = {"rows": self.rows, "knobs": self.knobs, "matched": self.matched}
        whole = (*parts, "fronts")
        plain = {field.name: jsonable(getattr(self, field.name)) for field in fields(self) if field.name not in whole}
        fronts = {
            pair.name: {"reward": f.reward.tolist(), "sft_loss": f.sft_loss.tolist()} for pair, f in self.fronts.items()
        }
        return plain | {name: [each.to_json() for each in part] for name, part in parts.items()} | {"fronts": fronts}


def shootout(
    records: Sequence[RunRecord], *, by: By = "flops", against: str | None = None, exchange_rate: float = 0.5
) -> Shootout:
    """Compare the arms of runs of one recipe: the paths of stages that begin with one and the same stage's weights.

    `exchange_rate`: lambda, reward units a nat. `against`: an arm, by name; None: RL alone (after the SFT that all
    begin with: the two-stage baseline), else the first.

    Raises DataError for runs of several recipes, or where no two stages begin alike and say what they took; RecipeError
    where `against` is none of them.
    """
    if by not in get_args(By):
        raise DataError(f"by must be one of {', '.join(get_args(By))}. Got {by!r}. Change it.")
    check_exchange_rate(exchange_rate, positive=True)
    kept, waiting = begun_and_not(_kept(records))
    arms = arms_of(kept)
    missing = not_arms(kept, arms)
    opponent, shared, pairs = _opponent(kept, arms, against, missing), shared_tasks(kept), pairs_of(kept[0], arms.arms)
    told: list[tuple[Contest, Mapping[str, Mapping[Arm, list[Seen]]]]] = []
    for pair in pairs:
        limits = [_limit(record, arms, pair) for record in kept]
        contest = Contest(kept, pair, limits, opponent, exchange_rate, shared)
        told.append((contest, seen_at_common_compute(kept, arms.arms, pair, by, exchange_rate)))
    trained = [(contest, weights, seen[weights]) for contest, seen in told for weights in (RAW, AVERAGED)]
    rows = tuple(row for contest, seen in told for row in rows_of(contest, seen))
    unseen = [arm for arm in arms.arms if arm.name not in {row.arm for row in rows}]
    return Shootout(
        rows=rows,
        started_from=arms.start,
        by=by,
        against=opponent,
        exchange_rate=exchange_rate,
        seeds=tuple(record.seed for record in kept),
        shared=tuple(sorted(shared)),
        left_out=sum(exclusion(record) is not None for record in records),
        missing=missing | not_seen(kept, unseen, pairs, by) | waiting,
        fronts={contest.pair: front for contest, _ in told if (front := contest.front) is not None},
        knobs=tuple(knob for asked in trained for knob in knobs_of(*asked)),
        matched=tuple(each for asked in trained for each in matched_of(*asked)),
    )


def _kept(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Those that the recipe's rule does not leave out. Raises DataError for none, and for what are no seeds of one."""
    kept = [record for record in records if exclusion(record) is None]
    if not kept:
        why = "; ".join(f"seed {record.seed}: {exclusion(record)}" for record in records) or "there is none"
        raise DataError(
            f"a shoot-out must have a run that its recipe's rule (exclude_seeds) does not leave out. Got {why}. Run "
            "more seeds."
        )
    _refuse_mixture(kept)
    return kept


def _opponent(records: Sequence[RunRecord], arms: Arms, against: str | None, missing: Mapping[str, str]) -> str:
    """The arm that others are held against. Raises RecipeError where the one that is asked for is none."""
    if against is None:
        return (rl_alone(records, arms.arms) or arms.arms[0]).name
    asked, names = _arrows(against), [arm.name for arm in arms.arms]
    if asked not in names:
        why = f", which is left out: {missing[asked]}" if asked in missing else ""
        raise RecipeError(f"against must be an arm, one of {', '.join(names)}. Got {asked!r}{why}. Change it.")
    return asked


def _arrows(name: str) -> str:
    """An arm's name as it may be typed."""
    return THEN.join(part.strip() for part in name.replace("->", THEN.strip()).split(THEN.strip()))


def _refuse_mixture(records: Sequence[RunRecord]) -> None:
    """Raise DataError for runs that are not seeds of one recipe."""
    recipes = list(dict.fromkeys(record.recipe for record in records))
    if len(recipes) > 1:
        raise DataError(
            f"a shoot-out must have runs of one recipe. Got {', '.join(recipes)}. Give one at a time, or ask standings."
        )
    for part in ("model", "model_options", "tasks"):
        if any(record.resolved.get(part) != records[0].resolved.get(part) for record in records):
            raise DataError(f"a shoot-out must have runs with the same {part}. They differ. Give those that agree.")
    seeds = [record.seed for record in records]
    twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
    if twice is not None:
        where = " and in ".join(str(record.folder) for record in records if record.seed == twice)
        raise DataError(
            f"a shoot-out must have every seed once. Got {sorted(seeds)}: seed {twice} is in {where}. Leave one out."
        )


def _limit(record: RunRecord, arms: Arms, pair: Pair) -> Limit | None:
    """From the start that all arms of a run share, as the first of them measured it, on the prompts that judge."""
    for arm in arms.arms:
        course = course_of(record, arm, pair, RAW, "flops")
        if course:
            start = course[0].judging
            return limit_of(start.rewarded, start.imitated)
    return None
