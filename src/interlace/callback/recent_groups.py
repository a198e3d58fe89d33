"""RecentGroups: the rewards of a stage's first groups and of its latest, for the flags that read what is sampled."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from interlace.flags import SampledGroups

LEAST_GROUPS = 128
"""Groups of a window: 120 of 128 flat (94 %) are resolved above `DEAD` at a look's share of the error in a stage of up
to 620 looks at one task, 119 (93 %) of up to 177."""
LEAST_BATCHES = 4
"""Batches of a window: one batch without signal is no finding."""

Rewards = Float[np.ndarray, "_ member"]


@dataclass
class RecentGroups:
    """The latest batches, as few as hold `LEAST_GROUPS` groups and `LEAST_BATCHES` batches; `first` is the first such
    window. Where a resume finds nothing kept, `first` is that of what followed."""

    batches: list[Rewards] = field(default_factory=list)
    first: Rewards | None = None

    def add(self, rewards: Rewards) -> None:
        """Take in the groups of one batch of which at least two members were scored."""
        whole = rewards[np.isfinite(rewards).sum(axis=1) > 1]
        if not len(whole):
            return
        self.batches.append(whole)
        while _is_full(self.batches[1:]):
            del self.batches[0]
        if self.first is None and _is_full(self.batches):
            self.first = np.concatenate(self.batches)

    @property
    def groups(self) -> SampledGroups | None:
        """The two windows; None until one is full."""
        return None if self.first is None else SampledGroups(self.first, np.concatenate(self.batches))

    def arrays(self) -> dict[str, np.ndarray]:
        """What `restore` takes up."""
        kept = {"sizes": np.array([len(batch) for batch in self.batches], dtype=np.int64)}
        kept |= {"recent": np.concatenate(self.batches)} if self.batches else {}
        return kept if self.first is None else {**kept, "first": self.first}

    @classmethod
    def restored(cls, arrays: dict[str, np.ndarray]) -> RecentGroups:
        """Go on from `arrays`."""
        recent, sizes = arrays.get("recent"), arrays["sizes"]
        batches = [] if recent is None else np.split(recent, np.cumsum(sizes)[:-1])
        return cls(batches, arrays.get("first"))


def _is_full(batches: list[Rewards]) -> bool:
    return len(batches) >= LEAST_BATCHES and sum(map(len, batches)) >= LEAST_GROUPS
