"""KL anchor: RL alone, with TRL's penalty on the KL to the stage's start; its size is TRL's option `beta` of the stage.

In exact arithmetic the penalty stays on the RL path (natural gradient) and slows its clock (D7): after s units of RL
time without it the policy stands at (1 - exp(-beta s))/beta, never beyond 1/beta. TRL's KL is the k3 estimate on
sampled tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from interlace.methods.base import ONLY_RL, Follows, Method, Weights


class KlAnchor(Method):
    """Held near where the stage began."""

    name: ClassVar[str] = "kl_anchor"
    sentence: ClassVar[str] = "RL alone, with a penalty on the KL to the stage's start (TRL's beta, here 0.04)"
    source: ClassVar[str] = "GRPO's own (arXiv 2402.03300); D7; compare arXiv 2510.18874, 2509.04259"
    cost: ClassVar[str] = "GRPO and the start's forward"
    trl: ClassVar[Mapping[str, Any]] = {"beta": 0.04}
    follows: ClassVar[Follows] = "neither"

    @classmethod
    def refuses(cls, trl: Mapping[str, Any]) -> tuple[str, str] | None:
        """A penalty of nothing, which is plain RL."""
        beta = trl.get("beta")
        if beta is None or beta > 0.0:
            return None
        return "beta", (
            f"beta must be above 0 with method kl_anchor, whose penalty it is. Got {beta:g}. Leave it out for "
            f"{cls.trl['beta']:g}, or train a stage of kind rl."
        )

    def weights(self, step: int) -> Weights:
        """RL alone."""
        return ONLY_RL
