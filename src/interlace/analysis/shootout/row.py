"""A row of the shoot-out: one arm under one kind of weights at the common compute, over the seeds of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from interlace.analysis.halves import JUDGING, half_of
from interlace.analysis.reward_change import reward_difference
from interlace.analysis.shootout import figures
from interlace.analysis.shootout.area import dominated_share
from interlace.analysis.shootout.arms import THEN, TOLD, Arm, Pair, method_text
from interlace.analysis.shootout.compute import SHORT
from interlace.analysis.shootout.contest import Contest
from interlace.analysis.shootout.figures import Told
from interlace.analysis.shootout.leads import REWARD_UNIT, Values, over_runs, speaking_of
from interlace.analysis.shootout.limit import Limit
from interlace.analysis.shootout.ranks import DIVERGED, comparisons_of, ranks_of
from interlace.analysis.shootout.seen import Seen
from interlace.analysis.shootout.training import (
    ends_with_blend,
    exchange_rates_of,
    imitation_of,
    is_stopped_or_blended,
)
from interlace.analysis.trajectory import REWARD, read_trajectory
from interlace.encoding import jsonable
from interlace.estimate import Figure, Unresolved
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
    stages than one, and of its methods, stand in order with arrows between them; of joint that is one side alone
    `method` says which (mu 0, mu 1).

    All figures are of the half of the held-out prompts that judges; the other half may have steered the arm, and chose
    its place on the line.

    `task`: whose reward counts, `imitated`: whose SFT loss. `weights`: raw, averaged, or line (the best place between
    the stage's start and its end). `step`: of the look, mean over seeds. `compute`: what the arm had taken there (FLOPs
    a parameter, or tokens read and sampled in generation and trained on; of one that a stop rule took back to that look
    all that it took), `compute_share`: over the common compute; `is_short`: all of it took less than that, and it is
    told where it ended (`SHORT`); `is_early`: it took as much, but its last look within it lies that far before.
    `imitation`: mean weight of imitation among both losses in its updates, a fraction; None where that is not counted.
    `exchange_rates`: each that it was told, reward units a nat; `is_stopped_or_blended`: held-out looks end it, or
    choose the blend that it ends with; `is_before_blend`: its last stage ends with a blend, and the row has the weights
    before that.

    `excess`: SFT loss over the least that any policy can have at this reward (D9), nats/response. `value`: the change
    of R - lambda L, reward units; `values`: of each seed; `prompts`: of each seed, what each prompt has of it.
    `gain_share`: the value over the greatest that any policy could have made from the start (D9), fraction;
    `gain_shares`: of each seed. `area`: hypervolume of its looks over the front's, fraction. `lead`: by how much its
    value is above that of the arm it is held against, run by run, a comparison by itself; `lead_at_best`: above that
    arm where it is best in each run (`Contest.opponent_at_best`); `better`: the share of runs
    in which it is, with the exact interval; `behind`: by how much the greatest mean value of the same weights is above
    it, run by run, all pairs of arms together, since the best was picked from them; `rank`: its place by value among
    the rows of its weights, by the same leads, the intervals of all of them together. `on_pareto`: no other row's
    means, under any weights, are at least as good in both and better in one.

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
    compute_share: float
    is_short: bool
    is_early: bool
    imitation: float | None
    exchange_rates: tuple[float, ...]
    is_stopped_or_blended: bool
    is_before_blend: bool
    sft_loss: Figure
    sft_loss_change: Figure
    reward: Figure
    reward_change: Figure
    excess: Figure
    value: Figure
    values: tuple[float, ...]
    gain_share: Figure
    gain_shares: tuple[float, ...]
    area: Figure
    lead: Figure
    lead_at_best: Figure
    better: Figure
    behind: Figure
    rank: Figure
    on_pareto: bool
    sft_loss_right_change: Figure
    pass_at_8: Figure
    elsewhere: Mapping[str, Figure]
    prompts: tuple[Values, ...] = field(default=(), compare=False, repr=False)

    @property
    def pair(self) -> Pair:
        """The two tasks."""
        return Pair(self.task, self.imitated)

    @property
    def looked_early(self) -> str:
        """Of one that `is_early`, in words; of others nothing."""
        return f"looked at last at {self.compute_share:.0%} of the common compute" * self.is_early

    @property
    def mean_value(self) -> float:
        """Over seeds, reward units; -inf of a row that diverged in one: its place then is none."""
        return float(np.mean(self.values))

    @property
    def methods(self) -> tuple[str, ...]:
        """The method of each of its stages, by name."""
        return tuple(each.partition(TOLD)[0] for each in self.method.split(THEN))

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        plain = {each.name: jsonable(getattr(self, each.name)) for each in fields(self)
                 if each.name not in ("elsewhere", "prompts")}  # fmt: skip
        return plain | {"elsewhere": {task: figure.to_json() for task, figure in self.elsewhere.items()}}


def rows_of(contest: Contest, seen: Mapping[str, Mapping[Arm, list[Seen]]]) -> Iterator[ShootoutRow]:
    """A row an arm and kind of weights, best mean value first within each kind. `seen`: by kind of weights."""
    everywhere = [_place(each) for found in seen.values() for each in found.values()]
    at_best = contest.opponent_at_best(seen)
    for weights, found in seen.items():
        ranks = ranks_of(contest, found)
        for arm in sorted(found, key=lambda arm: -_mean_gain(found[arm], contest.exchange_rate)):
            on_pareto = not _is_beaten(_place(found[arm]), everywhere)
            yield _row(contest, weights, arm, found, at_best, ranks[arm], on_pareto)


def _place(each: Sequence[Seen]) -> tuple[float, float]:
    """Mean reward and SFT loss over runs."""
    reward, loss = np.mean([item.now.place for item in each], axis=0).tolist()
    return reward, loss


def _is_beaten(place: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    """Whether another one is at least as good in both and better in one; what diverged is."""
    reward, loss = place
    return not np.isfinite(place).all() or any(
        r >= reward and least <= loss and (r, least) != place for r, least in others
    )


def _mean_gain(each: Sequence[Seen], exchange_rate: float) -> float:
    return float(np.mean([item.gain(exchange_rate) for item in each]))


def _row(
    contest: Contest,
    weights: str,
    arm: Arm,
    seen: Mapping[Arm, list[Seen]],
    at_best: Sequence[Seen],
    rank: Figure,
    on_pareto: bool,
) -> ShootoutRow:
    rate, each, record = contest.exchange_rate, seen[arm], contest.records[0]
    with_limits = list(zip(each, contest.limits, strict=True))

    def mean(told: Callable[[Seen], Told], *tasks: str) -> Figure:
        return _mean([told(item) for item in each], not contest.shared.isdisjoint(tasks))

    rewarded, imitated = contest.pair
    shares = _known(_gain_share(item, limit, rate) for item, limit in with_limits)
    areas = _known(dominated_share(item, limit, rate) for item, limit in with_limits)
    return ShootoutRow(
        recipe=record.recipe,
        arm=arm.name,
        method=THEN.join(map(method_text, arm.of(record))),
        task=contest.pair.rewarded,
        imitated=contest.pair.imitated,
        weights=weights,
        num_seeds=len(each),
        step=float(np.mean([item.at.step for item in each])),
        compute=float(np.mean([item.at.compute for item in each])),
        compute_share=_share_of_common(each, [item.at.compute for item in each]),
        is_short=_share_of_common(each, [item.end for item in each]) < SHORT,
        is_early=_is_early(each),
        imitation=imitation_of(contest.records, arm, each),
        exchange_rates=exchange_rates_of(record, arm),
        is_stopped_or_blended=is_stopped_or_blended(record, arm),
        is_before_blend=weights != LINE and ends_with_blend(record, arm),
        sft_loss=figures.within(mean(figures.sft_loss_of, imitated), 0.0, np.inf),
        sft_loss_change=mean(figures.sft_loss_change_of, imitated),
        reward=figures.within(mean(figures.reward_of, rewarded), *_reward_range(each)),
        reward_change=mean(figures.reward_change_of, rewarded),
        excess=_mean([figures.excess_of(item, limit) for item, limit in with_limits], contest.is_shared),
        value=mean(lambda item: figures.value_of(item, rate), rewarded, imitated),
        values=tuple(item.gain(rate) for item in each),
        prompts=tuple(item.values(rate) for item in each),
        gain_share=_over_runs(shares, contest.is_shared),
        gain_shares=shares,
        area=_over_runs(areas, contest.is_shared),
        lead=_lead(contest, seen, arm),
        lead_at_best=contest.lead(each, at_best) if at_best else NOT_SEEN,
        better=_better(contest, seen, arm),
        behind=_behind(contest, seen, arm),
        rank=rank,
        on_pareto=on_pareto,
        sft_loss_right_change=mean(figures.right_loss_change_of, imitated),
        pass_at_8=figures.within(mean(figures.pass_at_k_of, rewarded), 0.0, 1.0),
        elsewhere={} if weights == LINE else _elsewhere(contest, weights, arm, each),
    )


def _share_of_common(each: Sequence[Seen], computes: Sequence[float]) -> float:
    """Mean of `computes` over that of the common ones; 1 where arms took nothing."""
    common = float(np.mean([item.common for item in each]))
    return float(np.mean(computes)) / common if common else 1.0


def _is_early(each: Sequence[Seen]) -> bool:
    """Whether an arm that ended with as much as others was last looked at, within the common compute, far before."""
    ended, looked = (_share_of_common(each, of) for of in ([i.end for i in each], [i.at.compute for i in each]))
    return looked < SHORT <= ended


def _reward_range(each: Sequence[Seen]) -> tuple[float, float]:
    """Of all rewards that were enumerated; without end where they were sampled."""
    found = [item.now.rewarded.scores for item in each]
    values = [scores.reward_values for scores in found if scores.reward_is_exact and scores.reward_values is not None]
    if len(values) < len(each):
        return -np.inf, np.inf
    return float(min(each.min() for each in values)), float(max(each.max() for each in values))


def _gain_share(seen: Seen, limit: Limit | None, exchange_rate: float) -> float | None:
    """The gain over the greatest attainable by any policy; None where the expert is not known."""
    if limit is None:
        return None
    attainable = limit.most_value(exchange_rate) - seen.start.value(exchange_rate)
    return seen.gain(exchange_rate) / attainable if attainable > 0.0 else None


def _known(found: Iterator[float | None]) -> tuple[float, ...]:
    """All of them, or none: leaving seeds out would choose."""
    values = list(found)
    return tuple(value for value in values if value is not None) if None not in values else ()


def _mean(found: Sequence[Told], is_shared: bool) -> Figure:
    return over_runs([each.figure for each in found], [each.prompts for each in found], is_shared)


def _over_runs(values: tuple[float, ...], is_shared: bool) -> Figure:
    if not values:
        return NO_LIMIT
    return speaking_of(seed_interval(values, unit="fraction"), is_shared) if len(values) > 1 else ONE_RUN


def _lead(contest: Contest, seen: Mapping[Arm, list[Seen]], arm: Arm) -> Figure:
    """Paired: both arms of a run have the same start and prompts."""
    opponent = contest.opponent_in(seen)
    if arm.name == contest.opponent or opponent is None:
        return NOT_SEEN if opponent is None else OPPONENT
    return contest.lead(seen[arm], opponent)


def _better(contest: Contest, seen: Mapping[Arm, list[Seen]], arm: Arm) -> Figure:
    opponent, rate = contest.opponent_in(seen), contest.exchange_rate
    if arm.name == contest.opponent or opponent is None:
        return NOT_SEEN if opponent is None else OPPONENT
    wins = sum(mine.gain(rate) > other.gain(rate) for mine, other in zip(seen[arm], opponent, strict=True))
    return speaking_of(rate_interval(wins, len(opponent), kind="clopper_pearson"), contest.is_shared)


def _behind(contest: Contest, seen: Mapping[Arm, list[Seen]], arm: Arm) -> Figure:
    best = max(seen, key=lambda other: _mean_gain(seen[other], contest.exchange_rate))
    if not np.isfinite(_mean_gain(seen[arm], contest.exchange_rate)):
        return DIVERGED
    if arm == best:
        return BEST
    return contest.lead(seen[best], seen[arm], comparisons_of(len(seen)))


def _elsewhere(contest: Contest, weights: str, arm: Arm, each: Sequence[Seen]) -> Mapping[str, Figure]:
    """The change of reward on held-out tasks that this pair neither reinforces nor imitates, of arms of one stage."""
    if len(arm.stages) > 1:
        return {}
    tasks = [task for task in contest.records[0].heldout if task not in contest.pair]
    changes = {task: [_change_of(record, task, weights, seen) for record, seen in
                      zip(contest.records, each, strict=True)] for task in tasks}  # fmt: skip
    return {task: _mean([told for told in found if told is not None], task in contest.shared)
            for task, found in changes.items() if all(told is not None for told in found)}  # fmt: skip


def _change_of(record: RunRecord, task: str, weights: str, seen: Seen) -> Told | None:
    trajectory = read_trajectory(record, seen.at.stage, task, weights)
    if trajectory.gap(REWARD) is not None or trajectory.held.num_prompts < 2:
        return None
    found = [shot for shot in trajectory.measured(REWARD).snapshots if shot.step == seen.at.step]
    if not found:
        return None
    before, after = (half_of(shot, JUDGING) for shot in (trajectory.start, found[0]))
    with np.errstate(invalid="ignore"):  # inf - inf: not finite
        return Told(reward_difference(before, after, REWARD_UNIT).change, after.reward - before.reward)
