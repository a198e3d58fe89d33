"""What averaged weights, and the line back to the start, have over a run's own weights: lag, noise, and the rest.

Arms are equal runs from one start (`replicate`) whose ends a stage merges linearly. SFT loss is compared as the excess
over the front of all policies (D9), each policy's at its own reward: what is left of two that differ a little in reward
is then no step along the front. Half of the prompts find where a reward is crossed, the others judge.

Of the average at the run's end, or, where it has more reward there than raw weights ever have, where it first comes to
the most that they have; beside the run's own weights at the same step:

    less SFT loss at the same step = lag + at equal reward,  at equal reward = noise + rest

- **lag**: the average is where the run was some steps ago. What raw weights had less at that step, when they first
  crossed the average's reward, is no gain: stopping there has it too. Below 0: they came to that reward later.
- **noise**: by the seed average as referee. The mean of equal runs by shares w has E L = L_drift + c sum w^2 (B8; c/S
  where the S shares are equal), and so has R to second order, and the excess: c = (mean excess of the ends by the same
  shares - excess of their merge)/(1 - sum w^2) is all that noise adds at the end. Diffusion adds up step by step: at
  the step of a crossing it is taken to be that share of c. What the average itself has left is known where its own
  ends are merged too (`of: [{stage: rl, weights: averaged}, ...]`): noise is then the difference. Where they are not
  it is all of c, the most that any average can take off.
- **rest**: interpolation, what the average gains that noise does not explain: it lies off the way that training went.
  Below 0: it has not lost all noise.

The line has no step of its own, and so no lag: its place is where it crosses the same reward, or the most that it has.
All figures are means over the arms of a run, intervals over runs; the referee's second order is an assumption.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from interlace.analysis.shootout.arms import Arm, Pair
from interlace.analysis.shootout.distance import crossing, mean_over_runs
from interlace.analysis.shootout.leads import shared_tasks
from interlace.analysis.shootout.limit import Limit, limit_of
from interlace.analysis.shootout.seen import At, Look, course_of, halves_at
from interlace.analysis.trajectory import REWARD, SFT_LOSS, read_trajectory
from interlace.estimate import Figure, Unresolved
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.store import RunRecord
from interlace.store.record import StageRecord

NO_MERGE = Unresolved("no stage that every run has finished merges raw ends of two equal runs or more linearly")
NO_FRONT = Unresolved("in a run the front is not known: the expert is not, or the start told too little of it")
BEYOND = Unresolved("in a run the reward is beyond the most that the front has")
NAMES = {RAW: "raw weights", AVERAGED: "averaged weights", LINE: "places of the line"}


@dataclass(frozen=True, slots=True)
class Split:
    """Of one kind of weights (averaged, line), nats/response, positive: less SFT loss than a run's own weights.

    `same_step` = `lag` + `equal_reward`, `equal_reward` = `noise` + `rest`; the line has neither of the first two.
    `noise_is_all`: what the weights have left of it is not known.
    """

    weights: str
    same_step: Figure | None
    lag: Figure | None
    equal_reward: Figure
    noise: Figure
    rest: Figure
    noise_is_all: bool


@dataclass(frozen=True, slots=True)
class Gain:
    """Of one arm of one run: SFT loss less than its own weights' at the same step (None on the line) and at equal
    reward; the share of all its steps that its own weights had taken there, and that the others had."""

    same_step: float | None
    equal_reward: float
    share: float
    other_share: float = 1.0


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge of equal runs: its stage by name, the arms, which of their weights, and each arm's share, sum 1."""

    stage: str
    arms: tuple[Arm, ...]
    weights: str
    shares: tuple[float, ...]


def splits_of(records: Sequence[RunRecord], pair: Pair) -> list[Split]:
    """Of averaged weights and of the line, of the arms of the first merge of raw ends; nothing where there is none."""
    of_others = [list(merges_of(record)) for record in records[1:]]
    merges = [merge for merge in merges_of(records[0]) if all(merge in others for others in of_others)]
    referee = next((merge for merge in merges if merge.weights == RAW), None)
    if referee is None:
        return []
    is_shared = not shared_tasks(records).isdisjoint(pair)
    noises = [noise_of(record, referee, pair) for record in records]
    found = []
    for weights in (AVERAGED, LINE):
        gains = [[gain_of(record, arm, pair, weights) for arm in referee.arms] for record in records]
        own = next((merge for merge in merges if (merge.weights, merge.arms) == (weights, referee.arms)), None)
        left = [0.0] * len(records) if own is None else [noise_of(record, own, pair) for record in records]
        found.append(split_over_runs(weights, gains, noises, left, own is None, is_shared))
    return found


