"""Distances of arms at equal reward: to the front of all policies (D9), and to a bound from above on what the same
network, or a coin between two of its trainings, can attain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from interlace.analysis.shootout.arms import Arm, Pair
from interlace.analysis.shootout.figures import NATS
from interlace.analysis.shootout.leads import over_runs, shared_tasks, speaking_of
from interlace.analysis.shootout.limit import limit_of
from interlace.analysis.shootout.seen import At, Look, course_of
from interlace.estimate import Figure, Unresolved
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.statistics import mean_interval, seed_interval
from interlace.store import RunRecord

NOT_REACHED = Unresolved("no run comes to this reward from below")
ONE_RUN = Unresolved("one run alone has no interval over runs: run more seeds")
NO_BOUND = Unresolved("no bound is known there: no run of the same seed and start, or not at this reward")
SAME = 1e-3
"""By how much a start's scores may differ where it was trained again (nats, reward units)."""


@dataclass(frozen=True, slots=True)
class Distance:
    """One arm under one kind of weights where it first comes to `reward`, over the `reached` of `runs` runs that do: an
    arm that few runs bring there is a choice of runs. Of `reward` None it is the mean over all rewards that were asked,
    of runs that come to each. `over_front`: SFT loss over the least of all policies (D9);
    `over_bound`: over a bound from above on the least that the network, or a coin between two of its trainings, can
    have there (`bound_curve`);
    nats/response, intervals over runs, of one run over prompts."""

    arm: str
    weights: str
    reward: float | None
    reached: int
    runs: int
    over_front: Figure
    over_bound: Figure


@dataclass(frozen=True, slots=True)
class Apart:
    """How much more SFT loss one arm under one kind of weights has at a reward than another, each beyond the front at
    its own reward, nats/response: run by run and prompt by prompt, over the `reached` of `runs` runs in which both come
    to it."""

    arm: str
    weights: str
    reward: float
    reached: int
    runs: int
    more: Figure


Curve = tuple[Float[np.ndarray, "point"], Float[np.ndarray, "point"]]
"""Rewards in order, and the SFT loss at each."""
T = TypeVar("T")
Place = tuple[float, float]
"""Mean reward and SFT loss."""


def distances(
    records: Sequence[RunRecord],
    arms: Sequence[Arm],
    pair: Pair,
    rewards: Sequence[float],
    straight: Mapping[int, RunRecord] | None = None,
) -> list[Distance]:
    """Every arm under each kind of weights at each of `rewards`, then over all of them. `straight`: by seed, a run that
    was trained straight to joint optima from the same start on the same prompts; only its stages' last looks count.

    Half of the prompts find where an arm first crosses a reward, on the straight line between two looks; the others say
    what is there, or the luckiest of many looks would be taken for the arm. Where all runs have the same held-out
    prompts, what is peculiar to these is in the interval of `over_front`; that of `over_bound` speaks of these alone.
    """
    is_shared = not shared_tasks(records).isdisjoint(pair)
    curves = [_bound_of(record, arms, pair, (straight or {}).get(record.seed)) for record in records]
    found = []
    for arm in arms:
        for weights in (RAW, AVERAGED, LINE):
            runs = [[_crossing_of(record, arm, pair, weights, reward) for reward in rewards] for record in records]
            for place, reward in enumerate(rewards):
                found.append(_row(arm, weights, reward, [run[place : place + 1] for run in runs], curves, is_shared))
            found.append(_row(arm, weights, None, runs, curves, is_shared))
    return found


def apart_at(
    records: Sequence[RunRecord], arms: Sequence[Arm], pair: Pair, rewards: Sequence[float], than: tuple[Arm, str]
) -> list[Apart]:
    """Every arm under each kind of weights at each of `rewards`, but for the one that they are held against (`than`,
    and its kind of weights): what starts have in common is then in no interval. Otherwise as `distances`."""
    is_shared = not shared_tasks(records).isdisjoint(pair)
    found = []
    for reward in rewards:
        others = [_crossing_of(record, than[0], pair, than[1], reward) for record in records]
        for arm in arms:
            for weights in (RAW, AVERAGED, LINE):
                if (arm, weights) == than:
                    continue
                own = [_crossing_of(record, arm, pair, weights, reward) for record in records]
                more = [one.over - other.over for one, other in zip(own, others, strict=True) if one and other]
                figures = [mean_interval(each, unit=NATS) for each in more]
                figure = over_runs(figures, more, is_shared) if more else NOT_REACHED
                found.append(Apart(arm.name, weights, reward, len(more), len(records), figure))
    return found


def _bound_of(record: RunRecord, arms: Sequence[Arm], pair: Pair, other: RunRecord | None) -> Curve | None:
    """None where no stage of the other run begins with the weights that the arms do."""
    courses = (course_of(record, arm, pair, RAW, "flops") for arm in arms)
    start = next((course[0] for course in courses if course), None)
    return None if other is None or start is None else bound_curve(other, pair, start)


