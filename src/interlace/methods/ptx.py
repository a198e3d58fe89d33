"""PTX: L_R + gamma L_S, the RL loss whole and imitation on top. InstructGPT mixes pretraining gradients; here the
expert's responses. Its gamma of 27.8 stands beside a PPO loss of another scale, so the default is 1."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from interlace.methods.base import Method, MethodOptions, Weights


class PtxOptions(MethodOptions):
    """Of the method `ptx`."""

    gamma: float = Field(default=1.0, ge=0.0, allow_inf_nan=False)
    """Weight of imitation beside an RL loss of weight 1."""


class Ptx(Method):
    """The same weights at every step; they need not sum to 1."""

    name: ClassVar[str] = "ptx"
    sentence: ClassVar[str] = "the RL loss, and gamma times the SFT loss added to it"
    source: ClassVar[str] = "Ouyang et al. 2022, InstructGPT (arXiv 2203.02155)"
    cost: ClassVar[str] = "GRPO and an SFT step"
    takes: ClassVar[type[MethodOptions]] = PtxOptions

    def weights(self, step: int) -> Weights:
        """1 and gamma."""
        return Weights(1.0, self.options.gamma)
