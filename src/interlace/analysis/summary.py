"""What a run is summarised to: the objects that tables, reports and JSON show. They hold figures; none computes one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from interlace.analysis.lenient import FormatExcess
from interlace.analysis.path_constants import PathConstant
from interlace.analysis.prompt_values import PromptValues
from interlace.encoding import jsonable
from interlace.errors import unknown_name
from interlace.estimate import Figure, Unresolved
from interlace.measurement import BLENDED, RAW
from interlace.store.stopped import Stopped

SCHEMA_VERSION = 1

HOLDS, CONTRADICTS = "HOLDS", "CONTRADICTS"
NOT_RESOLVED, OUTSIDE = "NOT RESOLVED", "OUTSIDE ITS CONDITIONS"
PASSED, AT_FAULT = "PASSED", "ESTIMATOR AT FAULT"

Step: TypeAlias = int | Unresolved
"""An optimizer step of a stage (0: its start), or why there is none to name."""


def _fields(owner: object, *names: str) -> dict[str, Any]:
    return {name: jsonable(getattr(owner, name)) for name in names}


@dataclass(frozen=True, slots=True)
class ObjectiveChange:
    """An objective at a stage's start and end, and its exact change, paired prompt by prompt.

    `objective`: ``sft_loss`` (nats/response), ``sft_loss_per_token`` (nats/token), ``sft_loss_right``,
    ``sft_loss_wrong`` (nats/response, means over the right and the wrong expert responses), ``reward`` or
    ``reward_lenient`` (by the task's lenient reward). `prompts`: what it was read from, prompt by prompt; not on the
    wire.
    """

    task: str
    objective: str
    weights: str
    before: Figure
    after: Figure
    change: Figure
    prompts: PromptValues | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return _fields(self, "task", "objective", "weights", "before", "after", "change")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a law said of a stage and what was measured; `conditions` are the law's, in words, as measured."""

    law: str
    verdict: str
    prediction: Figure
    measurement: Figure
    conditions: tuple[str, ...]
    sentence: str
    weights: str = RAW

    def __str__(self) -> str:
        return f"{self.law} {self.verdict}: {self.sentence}"

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return _fields(self, "law", "verdict", "prediction", "measurement", "conditions", "sentence", "weights")


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """A theorem without conditions held against our own estimates: if it fails, an estimator is at fault."""

    law: str
    verdict: str
    sentence: str
    weights: str = RAW

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return _fields(self, "law", "verdict", "sentence", "weights")


@dataclass(frozen=True, slots=True)
class Split:
    """A stage's change of SFT loss, divided in two ways (nats/response).

    `right` + `wrong` is the change (A11: what happened on the expert's right and wrong responses); `tilt` +
    `off_path` is the change too (A10), the tilt at the RL time `rl_time` (1/reward units) that earns the same reward.
    """

    right: Figure
    wrong: Figure
    tilt: Figure
    off_path: Figure
    rl_time: Figure

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return _fields(self, "right", "wrong", "tilt", "off_path", "rl_time")


@dataclass(frozen=True, slots=True)
class ForkLength:
    """What forks of `steps` steps show of drift and of diffusion, nats/response."""

    steps: int
    drift: Figure
    diffusion: Figure

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return _fields(self, "steps", "drift", "diffusion")


@dataclass(frozen=True, slots=True)
class ForkSummary:
    """What `count` forks of `steps` steps from `from_step` of a stage say its change is made of (B8, C9, C10).

    `parts`, by objective (``sft_loss``, nats/response; ``reward``, reward units): ``drift`` + ``diffusion`` +
    ``unresolved`` = ``change``, and with a placebo (its mode of C9) ``drift_by_reward`` + ``reward_free_drift`` =
    ``drift``; a part that was not to be had is left out. `lengths`: SFT loss against the forks' length.
    `noise_shown`: the share of their diffusion that forks of this length and momentum show (`noise_share`).
    `placebo_against_stage`: how far it went and the mean square of its gradients (clipped), over the stage's own.
    `along`: by arm, by what each figure that trainers log changed from a fork's first quarter to its last; `trail`: the
    means over forks of those figures, a step. `stage_steps`: how many steps the stage itself did, of which `change` may
    be the first ones only. `conclusions`: in words, an objective each.
    """

    task: str
    from_step: int
    steps: int
    count: int
    placebo: str | None
    is_disjoint: bool
    parts: Mapping[str, Mapping[str, Figure]]
    lengths: tuple[ForkLength, ...]
    diffusion_per_step: Figure
    noise_shown: float
    placebo_against_stage: Mapping[str, Figure]
    along: Mapping[str, Mapping[str, Figure]]
    trail: Mapping[str, Mapping[str, tuple[float, ...]]]
    stage_steps: int = 0
    conclusions: tuple[str, ...] = ()

    @property
    def change_words(self) -> str:
        """How long the run's own change lasted that stands beside the forks' parts."""
        return f"this run, after {self.steps:,} of {self.stage_steps:,} steps"

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        settings = ("task", "from_step", "steps", "stage_steps", "count", "placebo", "is_disjoint", "conclusions")
        figures = ("parts", "lengths", "diffusion_per_step", "noise_shown", "placebo_against_stage", "along", "trail")
        return _fields(self, *settings, *figures)


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Where a stage passed what matters.

    `parity_step`: first measured step whose reward lies above the expert's beyond its interval; `parity_crossing`:
    where the mean rewards cross for the last time before it, interpolated between measured steps.
    `reward_at_least_sft_loss` carries the uncertainty of which step is least.
    """

    parity_step: Step
    parity_crossing: float | Unresolved
    least_sft_loss_step: Step
    reward_at_least_sft_loss: Figure
    least_sft_loss: Figure

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        names = ("parity_step", "parity_crossing", "least_sft_loss_step", "reward_at_least_sft_loss", "least_sft_loss")
        return _fields(self, *names)


PREDICTED = "predicted"
"""Weights' name of a curve that a law predicts: no policy stood there."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One task's figures along a stage, for one kind of weights; entry i belongs to ``steps[i]``.

    For `weights` LINE, ``positions[i]`` in [0, 1] is the place on the straight line from the stage's start to its end;
    for PREDICTED it is the RL time (`positions` is empty otherwise). `kl`: KL(policy to the stage's start),
    nats/response.
    """

    task: str
    weights: str
    steps: tuple[int, ...]
    positions: tuple[float, ...]
    reward: tuple[Figure, ...]
    sft_loss: tuple[Figure, ...]
    kl: tuple[Figure, ...]

    @property
    def abscissa(self) -> tuple[float, ...]:
        """What the curve runs over: positions on a line, RL time where it is predicted, else steps."""
        return self.positions or tuple(map(float, self.steps))

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True)
class StageSummary:
    """What one stage did. `task` is the task it trained on; `objectives` and `curves` cover every task measured.

    `sentence` says all of it in words; `remark` is the part of it that does not repeat both objectives' changes.
    `stopped`: what its stop rule said, if that ended the stage.
    `blend`: the place on the line from its start (0) to its end (1) whose weights it ended with, if it was told to.
    `diverged`: the step after which its weights were not finite, if so.
    `control`: what makes the stage a control (`placebo`: how its rewards were permuted), None for others.
    `started_from`: the stage whose weights it began with, None for the recipe's model.
    `path_constants`: PL constants and smoothness over its looks, where its preset reads them.
    `format_excess`: the lenient reward beyond the training reward of the same completions, at start and end (raw
    weights), where it was measured.
    """

    name: str
    kind: str
    task: str
    steps_planned: int
    steps_done: int
    objectives: tuple[ObjectiveChange, ...]
    landmarks: Mapping[str, Landmarks]
    expert_reward: Figure
    split: Mapping[str, Split]
    verdicts: tuple[Verdict, ...]
    self_checks: tuple[SelfCheck, ...]
    flags: tuple[str, ...]
    ledger: Mapping[str, Any]
    sentence: str
    curves: tuple[Curve, ...] = ()
    placebo: str | None = None
    control: str | None = None
    remark: str = ""
    forks: tuple[ForkSummary, ...] = ()
    started_from: str | None = None
    stopped: Stopped | None = None
    path_constants: tuple[PathConstant, ...] = ()
    format_excess: FormatExcess | None = None
    blend: float | None = None
    diverged: int | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it is left to train: all steps are done, its stop rule ended it, or it diverged."""
        return self.diverged is not None or self.stopped is not None or self.steps_done >= self.steps_planned

    @property
    def ends_with(self) -> str:
        """Whose figures are those of the weights that the stage ended with: its own, or a blend's."""
        return RAW if self.blend is None else BLENDED

    @property
    def ending(self) -> str:
        """What these weights are where they are not those of its last step; "" where they are."""
        if self.diverged is not None:
            return f"diverged after step {self.diverged:,}"
        if self.blend is not None:
            return f"blend at {self.blend:g}"
        if self.stopped is None or self.stopped.rewound_to is None:
            return ""
        return f"rewound to step {self.stopped.rewound_to}" if self.stopped.rewound_to else "rewound to its start"

    @property
    def sft_loss(self) -> ObjectiveChange:
        """SFT loss of the task trained on, nats/response, of the weights that the stage ended with."""
        return self.objective("sft_loss")

    @property
    def reward(self) -> ObjectiveChange:
        """Reward of the task trained on, reward units, of the weights that the stage ended with."""
        return self.objective("reward")

    @property
    def parity_step(self) -> Step:
        """First measured step whose reward lies resolved above the expert's (the run's own weights)."""
        return self.landmarks[RAW].parity_step

    @property
    def least_sft_loss_step(self) -> Step:
        """Measured step of the least SFT loss (the run's own weights)."""
        return self.landmarks[RAW].least_sft_loss_step

    @property
    def reward_at_least_sft_loss(self) -> Figure:
        """Reward at the step of the least SFT loss (the run's own weights)."""
        return self.landmarks[RAW].reward_at_least_sft_loss

    def objective(self, name: str, weights: str | None = None, task: str | None = None) -> ObjectiveChange:
        """The change of one objective, by default on the stage's own task, of the weights that it ended with; figures
        are Unresolved where it was not measured."""
        task = self.task if task is None else task
        weights = self.ends_with if weights is None else weights
        for change in self.objectives:
            if (change.objective, change.weights, change.task) == (name, weights, task):
                return change
        missing = Unresolved(f"{name} of task {task} was not measured for {weights} weights")
        return ObjectiveChange(task, name, weights, missing, missing, missing)

    def curve(self, weights: str = RAW, task: str | None = None) -> Curve | None:
        """The curve of one task and kind of weights; None if it was not measured."""
        task = self.task if task is None else task
        return next((c for c in self.curves if (c.weights, c.task) == (weights, task)), None)

    def to_json(self) -> dict[str, Any]:
        """The object on the wire; curves stay with the measurements that they are drawn from."""
        first = ("name", "kind", "task", "steps_planned", "steps_done", "objectives", "parity_step")
        second = ("least_sft_loss_step", "reward_at_least_sft_loss", "expert_reward", "split", "verdicts")
        third = ("self_checks", "flags", "ledger", "landmarks", "placebo", "control", "started_from", "forks")
        fourth = ("stopped", "blend", "path_constants", "format_excess", "sentence")
        return _fields(self, *first, *second, *third, *fourth)


@dataclass(frozen=True)
class Stages:
    """A run's stages in order; iterates over them, and finds one by its name or place."""

    items: tuple[StageSummary, ...] = ()

    def __iter__(self) -> Iterator[StageSummary]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: str | int) -> StageSummary:
        if isinstance(key, int):
            return self.items[key]
        for stage in self.items:
            if stage.name == key:
                return stage
        raise KeyError(unknown_name("stage", key, self.names))

    @property
    def names(self) -> tuple[str, ...]:
        """The stages' names, in order."""
        return tuple(stage.name for stage in self.items)

    def to_json(self) -> list[dict[str, Any]]:
        """The stages on the wire."""
        return [stage.to_json() for stage in self.items]


@dataclass(frozen=True)
class RunSummary:
    """What a run did, stage by stage, and what to do next. `run` is its folder.

    `excluded`: why the recipe's own rule leaves it out of figures over seeds, None if it does not. `heldout`: by task a
    fingerprint of the prompts that it was measured on, where the run folder has one. `partial`: stages that only some
    of the recipe's seeds have.
    """

    run: str
    recipe: str
    seed: int
    stages: Stages
    advice: tuple[str, ...] = field(default=())
    excluded: str | None = None
    heldout: Mapping[str, str] = field(default_factory=dict)
    partial: frozenset[str] = frozenset()

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts of every stage, in order."""
        return tuple(verdict for stage in self.stages for verdict in stage.verdicts)

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return _fields(self, "run", "recipe", "seed", "stages", "advice", "excluded")
