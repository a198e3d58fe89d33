"""The shoot-out: arms from one start, compared at the compute that all of them reached, over the seeds of a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Float

from interlace.analysis.averages import over_seeds
from interlace.analysis.changes import OBJECTIVES
from interlace.analysis.exclusion import exclusion
from interlace.analysis.trajectory import REWARD, SFT_LOSS, Snapshot, Trajectory, read_trajectory
from interlace.encoding import jsonable
from interlace.errors import DataError
from interlace.estimate import Figure, Unresolved
from interlace.forecasting import Start, start_of
from interlace.ledger import estimated_flops
from interlace.measurement import AVERAGED, RAW
from interlace.statistics import improvement_interval, mean_interval
from interlace.store import RunRecord
from interlace.store.record import StageRecord
from interlace.theory.checks import check_exchange_rate
from interlace.theory.frontier import Front, front, joint_optimum, least_sft_loss

By: TypeAlias = Literal["flops", "tokens"]
NATS, REWARD_UNIT = "nats/response", "reward units"
RATES = np.geomspace(0.02, 20.0, 61)
"""Exchange rates at which the front is drawn, reward units a nat."""
OPPONENT = Unresolved("the arm that the others are held against")
NOT_SEEN = Unresolved("the arm that the others are held against was not measured so")
SMALL = 1e-4
"""A step of reward, for the front's slope."""
OVERSHOOT = 1.03
"""How much more than the common compute a look may have taken: steps differ a little in their tokens."""


