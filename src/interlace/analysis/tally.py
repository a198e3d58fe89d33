"""All verdicts over all runs, counted by law: the thresholds stand in the code that judged them, the same for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from interlace.analysis.summary import (
    AT_FAULT,
    CONTRADICTS,
    HOLDS,
    NOT_RESOLVED,
    OUTSIDE,
    PASSED,
    RunSummary,
    SelfCheck,
    Verdict,
)

VERDICTS = (HOLDS, CONTRADICTS, NOT_RESOLVED, OUTSIDE)
CHECKS = (PASSED, AT_FAULT)


@dataclass(frozen=True, slots=True)
class TallyRow:
    """How often a law (`is_check`: a theorem without conditions) came to each verdict under one kind of weights."""

    law: str
    weights: str
    is_check: bool
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """Readings: a law may judge a stage twice, as A4 below parity and above it."""
        return sum(self.counts.values())

    def to_json(self) -> dict[str, Any]:
        """The object on the wire."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def verdict_tally(summaries: Iterable[RunSummary]) -> list[TallyRow]:
    """A row a law and kind of weights, verdicts first, then self-checks; a verdict that never came counts 0.

    Controls are in: what a law says of a placebo is OUTSIDE ITS CONDITIONS.
    """
    stages = [stage for summary in summaries for stage in summary.stages]
    verdicts = [verdict for stage in stages for verdict in stage.verdicts]
    checks = [check for stage in stages for check in stage.self_checks]
    return [*_rows(verdicts, VERDICTS, is_check=False), *_rows(checks, CHECKS, is_check=True)]


def _rows(found: Sequence[Verdict | SelfCheck], names: Sequence[str], *, is_check: bool) -> list[TallyRow]:
    counts = Counter((each.law, each.weights, each.verdict) for each in found)
    return [
        TallyRow(law, weights, is_check, {name: counts[law, weights, name] for name in names})
        for law, weights in dict.fromkeys((each.law, each.weights) for each in found)
    ]
