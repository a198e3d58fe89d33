"""What a flag rule is: it reads one piece of evidence, a stage's start beside now, and raises a sentence or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from interlace.analysis.trajectory import REWARD, SFT_LOSS, Snapshot, Trajectory, from_start
from interlace.measurement import HeldOut, PromptScores

MATERIAL = 0.05
"""A rise of SFT loss counts if it is resolved above this share of the stage's start: raw weights wobble by a twentieth
of their loss from step to step without anything being wrong, and large held-out sets resolve the wobble too."""


@dataclass(frozen=True, slots=True)
class SampledGroups:
    """Rewards of what an RL trainer sampled, a row a group of completions of one prompt (NaN: not scored): of the first
    window of the stage that was full, and of the latest.

    `first` is None where the two do not compare as rewards of the task: the trainer adds up others, or its prompts come
    in an order of their own.
    """

    first: Float[np.ndarray, "first_group member"] | None
    recent: Float[np.ndarray, "group member"]


@dataclass(frozen=True)
class Evidence:
    """One look at a stage beside its start, on the same held-out prompts. `kind`: sft, rl, preference, or training
    where nobody knows which.

    `level` is the two-sided level at which an interval's lower end is a test of this rule at this look. `groups`: what
    the trainer samples anyway, where it is known and there is a window of it; on which prompts is not told.
    """

    kind: str
    step: int
    level: float
    held: HeldOut
    start_scores: PromptScores
    scores: PromptScores
    groups: SampledGroups | None = None

    @cached_property
    def trajectory(self) -> Trajectory:
        """The start and now."""
        return from_start(self.held, self.step, self.start_scores, self.scores)

    @property
    def now(self) -> Snapshot:
        """This look."""
        return self.trajectory.end

    @property
    def start(self) -> Snapshot:
        """The stage's start."""
        return self.trajectory.start

    @property
    def has_loss(self) -> bool:
        """Whether SFT loss was measured at both."""
        return self.trajectory.gap(SFT_LOSS) is None

    @property
    def has_reward(self) -> bool:
        """Whether reward was measured at both, and the expert's is known on every prompt."""
        return self.trajectory.gap(REWARD) is None

    @property
    def expert_reward(self) -> Float[np.ndarray, "prompt"]:
        """R_D of each prompt, reward units."""
        return self.trajectory.expert_reward

    @property
    def material_rise(self) -> float:
        """The least rise of SFT loss that counts, nats/response."""
        return MATERIAL * float(self.start.loss.mean())


@runtime_checkable
class FlagRule(Protocol):
    """One rule of the registry."""

    name: str
    sentence: str
    source: str
    cost: str

    def applies(self, evidence: Evidence) -> bool:
        """Whether the evidence holds what the rule reads."""
        ...

    def raised(self, evidence: Evidence) -> str | None:
        """The sentence to say, or None. An error of the first kind has probability (1 - level) / 2 at most."""
        ...
