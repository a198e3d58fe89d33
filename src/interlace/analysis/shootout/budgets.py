"""Arms that keep a budget of SFT loss: whether they kept it, and what reward it left them, on prompts that did not
steer them (every second one does)."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from interlace.analysis.kept_rises import judged_rises
from interlace.analysis.shootout.arms import Arm, Pair, method_of
from interlace.analysis.shootout.compute import By
from interlace.analysis.shootout.distance import ONE_RUN
from interlace.analysis.shootout.seen import Seen, seen_at_common_compute
from interlace.analysis.trajectory import SFT_LOSS, read_trajectory
from interlace.estimate import THIS_RECIPE, Estimate, Figure, Unresolved
from interlace.measurement import AVERAGED, RAW
from interlace.statistics import rate_interval, seed_interval
from interlace.store import RunRecord

NO_GAIN = Unresolved("RL alone gained no reward in one of the runs: there is no share of it")
NO_OTHERS = Unresolved("one run has no others to choose a rival on: run more seeds")
NOT_SEEN = Unresolved("RL alone was not measured so in all runs")
NO_RIVAL = Unresolved("no arm of a published method was measured so in all runs")


@dataclass(frozen=True, slots=True)
class Looks:
    """Looks of all runs after the start, by whether the rise of SFT loss was within the budget.

    `within`, `above`: with the whole interval; `probably_within`, `probably_above`: by the mean alone; `unread`:
    without a figure. `share`: of the looks that were read those with the mean within, mean over runs; `ended`: share of
    runs whose last look was within by its mean. Both with intervals over runs, as looks of one run are no draws; not
    told where a run has no such look that was read.
    """

    within: int
    probably_within: int
    probably_above: int
    above: int
    unread: int
    share: Figure
    ended: Figure


@dataclass(frozen=True, slots=True)
class BudgetKept:
    """An arm with a budget under one kind of weights. `guarded`: the weights that its method guards, whose `looks`
    these are. `gain_kept`: its rise of reward over that of RL alone from the same start at the common compute, mean
    over runs, fraction. `over_rl`, `over_published`: share of runs in which its R - lambda L is above that of RL alone,
    and of the best published arm, chosen for each run by the other runs; with exact intervals. `rivals`: these arms."""

    arm: str
    weights: str
    guarded: str
    budget: float
    looks: Looks
    gain_kept: Figure
    over_rl: Figure
    over_published: Figure
    rivals: tuple[str, ...]


def budgets_kept(
    records: Sequence[RunRecord],
    arms: Sequence[Arm],
    pair: Pair,
    rl_alone: Arm,
    published: Collection[str],
    *,
    by: By = "flops",
    exchange_rate: float = 0.5,
) -> list[BudgetKept]:
    """Every arm whose method has a budget, raw and averaged. `published`: names of methods of others. All figures are
    of the prompts that did not steer, those of the other arms too."""
    found: list[BudgetKept] = []
    of_all = seen_at_common_compute(records, arms, pair, by, exchange_rate)
    for weights in (RAW, AVERAGED):
        seen = of_all[weights]
        rivals = {arm: each for arm, each in seen.items() if arm != rl_alone and _is_of(records[0], arm, published)}
        of_rl = seen.get(rl_alone)
        guarded = [arm for arm in seen if _budget(records[0], arm) is not None]
        found += [_row(records, arm, pair, weights, seen, of_rl, rivals, exchange_rate) for arm in guarded]
    return found


def _row(
    records: Sequence[RunRecord],
    arm: Arm,
    pair: Pair,
    weights: str,
    seen: Mapping[Arm, Sequence[Seen]],
    of_rl: Sequence[Seen] | None,
    rivals: Mapping[Arm, Sequence[Seen]],
    exchange_rate: float,
) -> BudgetKept:
    budget = _budget(records[0], arm)
    assert budget is not None
    guarded = _guarded(records, arm, pair)
    values = [each.gain(exchange_rate) for each in seen[arm]]
    others = {rival.name: [each.gain(exchange_rate) for each in runs] for rival, runs in rivals.items()}
    over_published, chosen = over_best_of_others(values, others)
    return BudgetKept(
        arm=arm.name,
        weights=weights,
        guarded=guarded,
        budget=budget,
        looks=looks_within([_rises(record, arm, pair, guarded) for record in records], budget),
        gain_kept=NOT_SEEN if of_rl is None else gain_kept(_reward_rises(seen[arm]), _reward_rises(of_rl)),
        over_rl=NOT_SEEN if of_rl is None else _wins(values, [each.gain(exchange_rate) for each in of_rl]),
        over_published=over_published,
        rivals=chosen,
    )


def looks_within(rises: Sequence[Sequence[Figure]], budget: float) -> Looks:
    """Of each run the rise at every look, nats/token."""
    flat = [rise for run in rises for rise in run if isinstance(rise, Estimate)]
    within = sum(rise.upper <= budget for rise in flat)
    above = sum(rise.lower > budget for rise in flat)
    by_mean = sum(rise.value <= budget for rise in flat)
    return Looks(
        within=within,
        probably_within=by_mean - within,
        probably_above=len(flat) - by_mean - above,
        above=above,
        unread=sum(map(len, rises)) - len(flat),
        share=share_over_runs([_share_within(run, budget) for run in rises]),
        ended=share_over_runs([_share_within(run[-1:], budget) for run in rises]),
    )


def _share_within(looks: Sequence[Figure], budget: float) -> float | Unresolved:
    """Of those of one run's looks that were read, the share with the mean within."""
    is_within = [look.value <= budget for look in looks if isinstance(look, Estimate)]
    if is_within:
        return sum(is_within) / len(is_within)
    reasons = dict.fromkeys(look.reason for look in looks if isinstance(look, Unresolved))
    return Unresolved(f"in a run no such look was read: {'; '.join(reasons) or 'none was made'}")


