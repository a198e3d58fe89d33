"""A stage as each held-out prompt saw it: the scores of one task under one kind of weights, in order of step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from interlace.estimate import Estimate, figure_text
from interlace.measurement import BLENDED, LINE, RAW, HeldOut, Point, PromptScores
from interlace.store import RunRecord, StageRecord

SFT_LOSS, REWARD, KL, LENIENT = "sft_loss", "reward", "kl", "lenient_reward"

_IS_MEASURED: Mapping[str, Callable[[PromptScores], bool]] = {
    SFT_LOSS: lambda scores: scores.expert_logprobs is not None,
    REWARD: lambda scores: scores.reward_values is not None and scores.reward_probabilities is not None,
    KL: lambda scores: scores.kl is not None,
    LENIENT: lambda scores: scores.lenient_rewards is not None and scores.strict_rewards is not None,
}


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One point of a trajectory. Its arrays need their quantity to have been measured there (`Trajectory.measured`)."""

    held: HeldOut
    step: int
    position: float | None
    scores: PromptScores

    @property
    def response_loss(self) -> Float[np.ndarray, "response"]:
        """-log pi of each expert response, nats."""
        assert self.scores.expert_logprobs is not None
        return -self.scores.expert_logprobs

    @property
    def loss(self) -> Float[np.ndarray, "prompt"]:
        """SFT loss of each prompt, nats/response."""
        return self.held.per_prompt(self.response_loss)

    @property
    def reward(self) -> Float[np.ndarray, "prompt"]:
        """R_x, reward units."""
        return self.scores.mean_reward()

    @property
    def reward_variance(self) -> Float[np.ndarray, "prompt"]:
        """Within-prompt variance of the reward, reward units squared."""
        return self.scores.reward_variance()

    @property
    def kl(self) -> Float[np.ndarray, "sampled_prompt"]:
        """KL(policy to the stage's start), nats/response, of the first prompts: those that it was sampled on."""
        assert self.scores.kl is not None
        return self.scores.kl

    def has(self, quantity: str) -> bool:
        """Whether `quantity` was measured here."""
        return _IS_MEASURED[quantity](self.scores)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The snapshots of a stage: its start first, then every measured step (on a line: every position). `rewound`: that
    its stop rule went back to its start, and what was seen before, if so."""

    task: str
    weights: str
    held: HeldOut
    snapshots: tuple[Snapshot, ...]
    rewound: str | None = None

    @property
    def start(self) -> Snapshot:
        """The stage's start, or the first point there is (`gap` says whether it is the start)."""
        return self.snapshots[0]

    @property
    def end(self) -> Snapshot:
        """The last point measured."""
        return self.snapshots[-1]

    @property
    def steps(self) -> tuple[int, ...]:
        """The step of each snapshot."""
        return tuple(snapshot.step for snapshot in self.snapshots)

    @property
    def expert_reward(self) -> Float[np.ndarray, "prompt"]:
        """The expert's expected reward for each prompt; NaN where the task has no reward."""
        return self.held.per_prompt(self.held.reward)

    @property
    def without_expert(self) -> str | None:
        """Why there are no expert responses to measure on, if so."""
        if not self.held.num_prompts:
            return f"task {self.task} was not measured yet"
        return None if self.held.prompt.size else "the task has no expert responses"

    @property
    def reward_range(self) -> float:
        """w: the range of all rewards seen at the start, at the end and of the expert; never below any one prompt's."""
        seen: list[Float[np.ndarray, "reward"]] = [self.held.reward]
        for scores in (self.start.scores, self.end.scores):
            assert scores.reward_values is not None and scores.reward_probabilities is not None
            seen.append(scores.reward_values[scores.reward_probabilities > 0.0])
        return float(np.ptp(np.concatenate(seen)))

    def measured(self, *quantities: str) -> Trajectory:
        """The same trajectory, only the snapshots where all `quantities` were measured."""
        kept = tuple(snapshot for snapshot in self.snapshots if all(map(snapshot.has, quantities)))
        return replace(self, snapshots=kept)

    def gap(self, *quantities: str) -> str | None:
        """Why no change of `quantities` over the stage can be had: what is missing. None if nothing is."""
        missing = self.without_expert
        if missing is not None and (SFT_LOSS in quantities or not self.held.num_prompts):
            return missing
        kept = self.measured(*quantities).snapshots
        name = " and ".join(map(in_words, quantities))
        if REWARD in quantities and not np.isfinite(self.held.reward).all():
            return f"task {self.task} has no reward"
        if not kept:
            return f"{name} was not measured for {self.weights} weights"
        if self.weights != LINE and kept[0].step != 0:
            return f"{name} was not measured at the stage's start"
        return self.rewound or f"{name} was measured at the stage's start only" if len(kept) == 1 else None


def from_start(held: HeldOut, step: int, start: PromptScores, now: PromptScores) -> Trajectory:
    """The start of a stage and one look at it."""
    return Trajectory(held.task, RAW, held, (Snapshot(held, 0, None, start), Snapshot(held, step, None, now)))


def read_trajectory(record: RunRecord, stage: str, task: str, weights: str) -> Trajectory:
    """Load what was measured. A point without scores is left out; nothing is there before a task's held-out set is."""
    held = record.heldout.get(task)
    if held is None:
        return Trajectory(task, weights, _nothing_held_out(task), ())
    points = record.points(stage, task, weights)
    loaded = [snapshot for point in points if (snapshot := _snapshot(record, held, point)) is not None]
    return Trajectory(task, weights, held, tuple(loaded), _rewound(record, stage, task, weights))


def read_blend(record: RunRecord, stage: StageRecord, task: str) -> Trajectory | None:
    """The stage's start, and the place on its line whose weights it ended with; None where it ended with its own."""
    raw = read_trajectory(record, stage.stage, task, RAW)
    if stage.blend is None or not raw.snapshots:
        return None
    end = _snapshot(record, raw.held, stage.ended_at(task))
    return replace(raw, weights=BLENDED, snapshots=(raw.start, *([] if end is None else [end])))


def _rewound(record: RunRecord, stage: str, task: str, weights: str) -> str | None:
    """That the stage went back to its start, and from what, if it did."""
    whole = next((item for item in record.stages if item.stage == stage), None)
    if whole is None or whole.stopped is None or whole.stopped.rewound_to != 0:
        return None
    went = f"rewound to its start from step {whole.stopped.step}"
    seen = {
        (item.quantity, item.point.step): figure_text(item.figure, unit=False)
        for item in whole.measurements
        if (item.point.task, item.point.weights) == (task, weights) and isinstance(item.figure, Estimate)
    }
    ends = [(name, seen.get((name, 0)), seen.get((name, whole.stopped.step))) for name in (SFT_LOSS, REWARD)]
    told = [f"{in_words(name)} from {before} to {after}" for name, before, after in ends if before and after]
    return f"{went}, up to which it had taken {' and '.join(told)}" if told else went


def in_words(quantity: str) -> str:
    """A quantity's name in prose.

    >>> in_words("sft_loss")
    'SFT loss'
    """
    return quantity.replace("_", " ").replace("sft", "SFT")


def _nothing_held_out(task: str) -> HeldOut:
    """The held-out set of a task that was not measured yet: no prompts."""
    none, counts = np.zeros(0), np.zeros(0, dtype=np.int64)
    return HeldOut(task, 0, counts, none, none, counts, expert_is_known=False)


def _snapshot(record: RunRecord, held: HeldOut, point: Point) -> Snapshot | None:
    try:
        scores = record.scores(point)
    except KeyError:
        return None
    return Snapshot(held, point.step, point.position, scores)
