"""What a stop rule is: it is shown one look after another, a stage's start beside now, and says go on or stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from interlace.analysis.trajectory import Snapshot, Trajectory, from_start
from interlace.encoding import decode_float, encode_float
from interlace.estimate import Figure, Unresolved, figure_from_json
from interlace.flags.watch import share_level
from interlace.measurement import HeldOut, PromptScores
from interlace.options import Options

FALSE_STOPS = 0.05
"""The largest probability that a rule calls a crossing resolved, at any look of a stage, that has not happened."""


class RuleOptions(Options):
    """What every rule can be told."""

    weights: Literal["raw", "averaged"] = "raw"
    """Whose looks the rule reads: the trained weights', or those of the average that the stage keeps."""
    rewind: bool = False
    """End the stage with the weights of the last look that the rule had nothing against, not with those at the stop."""


START = Unresolved("the stage's start is the best so far")


@dataclass(frozen=True)
class Sighting:
    """One look at a stage beside its start, on the same held-out prompts.

    `figures` are those of the look, as far as its probes read any. `is_last`: no step follows, whatever is decided.
    """

    step: int
    held: HeldOut
    start_scores: PromptScores
    scores: PromptScores
    figures: Mapping[str, Figure] = field(default_factory=dict)
    is_last: bool = False

    @cached_property
    def trajectory(self) -> Trajectory:
        """The start and now."""
        return from_start(self.held, self.step, self.start_scores, self.scores)

    @property
    def start(self) -> Snapshot:
        """The stage's start."""
        return self.trajectory.start

    @property
    def now(self) -> Snapshot:
        """This look."""
        return self.trajectory.end


Sight: TypeAlias = Callable[[str, str], Sighting | None]
"""Of a task and of weights (raw or averaged), the look that has just been made; None if it did not see them."""


@dataclass(frozen=True)
class State:
    """What a rule remembers from look to look; JSON, so that a resumed stage goes on with it.

    `looks`: the steps whose look took a share of the error. `candidate`: the step that a stop rewinds to (0: the
    stage's start). `best`, `value`: its objective on the prompts that choose and on the others; `stale`: looks since.
    `course`: (step, gain of R - lambda L over the start) of the latest looks.
    """

    looks: tuple[int, ...] = ()
    candidate: int = 0
    best: float = 0.0
    value: Figure = START
    stale: int = 0
    course: tuple[tuple[int, float], ...] = ()

    def looked(self, step: int, planned: int) -> State:
        """The state with this look's share of the error taken, if that much is left; a step taken again counts once."""
        if step in self.looks or len(self.looks) >= max(1, planned):
            return self
        return replace(self, looks=(*self.looks, step))

    def to_json(self) -> dict[str, Any]:
        """The state on the wire."""
        return {
            "looks": list(self.looks),
            "candidate": self.candidate,
            "best": self.best,
            "value": self.value.to_json(),
            "stale": self.stale,
            "course": [[step, encode_float(gain)] for step, gain in self.course],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> State:
        """The inverse of `to_json`."""
        value = figure_from_json(data["value"])
        course = tuple((int(step), decode_float(gain)) for step, gain in data.get("course", []))
        return cls(tuple(data["looks"]), int(data["candidate"]), float(data["best"]), value, int(data["stale"]), course)


@dataclass(frozen=True)
class Decision:
    """Go on or stop, and why. `figure` is what the rule read, its interval at the level of its test; `quantity` says
    what that is.

    `reason`: of a stop, a sentence with figures; else what there is to say, often nothing. `keep`: these weights are
    what a stop would rewind to. `rewind_to`: the step whose weights the stage shall end with; None: those of now.
    """

    stop: bool
    figure: Figure
    reason: str = ""
    keep: bool = False
    rewind_to: int | None = None
    quantity: str = ""


@runtime_checkable
class StopRule(Protocol):
    """One rule, with its options, for a stage of `looks` planned looks after its start.

    `quantity` says what the figure is that it reads, `needs` names the probes whose readings it takes; `of_rl`: it
    speaks of RL and has no meaning in an SFT stage; `takes`: the model of its options.
    """

    name: ClassVar[str]
    sentence: ClassVar[str]
    source: ClassVar[str]
    cost: ClassVar[str]
    quantity: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    of_rl: ClassVar[bool]
    takes: ClassVar[type[RuleOptions]]

    @property
    def options(self) -> RuleOptions:
        """What the user asked for."""
        ...

    def refuses(self, held: HeldOut) -> str | None:
        """Why the rule cannot be had on this held-out set, if so: known before training."""
        ...

    def init(self) -> State:
        """The state at the stage's start, before any look."""
        ...

    def update(self, state: State, sighting: Sighting) -> tuple[State, Decision]:
        """The state after one look, and what to do. Pure: the same arguments, the same answer."""
        ...


def look_level(looks: int) -> float:
    """The two-sided level of an interval one end of which is a test that takes one look's share of `FALSE_STOPS`."""
    return share_level(FALSE_STOPS, looks)