def share_over_runs(shares: Sequence[float | Unresolved]) -> Figure:
    """The mean of shares of runs; Clopper and Pearson's interval of as many runs.

    Exact where each share is 0 or 1. Others scatter less than that about the same mean; their sum is taken down to a
    whole number for the lower end and up for the upper one, so that the interval is wider than it must be. Where a run
    has none there is no share: leaving runs out would choose.

    >>> print(share_over_runs([1.0, 1.0, 1.0]))
    1.00 [0.29, 1.00] fraction
    """
    if not shares:
        return Unresolved("there is no run")
    told = [share for share in shares if not isinstance(share, Unresolved)]
    if len(told) < len(shares):
        return next(share for share in shares if isinstance(share, Unresolved))
    total, count = float(np.sum(told)), len(told)
    down, up = (rate_interval(k, count, kind="clopper_pearson") for k in (math.floor(total), math.ceil(total)))
    if isinstance(down, Unresolved) or isinstance(up, Unresolved):
        return down if isinstance(down, Unresolved) else up
    return replace(down, value=total / count, upper=up.upper, scope=THIS_RECIPE)


def gain_kept(arm: Sequence[float], rl: Sequence[float]) -> Figure:
    """Mean over runs of the arm's gain over that of RL from the same start."""
    if min(rl) <= 0.0:
        return NO_GAIN
    if len(arm) < 2:
        return ONE_RUN
    return seed_interval([mine / other for mine, other in zip(arm, rl, strict=True)], unit="fraction")


def over_best_of_others(
    values: Sequence[float], rivals: Mapping[str, Sequence[float]]
) -> tuple[Figure, tuple[str, ...]]:
    """The share of runs in which a value is above that of the best rival, and these: best by the mean of the other
    runs, so that a run's own luck chooses nothing."""
    if not rivals:
        return NO_RIVAL, ()
    if len(values) < 2:
        return NO_OTHERS, ()
    names, table = list(rivals), np.array(list(rivals.values()))
    best = [int(np.argmax(np.delete(table, run, axis=1).sum(axis=1))) for run in range(len(values))]
    return _wins(values, [table[rival, run] for run, rival in enumerate(best)]), tuple(names[each] for each in best)


def _wins(values: Sequence[float], others: Sequence[float]) -> Figure:
    return share_over_runs([float(mine > other) for mine, other in zip(values, others, strict=True)])


def _reward_rises(seen: Sequence[Seen]) -> list[float]:
    return [float(each.rises()[0].mean()) for each in seen]


def _budget(record: RunRecord, arm: Arm) -> float | None:
    """Of an arm of one stage."""
    found = method_of(arm.of(record)[0]).get("budget") if len(arm.stages) == 1 else None
    return None if found is None else float(found)


def _guarded(records: Sequence[RunRecord], arm: Arm, pair: Pair) -> str:
    """The weights that the method was told to guard, else the average where the stage keeps one."""
    (stage,) = arm.of(records[0])
    asked = method_of(stage).get("weights")
    kept = read_trajectory(records[0], stage.stage, pair.imitated, AVERAGED).gap(SFT_LOSS) is None
    return str(asked) if asked else AVERAGED if kept else RAW


def _rises(record: RunRecord, arm: Arm, pair: Pair, weights: str) -> Sequence[Figure]:
    (stage,) = arm.of(record)
    trajectory = read_trajectory(record, stage.stage, pair.imitated, weights)
    missing = trajectory.gap(SFT_LOSS)
    return judged_rises(trajectory) if missing is None else [Unresolved(missing)]


def _is_of(record: RunRecord, arm: Arm, methods: Collection[str]) -> bool:
    """Whether every stage of an arm is of one of `methods`, and the arm no control: matched to another, or one side
    alone."""
    told = [method_of(stage) for stage in arm.of(record)]
    is_control = any("like" in each or each.get("mu") in (0.0, 1.0) for each in told)
    return not is_control and all(each.get("name") in methods for each in told)
