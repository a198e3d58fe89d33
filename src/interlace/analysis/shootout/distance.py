"""Distances of arms at equal reward: to the front of all policies (D9), and to what the same network attains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from interlace.analysis.averages import over_seeds
from interlace.analysis.shootout.arms import Arm, Pair
from interlace.analysis.shootout.limit import limit_of
from interlace.analysis.shootout.seen import CHOOSING, JUDGING, At, course_of
from interlace.estimate import Figure, Unresolved
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.statistics import mean_interval, seed_interval
from interlace.store import RunRecord

NATS = "nats/response"
NOT_REACHED = Unresolved("no run comes to this reward from below")
ONE_RUN = Unresolved("one run alone has no interval over runs: run more seeds")
NOT_ATTAINED = Unresolved("what the network attains is not known there: no run of the same seed, or not at this reward")


@dataclass(frozen=True, slots=True)
class Distance:
    """One arm under one kind of weights where it first comes to `reward`, over the `reached` of `runs` runs that do: an
    arm that few runs bring there is a choice of runs. `over_front`, `over_attained`: SFT loss over the least of all
    policies (D9), and over what the same network attains at that reward; nats/response, intervals
    over runs, of one run over prompts."""

    arm: str
    weights: str
    reward: float
    reached: int
    runs: int
    over_front: Figure
    over_attained: Figure


Curve = tuple[Float[np.ndarray, "point"], Float[np.ndarray, "point"]]
"""Rewards in order, and the SFT loss at each."""


def distances(
    records: Sequence[RunRecord],
    arms: Sequence[Arm],
    pair: Pair,
    rewards: Sequence[float],
    attained: Mapping[int, RunRecord] | None = None,
) -> list[Distance]:
    """Every arm under each kind of weights at each of `rewards`. `attained`: by seed, a run that was trained straight
    to joint optima from the same start on the same prompts; only its stages' last looks count.

    Half of the prompts find the place where an arm first passes a reward, on the straight line between two looks; the
    others say what is there, or the luckiest of many looks would be taken for the arm.
    """
    known = {record.seed: record for record in records}
    curves = {
        seed: attained_curve(record, pair)
        for seed, record in (attained or {}).items()
        if seed in known and _same_prompts(record, known[seed], pair)
    }
    found = []
    for arm in arms:
        for weights in (RAW, AVERAGED, LINE):
            for reward in rewards:
                there = [_there(record, arm, pair, weights, reward) for record in records]
                found.append(_row(arm, weights, reward, there, [curves.get(record.seed) for record in records]))
    return found


def _same_prompts(one: RunRecord, other: RunRecord, pair: Pair) -> bool:
    """Whether two runs measured the same responses to the same prompts."""
    held = [(one.heldout.get(task), other.heldout.get(task)) for task in pair]
    return all(
        a is not None and b is not None and np.array_equal(a.prompt, b.prompt) and np.array_equal(a.reward, b.reward)
        for a, b in held
    )


def attained_curve(record: RunRecord, pair: Pair) -> Curve:
    """The lower convex hull of where the stages of a run end, raw and averaged, on the prompts that judge."""
    ends = []
    for stage in record.stages:
        for weights in (RAW, AVERAGED):
            course = course_of(record, Arm((stage.name,)), pair, weights, "flops") if stage.finished else []
            ends += [_judged(course[-1].at)] if course else []
    return lower_hull(ends)


def lower_hull(places: Sequence[tuple[float, float]]) -> Curve:
    """Of places (reward, SFT loss): those that no mixture of two others is below, in order of reward.

    >>> [values.tolist() for values in lower_hull([(0.0, 0.0), (1.0, 2.0), (1.0, 0.5), (2.0, 1.0)])]
    [[0.0, 2.0], [0.0, 1.0]]
    """
    hull: list[tuple[float, float]] = []
    for place in sorted(places):
        if hull and place[0] == hull[-1][0]:
            continue
        while len(hull) > 1 and _turns_down(hull[-2], hull[-1], place):
            hull.pop()
        hull.append(place)
    rewards, losses = zip(*hull, strict=True) if hull else ((), ())
    return np.array(rewards, dtype=np.float64), np.array(losses, dtype=np.float64)


def _turns_down(one: tuple[float, float], two: tuple[float, float], three: tuple[float, float]) -> bool:
    return (two[0] - one[0]) * (three[1] - one[1]) <= (two[1] - one[1]) * (three[0] - one[0])


@dataclass(frozen=True, eq=False)
class _There:
    """Both objectives of each prompt where an arm passes a reward, and the SFT loss over the front."""

    reward: Float[np.ndarray, "prompt"]
    loss: Float[np.ndarray, "prompt"]
    over: Float[np.ndarray, "prompt"]

    def over_curve(self, curve: Curve | None) -> float | None:
        place = float(self.reward[JUDGING].mean())
        if curve is None or not curve[0].size or not curve[0][0] <= place <= curve[0][-1]:
            return None
        return float(self.loss[JUDGING].mean() - np.interp(place, *curve))


def _there(record: RunRecord, arm: Arm, pair: Pair, weights: str, reward: float) -> _There | None:
    """None where the arm does not come to the reward, or no front of both objectives is known."""
    looks = [look.at for look in course_of(record, arm, pair, weights, "flops")]
    place = passed(looks, reward)
    limit = limit_of(looks[0].rewarded, looks[0].imitated) if place is not None else None
    if place is None or limit is None or not limit.is_one_task:
        return None
    one, other, share = place
    rewards = one.reward + share * (other.reward - one.reward)
    losses = one.loss + share * (other.loss - one.loss)
    over = limit.excess(losses, rewards)
    return None if over is None else _There(rewards, losses, over)


def passed(looks: Sequence[At], reward: float) -> tuple[At, At, float] | None:
    """The two looks between which an arm first passes a reward from below, and where between them, by the prompts that
    choose."""
    for one, other in pairwise(looks):
        before, after = (float(at.reward[CHOOSING].mean()) for at in (one, other))
        if before < reward <= after:
            return one, other, (reward - before) / (after - before)
    return None


def _judged(at: At) -> tuple[float, float]:
    return float(at.reward[JUDGING].mean()), float(at.loss[JUDGING].mean())


def _row(
    arm: Arm, weights: str, reward: float, found: Sequence[_There | None], curves: Sequence[Curve | None]
) -> Distance:
    known = [(there, curve) for there, curve in zip(found, curves, strict=True) if there is not None]
    over_front = [mean_interval(there.over[JUDGING], unit=NATS) for there, _ in known]
    attained = [there.over_curve(curve) for there, curve in known]
    values = [value for value in attained if value is not None]
    return Distance(
        arm.name,
        weights,
        reward,
        len(known),
        len(found),
        over_seeds(over_front) if known else NOT_REACHED,
        _over_runs(values) if values and len(values) == len(known) else NOT_ATTAINED,
    )


def _over_runs(values: Sequence[float]) -> Figure:
    return seed_interval(list(values), unit=NATS) if len(values) > 1 else ONE_RUN