def merges_of(record: RunRecord) -> Iterator[Merge]:
    """The linear merges of two equal runs or more, each of one kind of weights."""
    for stage in record.stages:
        how = stage.options.get("how") or "linear"
        name, asked = (how.get("name"), how.get("weights")) if isinstance(how, Mapping) else (how, None)
        if stage.kind != "merge" or name != "linear" or stage.blend is not None or not stage.finished:
            continue
        ends = [_end(each) for each in stage.options.get("of", ())]
        named = [next(each for each in record.stages if each.name == end) for end, _ in ends]
        if len(ends) > 1 and len({weights for _, weights in ends}) == 1 and _are_alike(named):
            parts = asked or [1.0] * len(ends)
            shares = tuple(part / sum(parts) for part in parts)
            yield Merge(stage.name, tuple(Arm((end,)) for end, _ in ends), ends[0][1], shares)


def _end(asked: Any) -> tuple[str, str]:
    return (asked, RAW) if isinstance(asked, str) else (str(asked["stage"]), str(asked.get("weights", RAW)))


def _are_alike(stages: Sequence[StageRecord]) -> bool:
    """Whether they differ in their draws alone."""
    told = [{key: value for key, value in each.options.items() if key not in ("name", "replicate")} for each in stages]
    return all(each == told[0] for each in told) and all(each.stopped is None for each in stages)


def gain_of(record: RunRecord, arm: Arm, pair: Pair, weights: str) -> Gain | Unresolved:
    """At the reward of the arm's average at its end, or the most that its raw weights, or the line, have where that is
    less: where both kinds of weights first come to it."""
    courses = {each: course_of(record, arm, pair, each, "flops") for each in dict.fromkeys((RAW, AVERAGED, weights))}
    absent = next((each for each, looks in courses.items() if not looks), None)
    if absent is not None:
        return _not_measured(absent)
    raw, others, end = courses[RAW], courses[weights], courses[AVERAGED][-1]
    limit = limit_of(raw[0].judging.rewarded, raw[0].judging.imitated)
    if limit is None:
        return NO_FRONT
    reward = min(_reward_of(end), max(map(_reward_of, raw)), max(map(_reward_of, others)))
    own = _crossed(raw, RAW, reward, limit)
    is_at_end = weights == AVERAGED and reward == _reward_of(end)
    other = _passed(end, limit) if is_at_end else _crossed(others, weights, reward, limit)
    if isinstance(own, Unresolved):
        return own
    if isinstance(other, Unresolved):
        return other
    equal_reward, last = own.excess - other.excess, raw[-1].step
    if weights == LINE:
        return Gain(None, equal_reward, own.step / last)
    return Gain(_loss_at(raw, other.step) - other.loss, equal_reward, own.step / last, other.step / last)


def _not_measured(weights: str) -> Unresolved:
    return Unresolved(f"in a run {NAMES[weights]} were not measured all along an arm")


class Passed(NamedTuple):
    """A point of an arm: its SFT loss and its excess over the front, nats/response, and its step."""

    loss: float
    excess: float
    step: float


def _reward_of(look: Look) -> float:
    """By the prompts that choose, reward units."""
    return look.choosing.place[0]


def _loss_at(looks: Sequence[Look], step: float) -> float:
    """SFT loss between looks, nats/response."""
    return float(np.interp(step, [look.step for look in looks], [look.judging.place[1] for look in looks]))


def _passed(look: Look, limit: Limit) -> Passed | Unresolved:
    excess = _excess(look.judging.loss, look.judging.reward, limit)
    return excess if isinstance(excess, Unresolved) else Passed(look.judging.place[1], excess, look.step)


def _crossed(looks: Sequence[Look], weights: str, reward: float, limit: Limit) -> Passed | Unresolved:
    """Where looks first cross a reward."""
    found = crossing(looks, reward)
    if found is None:
        return Unresolved(f"in a run {NAMES[weights]} never cross the reward that is compared at from below")
    one, other, share = found
    steps = [_step_of(looks, at) for at in (one, other)]
    loss, rewards = (
        before + share * (after - before) for before, after in ((one.loss, other.loss), (one.reward, other.reward))
    )
    excess = _excess(loss, rewards, limit)
    if isinstance(excess, Unresolved):
        return excess
    return Passed(float(loss.mean()), excess, steps[0] + share * (steps[1] - steps[0]))


