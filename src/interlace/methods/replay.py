"""Replay: a share of the other side's data in updates of one side.

`of: expert`: RL, and in every update the expert's responses, as `joint` with mu = share on as small a batch. `of:
solved`: some updates of RL, then one of imitation, a share of whose responses are the policy's own solved completions
(rejection sampling). Both are common practice rather than one paper's method: compare arXiv 2510.18874, 2509.04259.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from interlace.methods.base import ONLY_RL, ONLY_SFT, Groups, Imitated, Method, MethodOptions, Plan, Regrouped, Weights
from interlace.methods.memory import read, written

if TYPE_CHECKING:
    from interlace.policies import EncodedResponse


class ReplayOptions(MethodOptions):
    """Of the method `replay`."""

    of: Literal["expert", "solved"] = "expert"
    """What is replayed: the expert's responses in RL, or own solved completions in imitation."""
    share: float = Field(default=0.1, gt=0.0, lt=1.0)
    """Of `expert_batch_size`, responses that are replayed; of the expert's also the weight of their loss."""
    rl_steps: int = Field(default=1, ge=1)
    """Updates of RL before each of imitation, where solved completions are replayed."""
    capacity: int = Field(default=256, ge=1)
    """Solved completions that are kept, the newest."""
    reward_above: float = 0.5
    """Completions that earn more count as solved, reward units."""


class Replay(Method):
    """A little of the other side."""

    name: ClassVar[str] = "replay"
    sentence: ClassVar[str] = "a share of expert responses in RL, or of own solved completions in imitation"
    source: ClassVar[str] = "rehearsal; compare arXiv 2510.18874, 2509.04259"
    cost: ClassVar[str] = "GRPO and a share of an SFT step; of solved completions: an SFT step or GRPO's"
    takes: ClassVar[type[MethodOptions]] = ReplayOptions

    def __init__(self, options: ReplayOptions, plan: Plan) -> None:
        super().__init__(options, plan)
        self._solved: list[EncodedResponse] = []

    def weights(self, step: int) -> Weights:
        """1 - share and share; of solved completions, all on the side whose turn it is."""
        if self.options.of == "expert":
            return Weights(1.0 - self.options.share, self.options.share)
        return ONLY_SFT if step % (self.options.rl_steps + 1) == self.options.rl_steps else ONLY_RL

    def regroup(self, groups: Groups) -> Regrouped:
        """Solved completions are kept."""
        if self.options.of == "solved":
            solved = np.argwhere(groups.rewards > self.options.reward_above).tolist()
            self._solved = [*self._solved, *(groups.own(*place) for place in solved)][-self.options.capacity :]
        return Regrouped(groups.advantages)

    def imitated(self, step: int, stream: Callable[[int, int], Sequence[EncodedResponse]]) -> Sequence[Imitated]:
        """The expert's alone, or with own ones drawn from those that are kept, as many as there are."""
        batch = self.plan.expert_batch
        count = max(1, round(self.options.share * batch))
        if self.options.of == "expert":
            return [Imitated(response) for response in stream(step, count)]
        drawn = self.plan.rng(step).permutation(len(self._solved))[:count]
        expert = stream(step, batch)[: batch - len(drawn)]
        own = [Imitated(self._solved[place], is_own=True) for place in drawn.tolist()]
        return [*map(Imitated, expert), *own]

    @property
    def state(self) -> dict[str, Any]:
        """Solved completions."""
        return {"solved": written(self._solved)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` was."""
        self._solved = read(state["solved"])
