"""A row of the shoot-out: one arm under one kind of weights at the common compute, over the seeds of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from interlace.analysis.averages import over_seeds
from interlace.analysis.reward_change import reward_difference
from interlace.analysis.shootout import figures
from interlace.analysis.shootout.area import dominated_share
from interlace.analysis.shootout.arms import THEN, Arm, Pair, method_of
from interlace.analysis.shootout.compute import SHORT
from interlace.analysis.shootout.limit import Limit
from interlace.analysis.shootout.ranks import ranks_of
from interlace.analysis.shootout.seen import Seen
from interlace.analysis.trajectory import REWARD, read_trajectory
from interlace.encoding import jsonable
from interlace.estimate import THIS_RECIPE, Estimate, Figure, Unresolved
from interlace.measurement import LINE
from interlace.statistics import rate_interval, seed_interval
from interlace.store import RunRecord

OPPONENT = Unresolved("the arm that the others are held against")
NOT_SEEN = Unresolved("the arm that the others are held against was not measured so")
NO_LIMIT = Unresolved("there is no front of both objectives, or the expert is not known")
ONE_RUN = Unresolved("one run alone has no interval of it: run more seeds")
BEST = Unresolved("it is the best of its weights")


@dataclass(frozen=True, slots=True)
class ShootoutRow:
    """One arm under one kind of weights at the common compute; figures over `num_seeds` seeds. Names of an arm of more
    stages than one, and of its methods, stand in order with arrows between them.

    `task`: whose reward counts, `imitated`: whose SFT loss. `weights`: raw, averaged, or line (the best place between
    the stage's start and its end, chosen on half of the held-out prompts, judged on the others). `step`: of the look,
    mean over seeds. `compute`: what the arm had taken there (FLOPs a parameter, or tokens sampled and trained on);
    `is_short`: it ended before the others and is told where it ended (`SHORT`).
    `imitation`: mean weight of imitation among both losses in its updates, a fraction; None where that is not counted.

    `excess`: SFT loss over the least that any policy can have at this reward (D9), nats/response. `value`: the change
    of R - lambda L, reward units; `values`: of each seed. `share`: of the value that is to be had from the start (D9),
    the part that came; `shares`: of each seed. `area`: hypervolume of its looks over the front's, fraction. `lead`: by
    how much its value is above that of the arm it is held against, run by run; `better`: the share of runs in which it
    is, with the exact interval; `behind`: by how much the greatest mean value of the same weights is above it, run by
    run; `rank`: its place by value among the rows of its weights. `on_pareto`: no other arm's means are better in both.

    Beside them `sft_loss_right_change` (A11), `pass_at_8`, and `elsewhere`: change of reward on each held-out task that
    is neither reinforced nor imitated.
    """

    recipe: str
    arm: str
    method: str
    task: str
    imitated: str
    weights: str
    num_seeds: int
    step: float
    compute: float
    is_short: bool
    imitation: float | None
    sft_loss: Figure
    sft_loss_change: Figure
    reward: Figure
    reward_change: Figure
    excess: Figure
    value: Figure
    values: tuple[float, ...]
    share: Figure
    shares: tuple[float, ...]
    area: Figure
    lead: Figure
    better: Figure
    behind: Figure
    rank: Figure
    on_pareto: bool
    sft_loss_right_change: Figure
    pass_at_8: Figure
    elsewhere: Mapping[str, Figure]

    @property
    def pair(self) -> Pair:
        """The two tasks."""
        return Pair(self.task, self.imitated)

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        plain = {field.name: jsonable(getattr(self, field.name)) for field in fields(self) if field.name != "elsewhere"}
        return plain | {"elsewhere": {task: figure.to_json() for task, figure in self.elsewhere.items()}}


@dataclass(frozen=True, eq=False)
class Contest:
    """What rows are made from: the arms of some runs on one pair of tasks, and each run's limit."""

    records: Sequence[RunRecord]
    pair: Pair
    limits: Sequence[Limit | None]
    opponent: str
    exchange_rate: float


def rows_of(contest: Contest, weights: str, seen: Mapping[Arm, list[Seen]]) -> Iterator[ShootoutRow]:
    """A row an arm, best mean value first."""
    values = {arm: tuple(item.gain(contest.exchange_rate) for item in each) for arm, each in seen.items()}
    places = {arm: tuple(np.mean([item.place for item in each], axis=0).tolist()) for arm, each in seen.items()}
    ranks = ranks_of(seen, contest.exchange_rate)
    for arm in sorted(seen, key=lambda arm: -float(np.mean(values[arm]))):
        reward, loss = places[arm]
        beaten = any(r >= reward and least <= loss and (r, least) != (reward, loss) for r, least in places.values())
        of_opponent = next((each for other, each in values.items() if other.name == contest.opponent), None)
        yield _row(contest, weights, arm, seen, values[arm], of_opponent, ranks[arm], not beaten)


def _row(
    contest: Contest,
    weights: str,
    arm: Arm,
    seen: Mapping[Arm, list[Seen]],
    values: tuple[float, ...],
    of_opponent: tuple[float, ...] | None,
    rank: Figure,
    on_pareto: bool,
) -> ShootoutRow:
    rate, each = contest.exchange_rate, seen[arm]

    def mean(figure: Callable[[Seen], Figure]) -> Figure:
        return over_seeds([figure(item) for item in each])

    shares = _known(_share(item, limit, rate) for item, limit in zip(each, contest.limits, strict=True))
    areas = _known(dominated_share(item, limit, rate) for item, limit in zip(each, contest.limits, strict=True))
    excesses = [figures.excess_of(item, limit) for item, limit in zip(each, contest.limits, strict=True)]
    return ShootoutRow(
        recipe=contest.records[0].recipe,
        arm=arm.name,
        method=THEN.join(str(method_of(stage)["name"]) for stage in arm.of(contest.records[0])),
        task=contest.pair.rewarded,
        imitated=contest.pair.imitated,
        weights=weights,
        num_seeds=len(each),
        step=float(np.mean([item.step for item in each])),
        compute=float(np.mean([item.compute for item in each])),
        is_short=float(np.mean([item.compute for item in each])) < SHORT * _median_compute(seen),
        imitation=_imitation(contest.records, arm, each),
        sft_loss=figures.within(mean(figures.sft_loss_of), 0.0, np.inf),
        sft_loss_change=mean(figures.sft_loss_change_of),
        reward=figures.within(mean(figures.reward_of), *_reward_range(each)),
        reward_change=mean(figures.reward_change_of),
        excess=over_seeds(excesses),
        value=mean(lambda item: figures.value_of(item, rate)),
        values=values,
        share=_over_runs(shares),
        shares=shares,
        area=_over_runs(areas),
        lead=_lead(contest, seen, arm),
        better=_better(of_opponent, values, arm.name == contest.opponent),
        behind=_behind(contest, seen, arm),
        rank=rank,
        on_pareto=on_pareto,
        sft_loss_right_change=mean(figures.right_loss_change_of),
        pass_at_8=figures.within(mean(figures.passed_of), 0.0, 1.0),
        elsewhere={} if weights == LINE else _elsewhere(contest, weights, arm, each),
    )


def _median_compute(seen: Mapping[Arm, list[Seen]]) -> float:
    return float(np.median([item.compute for each in seen.values() for item in each]))


def _reward_range(each: Sequence[Seen]) -> tuple[float, float]:
    """Of all rewards that were enumerated; without end where they were sampled."""
    found = [item.now.rewarded.scores for item in each]
    values = [scores.reward_values for scores in found if scores.reward_is_exact and scores.reward_values is not None]
    if len(values) < len(each):
        return -np.inf, np.inf
    return float(min(each.min() for each in values)), float(max(each.max() for each in values))


def _share(seen: Seen, limit: Limit | None, exchange_rate: float) -> float | None:
    """Of the value that is to be had from the start, the part that came; None where the expert is not known."""
    if limit is None:
        return None
    begun = float(seen.start.reward.mean() - exchange_rate * seen.start.loss.mean())
    to_be_had = limit.most_value(exchange_rate) - begun
    return seen.gain(exchange_rate) / to_be_had if to_be_had > 0.0 else None


def _known(found: Iterator[float | None]) -> tuple[float, ...]:
    """All of them, or none: leaving seeds out would choose."""
    values = list(found)
    return tuple(value for value in values if value is not None) if None not in values else ()


def _over_runs(values: tuple[float, ...]) -> Figure:
    if not values:
        return NO_LIMIT
    return seed_interval(values, unit="fraction") if len(values) > 1 else ONE_RUN


def _lead(contest: Contest, seen: Mapping[Arm, list[Seen]], arm: Arm) -> Figure:
    """Paired: both arms of a run have the same start and prompts."""
    if arm.name == contest.opponent:
        return OPPONENT
    opponent = next((other for other in seen if other.name == contest.opponent), None)
    if opponent is None:
        return NOT_SEEN
    pairs = zip(seen[arm], seen[opponent], strict=True)
    return over_seeds([figures.lead_of(mine, other, contest.exchange_rate) for mine, other in pairs])


def _better(opponent: Sequence[float] | None, arm: Sequence[float], is_same: bool) -> Figure:
    if is_same:
        return OPPONENT
    if opponent is None:
        return NOT_SEEN
    wins = sum(mine > other for mine, other in zip(arm, opponent, strict=True))
    return _of_recipe(rate_interval(wins, len(arm), kind="clopper_pearson"))


def _of_recipe(figure: Figure) -> Figure:
    """Of runs, and so of the recipe."""
    return replace(figure, scope=THIS_RECIPE) if isinstance(figure, Estimate) else figure


def _behind(contest: Contest, seen: Mapping[Arm, list[Seen]], arm: Arm) -> Figure:
    best = max(seen, key=lambda other: float(np.mean([item.gain(contest.exchange_rate) for item in seen[other]])))
    if arm == best:
        return BEST
    pairs = zip(seen[best], seen[arm], strict=True)
    return over_seeds([figures.lead_of(first, mine, contest.exchange_rate) for first, mine in pairs])


def _imitation(records: Sequence[RunRecord], arm: Arm, each: Sequence[Seen]) -> float | None:
    """Mean weight of imitation: 1 in a stage of SFT, 0 in one of RL, counted in a hybrid one."""
    found = [_imitated_steps(record, arm, seen) for record, seen in zip(records, each, strict=True)]
    known = [steps / seen.step for steps, seen in zip(found, each, strict=True) if steps is not None and seen.step]
    return float(np.mean(known)) if len(known) == len(each) else None


def _imitated_steps(record: RunRecord, arm: Arm, seen: Seen) -> float | None:
    total, before = 0.0, 0
    for stage in arm.of(record):
        step = min(stage.end_step, seen.step - before)
        counted = {"sft": float(step), "rl": 0.0}.get(stage.kind, stage.spent.get(step, {}).get("imitation_share"))
        if counted is None:
            return None
        total, before = total + counted, before + step
        if stage.stage == seen.stage:
            break
    return total


def _elsewhere(contest: Contest, weights: str, arm: Arm, each: Sequence[Seen]) -> Mapping[str, Figure]:
    """The change of reward on held-out tasks that no arm was trained for here, of arms of one stage."""
    if len(arm.stages) > 1:
        return {}
    tasks = [task for task in contest.records[0].heldout if task not in contest.pair]
    changes = {task: [_change_of(record, task, weights, seen) for record, seen in
                      zip(contest.records, each, strict=True)] for task in tasks}  # fmt: skip
    return {task: over_seeds([figure for figure in found if figure is not None]) for task, found in changes.items()
            if None not in found}  # fmt: skip


def _change_of(record: RunRecord, task: str, weights: str, seen: Seen) -> Figure | None:
    trajectory = read_trajectory(record, seen.stage, task, weights)
    if trajectory.gap(REWARD) is not None:
        return None
    found = [shot for shot in trajectory.measured(REWARD).snapshots if shot.step == seen.step]
    return reward_difference(trajectory.start, found[0], figures.REWARD_UNIT).change if found else None
