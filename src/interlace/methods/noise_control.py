"""Noise control: each update is as long as the signal in it allows.

The batch is given, so what can be chosen is the step. A step scaled by s drifts s times as far, to first order, and
diffuses s^2 times as much (B8): over the same way there is s times the diffusion. s = share / wanted, within [least,
1], with share = |E g|^2 / E |g|^2 the part of the gradient's squared norm that is signal (C2, C9), estimated from the
products of successive updates' gradients, all parameters together (`statistics.successive`). A share whose interval
reaches 0 counts as none. The first updates, of which nothing is known yet, are thus short. What a step overshoots
counts as noise, so that the share is partly the steps' own: shorter ones find more of it.

It is the update that is scaled, after the optimizer: Adam forgets the scale of a gradient. The gradient is the clipped
one: clipping scales it in product and square alike, so that each update counts by its clipped size. The measure is the
plain one, although Adam moves in another, where gradient and noise would count by 1/sqrt(v). What an `Update` shows of
that one, displacement by learning rate, is momentum: successive ones have gradients in common, and their products are
not free of noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float
from pydantic import Field

from interlace.estimate import Unresolved, figure_text, significant_texts
from interlace.methods.base import MethodOptions, Plan, Update
from interlace.methods.joint import Joint, WeightOptions
from interlace.methods.successive_gradients import SuccessiveGradients
from interlace.statistics.successive import RunningShare, batch_for_share, share_over_blocks
from interlace.wording import counted

if TYPE_CHECKING:
    from torch import Tensor

    from interlace.analysis.trajectory import Trajectory

BLOCKS, SHORTEST = 20, 5
"""Into how many blocks a stage's updates are summed, and updates that a block has at least."""


@dataclass(frozen=True, slots=True)
class Block:
    """Sums over some successive updates."""

    updates: int = 0
    product: float = 0.0
    square: float = 0.0
    scale: float = 0.0

    def added(self, product: float, square: float, scale: float) -> Block:
        """With one more."""
        return Block(self.updates + 1, self.product + product, self.square + square, self.scale + scale)


class NoiseControlOptions(WeightOptions):
    """Of the method `noise_control`."""

    mu: float = Field(default=0.0, ge=0.0, le=1.0)
    """Weight of imitation in every update; 0: plain RL."""
    signal_share: float = Field(default=0.5, gt=0.0, lt=1.0)
    """From which share of signal on an update has its full length."""
    decay: float = Field(default=0.9, gt=0.0, lt=1.0)
    """Weight of the past in the averages, an update."""
    least: float = Field(default=0.1, gt=0.0, le=1.0)
    """What every update is scaled by at least, and where no signal is seen."""


class NoiseControl(Joint):
    """Steps shrink with the share of signal in them."""

    name: ClassVar[str] = "noise_control"
    sentence: ClassVar[str] = "RL (or `joint`, with mu) whose updates are shortened where they are mostly noise"
    source: ClassVar[str] = "interlace: B8 and C9, the share by C2"
    published: ClassVar[bool] = False
    cost: ClassVar[str] = "as GRPO; a copy of the weights during an update, and one of the gradient"
    takes: ClassVar[type[MethodOptions]] = NoiseControlOptions
    needs_fresh_batches: ClassVar[bool] = True

    def __init__(self, options: NoiseControlOptions, plan: Plan) -> None:
        super().__init__(options, plan)
        self.running = RunningShare(options.decay)
        self.blocks: list[Block] = []
        self._gradients = SuccessiveGradients()
        self._update: tuple[int, float] | None = None

    @property
    def scale(self) -> float:
        """What an update is multiplied by, from those before it: share / wanted within [`least`, 1]."""
        share, least = self.running.figure(), float(self.options.least)
        if isinstance(share, Unresolved) or share.lower <= 0.0:
            return least
        return min(1.0, max(least, share.value / self.options.signal_share))

    def settle(self, update: Update) -> Float[Tensor, "*shape"]:
        """The update shortened, every parameter alike: what is complete is counted when the next update begins."""
        if self._update is None or self._update[0] != update.step:
            self._count()
            self._update = update.step, self.scale
        self._gradients.take(update.name, update.gradient)
        scale = self._update[1]
        return update.after if scale == 1.0 else update.before.lerp(update.after, scale)

    def _count(self) -> None:
        """Into the averages and the blocks: the update whose parameters have all been seen."""
        if self._update is None:
            return
        (_, scale), found = self._update, self._gradients.completed()
        self._update = None
        if found is not None:
            self.running = self.running.added(*found)
        if not self.blocks or self.blocks[-1].updates == max(SHORTEST, -(-self.plan.max_steps // BLOCKS)):
            self.blocks.append(Block())
        self.blocks[-1] = self.blocks[-1].added(*(found or (0.0, 0.0)), scale)

    def conclude(self, seen: Callable[[str, str], Trajectory]) -> str | None:
        """How much was signal over the stage, how far updates were shortened, and the batch that had needed none."""
        self._count()
        return concluded(self.blocks, self.options.signal_share, self.plan.prompts) if self.blocks else None

    @property
    def state(self) -> dict[str, Any]:
        """The averages, the blocks, and what of the last update is not in them yet."""
        return {
            "running": self.running.to_json(),
            "blocks": [list(astuple(block)) for block in self.blocks],
            "update": self._update,
            "gradients": self._gradients.state,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with them."""
        self.running = self.running.from_json(state["running"])
        self.blocks = [Block(int(count), *map(float, sums)) for count, *sums in state["blocks"]]
        self._update = None if state["update"] is None else (int(state["update"][0]), float(state["update"][1]))
        self._gradients.restore(state["gradients"])

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The last update's gradient."""
        return self._gradients.before

    def restore_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on with it."""
        self._gradients.before = dict(tensors)


def concluded(blocks: Sequence[Block], wanted: float, prompts: int) -> str:
    """A sentence on a stage of updates of `prompts` prompts, of which `wanted` should have been signal."""
    share = share_over_blocks(np.array([each.product for each in blocks]), np.array([each.square for each in blocks]))
    if isinstance(share, Unresolved):
        return f"{_shortened(blocks)}; the share of signal in their gradients is {share}"
    said = f"{_shortened(blocks)}; the share of signal in their gradients was {figure_text(share, unit=False)}"
    if share.upper <= 0.0:
        return f"{said}: successive gradients stand against each other, the steps are too long to read it"
    batch = batch_for_share(share, wanted, prompts)
    size = str(batch) if isinstance(batch, Unresolved) else f"{' '.join(significant_texts(batch))} prompts"
    said += f" at {prompts} prompts, what steps overshoot being noise"
    return f"{said}; the batch at which it is {wanted:g} is {size}"


def _shortened(blocks: Sequence[Block]) -> str:
    updates, scales = sum(each.updates for each in blocks), [each.scale / each.updates for each in blocks]
    mean, ends = sum(each.scale for each in blocks) / updates, f"{min(scales):.2f} to {max(scales):.2f}"
    return f"{counted(updates, 'update')} were scaled by {mean:.2f} on average ({ends} over {len(blocks)} blocks)"
