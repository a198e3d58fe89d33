"""Stop where R - lambda L has not improved for a while, and go back to where it was best."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import Field

from interlace.analysis.halves import CHOOSING, JUDGING, half_values
from interlace.controllers.base import Decision, RuleOptions, Sighting, State
from interlace.controllers.objectives import gain, lacks, unknown_expert_reward
from interlace.estimate import Unresolved, figure_text
from interlace.measurement import HeldOut
from interlace.statistics import mean_interval
from interlace.wording import number


class BestCheckpointOptions(RuleOptions):
    """Of the rule `best_checkpoint`."""

    exchange_rate: float = Field(ge=0.0, allow_inf_nan=False)
    """lambda: reward units that one nat/response of SFT loss is worth; 0 for the reward alone."""
    patience: int = Field(default=3, ge=1)
    """Looks without an improvement after which the stage ends."""
    rewind: bool = True
    """End the stage with the best weights; false: with those at the stop."""


@dataclass(frozen=True)
class BestCheckpoint:
    """R - lambda L on one half of the held-out prompts chooses; the other half says what was gained.

    Halves are every second prompt. The best of many noisy looks looks better than it is on the prompts that chose it
    (the winner's curse); on the others its gain over the start has a plain interval. A stage whose steps run out ends
    with its best weights too.
    """

    name: ClassVar[str] = "best_checkpoint"
    sentence: ClassVar[str] = (
        "stop once R - lambda L has not improved for some looks, and go back to the best; its gain is estimated on "
        "held-out prompts that did not choose it"
    )
    source: ClassVar[str] = "A6"
    cost: ClassVar[str] = "none beyond SFT loss and reward; a copy of the weights at each improvement"
    quantity: ClassVar[str] = "gain of R - lambda L over the stage's start, on prompts that did not choose"
    needs: ClassVar[tuple[str, ...]] = ("sft_loss", "reward")
    of_rl: ClassVar[bool] = False
    takes: ClassVar[type[RuleOptions]] = BestCheckpointOptions

    options: BestCheckpointOptions
    looks: int

    def refuses(self, held: HeldOut) -> str | None:
        """A task whose expert earns nothing that is known, or with too few prompts for two halves."""
        few = f"task {held.task} holds out {held.num_prompts} prompts, two halves need 4"
        return unknown_expert_reward(held) or (few if held.num_prompts < 4 else None)

    def init(self) -> State:
        """The start is the best so far."""
        return State()

    def update(self, state: State, sighting: Sighting) -> tuple[State, Decision]:
        """Take the look as the best if it is, else lose patience."""
        missing = lacks(sighting.trajectory)
        if missing is not None:
            return state, Decision(False, Unresolved(missing))
        gains = gain(sighting.start, sighting.now, self.options.exchange_rate)
        chosen = float(half_values(gains, CHOOSING).mean())
        if chosen > state.best:
            value = mean_interval(
                half_values(gains, JUDGING), unit="reward units", method="paired, prompts that did not choose"
            )
            state = replace(state, candidate=sighting.step, best=chosen, value=value, stale=0)
            return state, Decision(False, value, keep=True)
        state = replace(state, stale=state.stale + 1)
        is_over = state.stale >= self.options.patience or (sighting.is_last and self.options.rewind)
        if not is_over:
            return state, Decision(False, state.value)
        rewind_to = state.candidate if self.options.rewind else None
        reason = self._reason(state, sighting)
        return state, Decision(True, state.value, reason, rewind_to=rewind_to, quantity=self.quantity)

    def _reason(self, state: State, sighting: Sighting) -> str:
        where = f"step {state.candidate}" if state.candidate else "the stage's start"
        value, gained = state.value, ""
        if not isinstance(value, Unresolved):
            gained = f"; {figure_text(value, signed=True)} over the start on held-out prompts that did not choose it"
        return (
            f"R - lambda L on {sighting.held.task} (lambda {number(self.options.exchange_rate)}) has not improved "
            f"since {where}, {state.stale} looks ago{gained}"
        )
