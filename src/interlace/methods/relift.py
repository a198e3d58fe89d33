"""ReLIFT: RL; prompts without a solved completion fill a buffer; when it is full one update imitates the expert on it.

After arXiv 2506.07527, with optimizer moments of its own for imitation. Deviations: that update is one of the stage's,
at its learning rate, and nothing is sampled for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from interlace.methods.base import (
    ONLY_RL,
    ONLY_SFT,
    Follows,
    Groups,
    Imitated,
    Method,
    MethodOptions,
    Plan,
    Regrouped,
    Weights,
)
from interlace.methods.memory import read, written

if TYPE_CHECKING:
    from interlace.policies import EncodedResponse


class ReliftOptions(MethodOptions):
    """Of the method `relift`."""

    buffer_size: int = Field(default=128, ge=1)
    """Prompts in the buffer at which it is imitated, all of it."""
    reward_above: float = 0.5
    """Completions that earn more count as solved, reward units."""


class Relift(Method):
    """What RL does not solve is imitated, later and together."""

    name: ClassVar[str] = "relift"
    sentence: ClassVar[str] = "RL, and an update of imitation whenever enough prompts were not solved"
    source: ClassVar[str] = "Ma et al. 2025, ReLIFT (arXiv 2506.07527)"
    cost: ClassVar[str] = "GRPO's, or an SFT step; one more set of optimizer moments"
    takes: ClassVar[type[MethodOptions]] = ReliftOptions
    follows: ClassVar[Follows] = "kept"
    answers_prompts: ClassVar[bool] = True
    moments_apart: ClassVar[bool] = True

    def __init__(self, options: ReliftOptions, plan: Plan) -> None:
        super().__init__(options, plan)
        self._buffer: list[EncodedResponse] = []
        self._due: int | None = None

    def weights(self, step: int) -> Weights:
        """Imitation alone in the update after the one that filled the buffer."""
        return ONLY_SFT if step == self._due else ONLY_RL

    def regroup(self, groups: Groups) -> Regrouped:
        """Answers to prompts without success, if the expert has one, into the buffer; one imitated is emptied first."""
        if self._due is not None and groups.step > self._due:
            self._buffer, self._due = [], None
        solved = (groups.rewards > self.options.reward_above).any(axis=1)
        missed = (~solved & groups.is_answered).nonzero()[0].tolist()
        self._buffer += [groups.expert(prompt) for prompt in missed]
        if len(self._buffer) >= self.options.buffer_size:
            self._due = groups.step + 1
        return Regrouped(groups.advantages)

    def imitated(self, step: int, stream: Callable[[int, int], Sequence[EncodedResponse]]) -> Sequence[Imitated]:
        """The whole buffer."""
        return [Imitated(response) for response in self._buffer]

    @property
    def state(self) -> dict[str, Any]:
        """The buffer, and the step at which it is imitated."""
        return {"buffer": written(self._buffer), "due": self._due}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` was."""
        self._buffer, self._due = read(state["buffer"]), state["due"]