def bound_curve(record: RunRecord, pair: Pair, start: Look) -> Curve | None:
    """A bound from above on the least SFT loss at each reward: what the stages of a run that begin at `start` end with,
    raw and averaged, and between these vertices what a coin between the two networks would have. A vertex bounds what
    the network can attain; between them the bound is on the coin, and one network may attain less or not as much.
    Another method, rate or number of steps may come below all of it. None where no stage begins so.

    One half of the prompts chooses the vertices of the lower convex hull, the other says where they are.
    """
    ends = []
    for stage in record.stages:
        for weights in (RAW, AVERAGED):
            course = course_of(record, Arm((stage.name,)), pair, weights, "flops") if stage.finished else []
            ends += [course[-1]] if course and _is_same(course[0], start) else []
    if not ends:
        return None
    looks = [start, *ends]
    kept = lower_hull([look.choosing.place for look in looks])
    places = sorted(looks[number].judging.place for number in kept)
    rewards, losses = np.array(places, dtype=np.float64).T
    return rewards, losses


def _is_same(one: Look, other: Look) -> bool:
    """Whether two points have the same scores on the same responses to the same prompts."""
    for a, b in ((one.choosing, other.choosing), (one.judging, other.judging)):
        held, others = a.imitated.held, b.imitated.held
        if not (np.array_equal(held.prompt, others.prompt) and np.array_equal(held.num_tokens, others.num_tokens)):
            return False
        if a.reward.size != b.reward.size or not np.allclose(a.reward, b.reward, rtol=0.0, atol=SAME):
            return False
        if not np.allclose(a.loss, b.loss, rtol=0.0, atol=SAME):
            return False
    return True


def lower_hull(places: Sequence[Place]) -> list[int]:
    """Of places (reward, SFT loss): the numbers of those that no mixture of two others is below, in order of reward.

    >>> lower_hull([(0.0, 0.0), (1.0, 2.0), (1.0, 0.5), (2.0, 1.0)])
    [0, 3]
    """
    hull: list[int] = []
    for number in sorted(range(len(places)), key=lambda number: places[number]):
        place = places[number]
        if hull and place[0] == places[hull[-1]][0]:
            continue
        while len(hull) > 1 and _turns_down(places[hull[-2]], places[hull[-1]], place):
            hull.pop()
        hull.append(number)
    return hull


def _turns_down(one: Place, two: Place, three: Place) -> bool:
    return (two[0] - one[0]) * (three[1] - one[1]) <= (two[1] - one[1]) * (three[0] - one[0])


@dataclass(frozen=True, eq=False)
class Crossing:
    """Where an arm crosses a reward, by the prompts that judge: both objectives' means, and each prompt's part of the
    SFT loss over the front."""

    place: Place
    over: Float[np.ndarray, "prompt"]

    def over_curve(self, curve: Curve | None) -> float | None:
        """SFT loss over that of a curve; None where it does not reach."""
        reward, loss = self.place
        if curve is None or not curve[0][0] <= reward <= curve[0][-1]:
            return None
        return float(loss - np.interp(reward, *curve))


def _crossing_of(record: RunRecord, arm: Arm, pair: Pair, weights: str, reward: float) -> Crossing | None:
    """None where the arm does not come to the reward, or no front of both objectives is known."""
    looks = course_of(record, arm, pair, weights, "flops")
    found = crossing(looks, reward)
    start = looks[0].judging if looks else None
    limit = limit_of(start.rewarded, start.imitated) if found is not None and start is not None else None
    if found is None or limit is None or not limit.is_one_task:
        return None
    one, other, share = found
    rewards = one.reward + share * (other.reward - one.reward)
    losses = one.loss + share * (other.loss - one.loss)
    over = limit.excess(losses, rewards)
    return None if over is None else Crossing((float(rewards.mean()), float(losses.mean())), over)


def crossing(looks: Sequence[Look], reward: float) -> tuple[At, At, float] | None:
    """The two looks between which an arm first crosses a reward from below, and where between them, by the prompts that
    choose; the looks as the others see them."""
    for one, other in pairwise(looks):
        before, after = (look.choosing.place[0] for look in (one, other))
        if before < reward <= after:
            return one.judging, other.judging, (reward - before) / (after - before)
    return None


def _row(
    arm: Arm,
    weights: str,
    reward: float | None,
    found: Sequence[Sequence[Crossing | None]],
    curves: Sequence[Curve | None],
    is_shared: bool,
) -> Distance:
    """Of the crossings of each run, the mean over them: of runs that have all."""
    known = [(complete, curve) for run, curve in zip(found, curves, strict=True) if (complete := _all_of(run))]
    prompts = [np.mean([each.over for each in run], axis=0) for run, _ in known]
    over_front = [mean_interval(each, unit=NATS) for each in prompts]
    over_bound = [[each.over_curve(curve) for each in run] for run, curve in known]
    values = [float(np.mean(whole)) for run in over_bound if (whole := _all_of(run))]
    return Distance(
        arm.name,
        weights,
        reward,
        len(known),
        len(found),
        over_runs(over_front, prompts, is_shared) if known else NOT_REACHED,
        mean_over_runs(values, is_shared) if values and len(values) == len(known) else NO_BOUND,
    )


def _all_of(found: Sequence[T | None]) -> list[T]:
    """All of them, or none."""
    known = [each for each in found if each is not None]
    return known if len(known) == len(found) else []


def mean_over_runs(values: Sequence[float], is_shared: bool) -> Figure:
    """Nats/response; of one run alone there is no interval. Where the runs have the same prompts it speaks of these."""
    return speaking_of(seed_interval(list(values), unit=NATS), is_shared) if len(values) > 1 else ONE_RUN
