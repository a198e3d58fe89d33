"""Whether two checkpoints can be the ends of a line, by their number and settings: asked before weights are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interlace.checkpoints.found import Checkpoint
from interlace.errors import ModelError, RecipeError
from interlace.safety import read_settings

ARCHITECTURE = ("model_type", "architectures", "vocab_size", "hidden_size", "num_hidden_layers")
"""Settings that both ends must share, in the order in which a difference is said."""


def check_ends(ends: Sequence[Checkpoint], between: int) -> None:
    """Look at the settings alone: two checkpoints of one model, and at least one blend between them.

    Raises RecipeError or ModelError.
    """
    if len(ends) != 2:
        same = f", the weights of {', '.join(ends[0].also)} too" if len(ends) == 1 and ends[0].also else ""
        raise RecipeError(f"--between must stand with two checkpoints. Got {len(ends)}{same}. Name the two ends.")
    if between < 1:
        raise RecipeError(f"--between must be at least 1 blend. Got {between}. Give another number.")
    first, second = (_architecture(end) for end in ends)
    for key in ARCHITECTURE:
        if key in first and key in second and first[key] != second[key]:
            found = " and ".join(f"{kind[key]} in {end.name}" for kind, end in zip((first, second), ends, strict=True))
            raise ModelError(f"--between must have two checkpoints of one model. Got {key} {found}. Name two of one.")


def _architecture(end: Checkpoint) -> dict[str, Any]:
    """The settings of an end's model (an adapter's base); none are known of a .gguf before it is converted."""
    settings = (end.base or end.path) / "config.json"
    return read_settings(settings) if settings.exists() else {}
