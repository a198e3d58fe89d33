"""Forks of a stage as the run folder keeps them (B8, C9, C10): an event with their settings, and scores a reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from interlace.store.events import decoded


@dataclass(frozen=True, slots=True)
class ForksRecord:
    """One experiment: forks of `from_step` of a stage.

    `marks`: the fork steps after which was measured. `is_comparable`: forks began as the stage did, so that the run's
    own steps compare with theirs. `arms`: by name, what training showed of each: `distances` from the start
    [mark][fork], `mean_square_gradients` [fork], `momentum`, `logs` [fork]: name -> a value a step. What each prompt
    contributed is found under `weights(reading)` at ``from_step + mark``.
    """

    number: int
    from_step: int
    count: int
    marks: tuple[int, ...]
    placebo: str | None
    is_disjoint: bool
    is_comparable: bool = True
    tasks: tuple[str, ...] = ()
    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def weights(self, reading: str) -> str:
        """The name, as `Point.weights`, of one reading: ``start``, ``stage-fork-0``, ``placebo-mean-without-2`` ..."""
        return fork_weights(self.number, reading)


def fork_weights(number: int, reading: str) -> str:
    """The name of a reading of a stage's experiment `number`.

    >>> fork_weights(1, "placebo-fork-0")
    'forks1-placebo-fork-0'
    """
    return f"forks{number}-{reading}"


def forks_of(events: Sequence[Mapping[str, Any]]) -> tuple[ForksRecord, ...]:
    """The whole experiments among a stage's `forks` events, in order."""
    return tuple(decoded(event, _fork_record) for event in events)


def _fork_record(event: Mapping[str, Any]) -> ForksRecord:
    return ForksRecord(
        number=int(event["number"]),
        from_step=int(event["from_step"]),
        count=int(event["count"]),
        marks=tuple(event["marks"]),
        placebo=event["placebo"],
        is_disjoint=bool(event["is_disjoint"]),
        is_comparable=bool(event["is_comparable"]),
        tasks=tuple(event["tasks"]),
        arms=event["arms"],
    )