@dataclass(frozen=True, slots=True)
class ShootoutRow:
    """One arm under one kind of weights at the common compute; figures over `num_seeds` seeds.

    `step`: the step of the look, mean over seeds. `compute`: what the arm had taken there (FLOPs, or tokens sampled and
    trained on). `excess`: its SFT loss over the least that any policy can have at its reward (D9, with the known
    expert), nats/response. `value`: the change of R - lambda L, reward units. `lead`: by how much its value is above
    that of the arm it is held against, run by run; `better`: the probability that it is, runs drawn anew.
    `on_pareto`: no other arm's means are better in both.
    """

    recipe: str
    arm: str
    method: str
    task: str
    weights: str
    num_seeds: int
    step: float
    compute: float
    sft_loss: Figure
    sft_loss_change: Figure
    reward: Figure
    reward_change: Figure
    excess: Figure
    value: Figure
    lead: Figure
    better: Figure
    on_pareto: bool

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {field.name: jsonable(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Shootout:
    """`rows`, best value first within each task and kind of weights. `started_from`: the stage that all arms begin
    with; `by`: what compute is counted in; `against`: the arm of `better`; `left_out`: seeds that the recipe's rule
    excludes; `fronts`: of each task whose expert is known, the front of all policies (D9), from the first run."""

    rows: tuple[ShootoutRow, ...]
    started_from: str
    by: By
    against: str
    exchange_rate: float
    left_out: int
    fronts: Mapping[str, Front]

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        whole = ("rows", "fronts")
        plain = {field.name: jsonable(getattr(self, field.name)) for field in fields(self) if field.name not in whole}
        fronts = {
            task: {"reward": f.reward.tolist(), "sft_loss": f.sft_loss.tolist()} for task, f in self.fronts.items()
        }
        return plain | {"rows": [row.to_json() for row in self.rows], "fronts": fronts}


@dataclass(frozen=True, eq=False)
class _Seen:
    """An arm of one run at the common compute, beside its start. `excess`: each prompt's part of the SFT loss over the
    front at the run's reward, to first order in the reward; None where the front is not known."""

    compute: float
    start: Snapshot
    now: Snapshot
    excess: Float[np.ndarray, "prompt"] | None

    @property
    def place(self) -> tuple[float, float]:
        """Mean reward and SFT loss."""
        return float(self.now.reward.mean()), float(self.now.loss.mean())

    def gain(self, exchange_rate: float) -> Float[np.ndarray, "prompt"]:
        """Change of R - lambda L."""
        return (self.now.reward - self.start.reward) - exchange_rate * (self.now.loss - self.start.loss)


def shootout(
    records: Sequence[RunRecord], *, by: By = "flops", against: str | None = None, exchange_rate: float = 0.5
) -> Shootout:
    """Compare the arms of runs of one recipe. Arms are the stages that begin with one and the same stage's weights.

    `exchange_rate`: lambda, reward units a nat. `against`: an arm; None: RL alone (after the SFT that all begin with:
    the two-stage baseline), else the first.

    Raises DataError where no two stages begin alike and say what they took, or `against` is none of them.
    """
    if by not in get_args(By):
        raise DataError(f"by must be one of {', '.join(get_args(By))}. Got {by!r}. Change it.")
    check_exchange_rate(exchange_rate)
    kept = [record for record in records if exclusion(record) is None]
    if not kept:
        raise DataError("shootout must have a run that its recipe's rule does not leave out. Got none. Run more seeds.")
    start, arms = _arms(kept)
    opponent = against or _rl_alone(kept[0], arms) or arms[0]
    if opponent not in arms:
        raise DataError(f"against must be an arm, one of {', '.join(arms)}. Got {opponent!r}. Change it.")
    rows = [
        row
        for task in kept[0].heldout
        for weights in (RAW, AVERAGED)
        for row in _rows(kept, arms, task, weights, by, opponent, exchange_rate)
    ]
    fronts = {task: curve for task in kept[0].heldout if (curve := _front(kept[0], arms[0], task)) is not None}
    return Shootout(tuple(rows), start, by, opponent, exchange_rate, len(records) - len(kept), fronts)


def compute_of(stage: StageRecord, step: int, by: By) -> float | None:
    """What `stage` had taken at a look: tokens sampled and trained on, or FLOPs a parameter; None where it was not
    recorded."""
    spent = stage.spent.get(step)
    if spent is None:
        return None
    sampled, trained = spent.get("tokens_sampled", 0.0), spent["tokens"]
    if by == "tokens":
        return sampled + trained
    return estimated_flops(1, int(sampled), int(trained + spent.get("tokens_scored", 0.0)), int(trained))


def _arms(records: Sequence[RunRecord]) -> tuple[str, list[str]]:
    """The stage that most others begin with, and those that every run has finished, by name."""
    found: dict[str, list[str]] = {}
    record, *others = records
    done = [{stage.name for stage in other.stages if stage.spent and stage.finished} for other in others]
    names = [stage.name for stage in record.stages]
    for place, stage in enumerate(record.stages):
        asked = str(stage.options.get("start_from", "raw"))
        source = asked if asked in names or asked == "model" else (names[place - 1] if place else "model")
        if stage.spent and stage.finished and all(stage.name in each for each in done):
            found.setdefault(source, []).append(stage.name)
    start, arms = max(found.items(), key=lambda item: len(item[1]), default=("", []))
    if len(arms) < 2:
        raise DataError(
            "a shoot-out must have two finished stages or more that begin with the same weights (start_from) and say "
            f"what they took. {record.folder} has {len(arms)}. See interlace list recipes, shootout-addition."
        )
    return start, arms


def _rl_alone(record: RunRecord, arms: Sequence[str]) -> str | None:
    """The arm that never imitates: after the SFT that all begin with, it is SFT -> RL."""
    for stage in record.stages:
        method = stage.options.get("method") or {}
        is_plain = stage.kind == "rl" and not stage.options.get("placebo")
        if stage.name in arms and (is_plain or (method.get("name"), method.get("mu")) == ("joint", 0.0)):
            return stage.name
    return None


def _rows(
    records: Sequence[RunRecord],
    arms: Sequence[str],
    task: str,
    weights: str,
    by: By,
    opponent: str,
    exchange_rate: float,
) -> Iterator[ShootoutRow]:
    seen = _seen(records, arms, task, weights, by)
    means = {arm: tuple(np.mean([item.place for item in each], axis=0).tolist()) for arm, each in seen.items()}
    values = {arm: [float(item.gain(exchange_rate).mean()) for item in each] for arm, each in seen.items()}
    for arm in sorted(seen, key=lambda arm: -float(np.mean(values[arm]))):
        each, (reward, loss) = seen[arm], means[arm]
        stage = next(stage for stage in records[0].stages if stage.name == arm)
        beaten = any(r >= reward and least <= loss and (r, least) != (reward, loss) for r, least in means.values())
        yield ShootoutRow(
            recipe=records[0].recipe,
            arm=arm,
            method=(stage.options.get("method") or {}).get("name", stage.kind),
            task=task,
            weights=weights,
            num_seeds=len(each),
            step=float(np.mean([item.now.step for item in each])),
            compute=float(np.mean([item.compute for item in each])),
            sft_loss=over_seeds([OBJECTIVES["sft_loss"].figure(item.now) for item in each]),
            sft_loss_change=over_seeds([OBJECTIVES["sft_loss"].change(item.start, item.now) for item in each]),
            reward=over_seeds([OBJECTIVES["reward"].figure(item.now) for item in each]),
            reward_change=over_seeds([OBJECTIVES["reward"].change(item.start, item.now) for item in each]),
            excess=over_seeds([_excess_figure(item) for item in each]),
            value=over_seeds([mean_interval(item.gain(exchange_rate), unit=REWARD_UNIT) for item in each]),
            lead=_lead(seen.get(opponent), each, exchange_rate) if arm != opponent else OPPONENT,
            better=_better(values.get(opponent), values[arm], arm == opponent),
            on_pareto=not beaten,
        )


def _seen(
    records: Sequence[RunRecord], arms: Sequence[str], task: str, weights: str, by: By
) -> Mapping[str, list[_Seen]]:
    """Every arm that all runs measured, at the compute that all arms of its own run reached."""
    found: dict[str, list[_Seen]] = {}
    for record in records:
        looks = {}
        for stage in record.stages:
            trajectory = read_trajectory(record, stage.stage, task, weights) if stage.name in arms else None
            if trajectory is not None and trajectory.gap(SFT_LOSS, REWARD) is None and trajectory.snapshots:
                looks[stage.name] = stage, trajectory
        limit = min((_most(*look, by) for look in looks.values()), default=0.0) * OVERSHOOT
        for arm, (stage, trajectory) in looks.items():
            found.setdefault(arm, []).append(_at(stage, trajectory, by, limit))
    return {arm: each for arm, each in found.items() if len(each) == len(records)}


def _most(stage: StageRecord, trajectory: Trajectory, by: By) -> float:
    return max(compute for _, compute in _known(stage, trajectory, by))


def _known(stage: StageRecord, trajectory: Trajectory, by: By) -> list[tuple[Snapshot, float]]:
    """The looks whose compute is known; the start took none."""
    found = ((shot, compute_of(stage, shot.step, by) if shot.step else 0.0) for shot in trajectory.snapshots)
    return [(shot, compute) for shot, compute in found if compute is not None]


def _at(stage: StageRecord, trajectory: Trajectory, by: By, limit: float) -> _Seen:
    """The last look within `limit`; the start where none is."""
    now, compute = [look for look in _known(stage, trajectory, by) if look[1] <= limit][-1]
    return _Seen(compute, trajectory.start, now, _excess(trajectory.start, now))


def _excess(start: Snapshot, now: Snapshot) -> Float[np.ndarray, "prompt"] | None:
    """Each prompt's part of the loss over the least at the mean reward (D9, D13).

    To first order it is the prompt's own regret: (L - L*) - s (R - R*), with s the front's slope there and the stars at
    the front's policy of that slope. It is then shifted so that the mean is the excess exactly.
    """
    found = _start(start)
    if found is None:
        return None
    problem, mean = found.problem, float(now.reward.mean())
    floor, beyond = least_sft_loss(problem, mean), least_sft_loss(problem, mean + SMALL)
    if not np.isfinite([floor, beyond]).all():
        return None
    slope = (beyond - floor) / SMALL
    best = problem.expert if slope <= 0.0 else joint_optimum(problem, 1.0 / slope)
    with np.errstate(divide="ignore", invalid="ignore"):
        losses = -np.where(problem.expert > 0.0, problem.expert * np.log(best), 0.0).sum(axis=-1)
    rewards = (best * problem.reward).sum(axis=-1)
    regret = (now.loss - found.per_prompt(losses)) - slope * (now.reward - found.per_prompt(rewards))
    return np.asarray(regret - regret.mean() + (now.loss.mean() - floor))


def _front(record: RunRecord, arm: str, task: str) -> Front | None:
    """Where no policy is better in both, from the arm's start."""
    stage = next(stage.stage for stage in record.stages if stage.name == arm)
    trajectory = read_trajectory(record, stage, task, RAW)
    found = _start(trajectory.start) if trajectory.gap(SFT_LOSS, REWARD) is None else None
    return None if found is None else front(found.problem, RATES)


def _start(snapshot: Snapshot) -> Start | None:
    """What the front is computed from; None where the expert is not known, or its start does not tell enough."""
    if not snapshot.held.expert_is_known:
        return None
    found = start_of(snapshot.held, snapshot.scores)
    return None if isinstance(found, Unresolved) else found


def _excess_figure(item: _Seen) -> Figure:
    if item.excess is None:
        return Unresolved("the front at this reward is not known: the expert is not, or no policy has it")
    return mean_interval(item.excess, unit=NATS)


def _lead(opponent: Sequence[_Seen] | None, each: Sequence[_Seen], exchange_rate: float) -> Figure:
    """Paired: both arms of a run have the same start and prompts."""
    if opponent is None:
        return NOT_SEEN
    pairs = zip(opponent, each, strict=True)
    gains = [arm.gain(exchange_rate) - other.gain(exchange_rate) for other, arm in pairs]
    return over_seeds([mean_interval(gain, unit=REWARD_UNIT) for gain in gains])


def _better(opponent: Sequence[float] | None, arm: Sequence[float], is_same: bool) -> Figure:
    if is_same:
        return OPPONENT
    if opponent is None:
        return NOT_SEEN
    return improvement_interval(np.array([opponent]), np.array([arm]), rng=np.random.default_rng(0))