def _step_of(looks: Sequence[Look], at: At) -> int:
    return next(look.step for look in looks if look.judging is at)


def _excess(loss: np.ndarray, reward: np.ndarray, limit: Limit) -> float | Unresolved:
    found = limit.excess(loss, reward)
    return BEYOND if found is None else float(found.mean())


def noise_of(record: RunRecord, merge: Merge, pair: Pair) -> float | Unresolved:
    """What noise adds to the excess of one run's weights at its end, nats/response (`noise_from_ends`)."""
    stage = next(each for each in record.stages if each.name == merge.stage)
    found = [read_trajectory(record, stage.stage, task, RAW) for task in pair]
    courses = [course_of(record, arm, pair, merge.weights, "flops") for arm in merge.arms]
    if any(each.gap(SFT_LOSS, REWARD) is not None for each in found):
        return Unresolved(f"in a run {merge.stage} was not measured")
    if not all(courses):
        return _not_measured(merge.weights)
    rewarded, imitated = (each.measured(SFT_LOSS, REWARD) for each in found)
    start, end = (halves_at(pair, a, b)[1] for a, b in ((rewarded.start, imitated.start), (rewarded.end, imitated.end)))
    limit = limit_of(start.rewarded, start.imitated)
    if limit is None:
        return NO_FRONT
    ends = [_excess(at.loss, at.reward, limit) for at in (*(looks[-1].judging for looks in courses), end)]
    known = [each for each in ends if not isinstance(each, Unresolved)]
    return BEYOND if len(known) < len(ends) else noise_from_ends(known[:-1], merge.shares, known[-1])


def noise_from_ends(ends: Sequence[float], shares: Sequence[float], merged: float) -> float:
    """c of E L = L_drift + c sum w^2, from runs of their own (w = 1) and their mean by shares w of sum 1.

    >>> noise_from_ends([4.0, 4.0], [0.5, 0.5], 2.5)  # L_drift = 1, c = 3
    3.0
    """
    return (float(np.dot(shares, ends)) - merged) / (1.0 - float(np.dot(shares, shares)))


def split_over_runs(
    weights: str,
    gains: Sequence[Sequence[Gain | Unresolved]],
    noises: Sequence[float | Unresolved],
    left: Sequence[float | Unresolved],
    noise_is_all: bool,
    is_shared: bool = False,
) -> Split:
    """The parts, means over the arms of each run. `noises`: of raw ends; `left`: of the weights' own. `is_shared`: the
    runs have the same prompts."""
    runs = [_mean_gain(run) for run in gains]
    known = [run for run in runs if not isinstance(run, Unresolved)]
    if len(known) < len(runs):
        why = _why(runs)
        none = None if weights == LINE else why
        return Split(weights, none, none, why, why, why, noise_is_all)
    equal = [run.equal_reward for run in known]
    same = [run.same_step for run in known if run.same_step is not None]
    removed = [
        run.share * noise - run.other_share * own
        for run, noise, own in zip(known, noises, left, strict=True)
        if not isinstance(noise, Unresolved) and not isinstance(own, Unresolved)
    ]
    is_told = len(removed) == len(known)
    return Split(
        weights=weights,
        same_step=mean_over_runs(same, is_shared) if same else None,
        lag=mean_over_runs(_less(same, equal), is_shared) if same else None,
        equal_reward=mean_over_runs(equal, is_shared),
        noise=mean_over_runs(removed, is_shared) if is_told else _why([*noises, *left]),
        rest=mean_over_runs(_less(equal, removed), is_shared) if is_told else _why([*noises, *left]),
        noise_is_all=noise_is_all,
    )


def _why(found: Sequence[object]) -> Unresolved:
    """Each reason once."""
    return Unresolved("; ".join(dict.fromkeys(each.reason for each in found if isinstance(each, Unresolved))))


def _mean_gain(run: Sequence[Gain | Unresolved]) -> Gain | Unresolved:
    """Over the arms of a run; why not where one has none, as leaving arms out would choose."""
    known = [gain for gain in run if not isinstance(gain, Unresolved)]
    if len(known) < len(run):
        return _why(run)
    same = [gain.same_step for gain in known if gain.same_step is not None]
    return Gain(
        float(np.mean(same)) if same else None,
        float(np.mean([gain.equal_reward for gain in known])),
        float(np.mean([gain.share for gain in known])),
        float(np.mean([gain.other_share for gain in known])),
    )


def _less(ones: Sequence[float], others: Sequence[float]) -> list[float]:
    return [one - other for one, other in zip(ones, others, strict=True)]
