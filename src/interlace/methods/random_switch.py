"""A control, not a method: each update is imitation with a given probability, else RL, whatever the run does.

An adaptive method is held against it at the rate that the method itself had (`like: STAGE`): what is better than this
is worth the adapting.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from interlace.methods.base import ONLY_RL, ONLY_SFT, Method, MethodOptions, Plan, Weights
from interlace.methods.matched import MatchedOptions


class RandomSwitchOptions(MatchedOptions):
    """Of the method `random_switch`."""

    share: ClassVar[str] = "rate"

    rate: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability that an update is of imitation."""


class RandomSwitch(Method):
    """A coin for each update."""

    name: ClassVar[str] = "random_switch"
    sentence: ClassVar[str] = "control: each update is imitation with a fixed probability, else RL"
    source: ClassVar[str] = "matched-rate control"
    published: ClassVar[bool] = False
    cost: ClassVar[str] = "an SFT step or GRPO's"
    takes: ClassVar[type[MethodOptions]] = RandomSwitchOptions

    def __init__(self, options: RandomSwitchOptions, plan: Plan) -> None:
        super().__init__(options, plan)
        self.rate = options.rate if plan.matched is None else plan.matched

    def weights(self, step: int) -> Weights:
        """All on one side, drawn anew each step."""
        return ONLY_SFT if self.plan.rng(step).random() < self.rate else ONLY_RL
