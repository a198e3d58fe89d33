"""Weights put elsewhere for as long as a gradient is taken there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor

from interlace.errors import TrainingError
from interlace.stages.gradients_apart import Named


@contextmanager
def displaced(trained: Named, by: Mapping[str, Tensor]) -> Iterator[None]:
    """The trained weights moved by what is named. What they were is set aside unwritten, so that they are the same to
    the bit afterwards, whatever happens; a gradient of theirs must be taken inside. Memory: one copy of the weights.

    Raises TrainingError for a move of what is not trained, or of another shape.
    """
    shapes = {name: weight.shape for name, weight in trained}
    wrong = next((name for name, move in by.items() if move.shape != shapes.get(name)), None)
    if wrong is not None:
        raise TrainingError(
            f"displacement must move trained parameters, each by a tensor of its shape. Got {wrong}, shape "
            f"{tuple(by[wrong].shape)}. Mend the method."
        )
    kept = [weight.data for _, weight in trained]
    try:
        for name, weight in trained:
            if name in by:
                weight.data = (weight.data + by[name].to(weight.device)).to(weight.dtype)
        yield
    finally:
        for (_, weight), data in zip(trained, kept, strict=True):
            weight.data = data
