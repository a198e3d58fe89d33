"""The order in which a GRPO trainer goes through its prompts, the same where a later pass is resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch.utils.data import Sampler


class PromptOrder(Sampler[int]):
    """TRL's order of prompts, pass by pass, gone on with where an earlier process left off.

    TRL (1.16) draws each pass from a generator of the sampler that no checkpoint keeps, and nothing winds it forward:
    resumed in a later pass, a training would see the first pass's order again. `passed` says how many passes are behind
    it, whoever made them; those that this process did not draw are drawn and let go.
    """

    def __init__(self, order: Sampler[int], passed: Callable[[], int]) -> None:
        self._order, self._passed = order, passed
        self._drawn = 0

    def __iter__(self) -> Iterator[int]:
        passed = self._passed()
        for _ in range(passed - self._drawn):
            next(iter(self._order), None)
        self._drawn = passed + 1
        yield from self._order

    def __len__(self) -> int:
        return len(self._order)  # type: ignore[arg-type]
