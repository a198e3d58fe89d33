"""PromptValues: what each held-out prompt contributes to an objective, for averages over seeds and prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float

End: TypeAlias = Literal["before", "after", "change"]


@dataclass(frozen=True, slots=True, eq=False)
class PromptValues:
    """An objective at a stage's start and end, prompt by prompt: the sum of the values over the sum of `share`."""

    before: Float[np.ndarray, "prompt"]
    after: Float[np.ndarray, "prompt"]
    share: Float[np.ndarray, "prompt"]

    def of(self, end: End) -> Float[np.ndarray, "prompt"]:
        """Values whose plain mean is the objective (its change), linearised in the prompts where it is a ratio.

        >>> values = PromptValues(np.array([1.0, 0.0]), np.array([3.0, 0.0]), np.array([1.0, 1.0]))
        >>> values.of("change").tolist(), values.parts.tolist()
        ([2.0, 0.0], [2.0, 0.0])
        """
        if end == "change":
            return self._levels(self.after) - self._levels(self.before)
        return self._levels(self.before if end == "before" else self.after)

    @property
    def parts(self) -> Float[np.ndarray, "prompt"]:
        """What each prompt adds to a change of which this objective is a part: right and wrong responses, A11."""
        return self.after - self.before

    def _levels(self, values: Float[np.ndarray, "prompt"]) -> Float[np.ndarray, "prompt"]:
        ratio = values.sum() / self.share.sum()
        return ratio + (values - ratio * self.share) / self.share.mean()
