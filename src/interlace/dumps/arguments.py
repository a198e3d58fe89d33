"""The arguments of `interlace.plan(rollouts=...)`: each of its type, or one sentence about the first that is not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from interlace.options import Options


def _columns(said: Any) -> Any:
    if said is None or isinstance(said, str | Mapping):
        return said
    raise PydanticCustomError("columns", "Columns should be ROLE=COLUMN,... or a mapping of role to column")


ColumnsSaid: TypeAlias = Annotated[Any, AfterValidator(_columns)]
"""As `columns_said` reads them."""


class RolloutArguments(Options):
    """What `plan_rollouts` takes."""

    rollouts: Path
    """A folder or file of rollouts; ``example``: those that come with the package."""
    expert_reward: float | None = None
    """R_D, reward units."""
    expert_scores: Path | None = None
    """A file of SFT data with a prompt and a score a row, in its place."""
    logprobs: Path | None = None
    """A file of step, prompt and logprob of an expert response, nats."""
    exchange_rate: float | None = None
    """Reward units that a nat of SFT loss is worth."""
    columns: ColumnsSaid = None
    """Role to column, where it is not found."""
    reward: str | None = None
    """The reward's columns, ``NAME=WEIGHT,...``."""
    seed: int = Field(default=0, ge=0)
    """Draws the resamples behind the intervals."""
