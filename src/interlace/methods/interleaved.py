"""Interleaved: some updates of imitation, some of RL, over and over."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from interlace.methods.base import ONLY_RL, ONLY_SFT, Method, MethodOptions, Weights


class InterleavedOptions(MethodOptions):
    """Of the method `interleaved`."""

    sft_steps: int = Field(default=1, ge=1)
    """Updates of imitation in a cycle."""
    rl_steps: int = Field(default=1, ge=1)
    """Updates of RL in a cycle."""
    first: Literal["sft", "rl"] = "sft"
    """Which side a cycle begins with; D11: the one that it ends with is the one that the policy is left near."""


class Interleaved(Method):
    """A cycle of fixed lengths."""

    name: ClassVar[str] = "interleaved"
    sentence: ClassVar[str] = "updates of imitation and of RL in turn, in a cycle of fixed lengths"
    source: ClassVar[str] = "interleaved training of arXiv 2507.07562; D11"
    cost: ClassVar[str] = "an SFT step or GRPO's"
    takes: ClassVar[type[MethodOptions]] = InterleavedOptions

    def weights(self, step: int) -> Weights:
        """All on the side whose turn it is."""
        sft, rl = self.options.sft_steps, self.options.rl_steps
        place = step % (sft + rl)
        is_sft = place < sft if self.options.first == "sft" else place >= rl
        return ONLY_SFT if is_sft else ONLY_RL
