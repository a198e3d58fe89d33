"""Verdicts and self-checks as the page shows them: a chip, the law, prediction beside measurement, the sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass

from interlace.analysis.summary import (
    AT_FAULT,
    CONTRADICTS,
    HOLDS,
    NOT_RESOLVED,
    OUTSIDE,
    PASSED,
    RunSummary,
    StageSummary,
    Verdict,
)
from interlace.estimate import Estimate, Figure, figure_text
from interlace.measurement import RAW
from interlace.report.formatting import weights_name
from interlace.theory.laws import LAWS

CHIPS = {
    HOLDS: ("holds", "\u2713"),
    CONTRADICTS: ("contradicts", "\u2715"),
    NOT_RESOLVED: ("unresolved", "?"),
    OUTSIDE: ("outside", "\u2205"),
    PASSED: ("holds", "\u2713"),
    AT_FAULT: ("contradicts", "\u2715"),
}
"""Verdict: the chip's class, and a sign beside the word so that no reader needs the colour."""


@dataclass(frozen=True, slots=True)
class Span:
    """An interval on a scale from 0 to 100 (per cent of the drawing's width)."""

    lower: float
    value: float
    upper: float

    @property
    def width(self) -> float:
        """Its length, never thinner than can be seen."""
        return max(self.upper - self.lower, 0.6)


@dataclass(frozen=True, slots=True)
class LawView:
    """A law by its label, its name and what it says (empty if it is not in the registry)."""

    label: str
    name: str
    statement: str


@dataclass(frozen=True, slots=True)
class VerdictView:
    """One verdict, ready to lay out; `spans` place prediction and measurement on one scale, None if they cannot be."""

    stage: str
    law: LawView
    verdict: str
    chip: str
    sign: str
    weights: str
    prediction: str
    measurement: str
    conditions: tuple[str, ...]
    sentence: str
    spans: tuple[Span, Span] | None
    zero: float | None


@dataclass(frozen=True, slots=True)
class CheckView:
    """One self-check, ready to lay out."""

    stage: str
    law: LawView
    verdict: str
    chip: str
    sign: str
    weights: str
    sentence: str


def verdict_views(summary: RunSummary) -> dict[str, tuple[VerdictView, ...]]:
    """The verdicts of a run by kind of weights, the run's own first; in order of the stages."""
    views = [_verdict(stage, verdict) for stage in summary.stages for verdict in stage.verdicts]
    kinds = sorted({view.weights for view in views}, key=lambda kind: kind != RAW)
    return {kind: tuple(view for view in views if view.weights == kind) for kind in kinds}


def check_views(summary: RunSummary) -> tuple[CheckView, ...]:
    """Every self-check of a run, in order."""
    return tuple(
        CheckView(stage.name, _law(check.law), check.verdict, *_chip(check.verdict), weights_name(check.weights),
                  check.sentence)
        for stage in summary.stages
        for check in stage.self_checks
    )  # fmt: skip


def _verdict(stage: StageSummary, verdict: Verdict) -> VerdictView:
    chip, sign = _chip(verdict.verdict)
    spans, zero = _spans(verdict.prediction, verdict.measurement)
    return VerdictView(
        stage=stage.name,
        law=_law(verdict.law),
        verdict=verdict.verdict,
        chip=chip,
        sign=sign,
        weights=weights_name(verdict.weights),
        prediction=figure_text(verdict.prediction, signed=True),
        measurement=figure_text(verdict.measurement, signed=True),
        conditions=verdict.conditions,
        sentence=verdict.sentence,
        spans=spans,
        zero=zero,
    )


def _law(label: str) -> LawView:
    law = LAWS.get(label)
    return LawView(label, law.name, law.whole) if law else LawView(label, "", "")


def _chip(verdict: str) -> tuple[str, str]:
    return CHIPS.get(verdict, ("unresolved", "?"))


def _spans(prediction: Figure, measurement: Figure) -> tuple[tuple[Span, Span] | None, float | None]:
    """Both intervals on one scale that includes 0, with a margin; and where 0 lies."""
    if not isinstance(prediction, Estimate) or not isinstance(measurement, Estimate):
        return None, None
    ends = [0.0, prediction.lower, prediction.upper, measurement.lower, measurement.upper]
    low, high = min(ends), max(ends)
    if not math.isfinite(high - low) or high == low or prediction.unit != measurement.unit:
        return None, None

    def at(value: float) -> float:
        return round(3.0 + 94.0 * (value - low) / (high - low), 2)

    first, second = (Span(at(f.lower), at(f.value), at(f.upper)) for f in (prediction, measurement))
    return (first, second), at(0.0)
