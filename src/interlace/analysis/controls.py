"""Which stages are controls: stages whose effect is known to be none of the objective's, to compare the others with."""

from __future__ import annotations

from interlace.store import RunRecord, StageRecord


def control(record: RunRecord, stage: StageRecord) -> str | None:
    """What makes `stage` a control, in words: empty rewards (C9), or SFT that has nothing but SFT to undo.

    SFT that carries its optimizer on is the same SFT continued, and no control.
    """
    if stage.options.get("placebo"):
        return "rewards " + placebo_words(stage.options["placebo"])
    source = started_from(record, stage)
    if not stage.options.get("fresh_optimizer", True):
        return None
    if source is None or (source.kind, stage.kind) != ("sft", "sft") or source.task != stage.task:
        return None
    return f"SFT again, from {source.name}"


def placebo_words(mode: str) -> str:
    """What a placebo's rewards are, after "rewards".

    >>> placebo_words("bernoulli")
    'drawn at random'
    """
    return "drawn at random" if mode == "bernoulli" else "permuted within each group"


def started_from(record: RunRecord, stage: StageRecord) -> StageRecord | None:
    """The stage whose weights `stage` began with; None where it was the recipe's model."""
    before = record.stages[: record.stages.index(stage)]
    asked = stage.options.get("start_from", "raw")
    if asked in ("raw", "averaged"):
        return before[-1] if before else None
    return next((item for item in before if item.name == asked), None)
