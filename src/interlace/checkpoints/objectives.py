"""What is measured of a checkpoint, and how two are compared: paired on the same prompts, with a p-value."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import special

from interlace.analysis.changes import NATS_RESPONSE, OBJECTIVES, Objective
from interlace.analysis.trajectory import KL, REWARD, SFT_LOSS, Snapshot
from interlace.estimate import Estimate, Figure, Unresolved

KL_FROM_FIRST = "kl_policy_first_nats_per_response"
"""KL(checkpoint to the first), nats/response, Rao-Blackwellised (C5)."""

COMPARED: dict[str, Objective] = {
    **OBJECTIVES,
    KL_FROM_FIRST: Objective(KL, NATS_RESPONSE, lambda snapshot: snapshot.kl),
}
"""Every objective of a cell."""

MISSING = {
    SFT_LOSS: "task {task} has no expert responses",
    REWARD: "task {task} has no reward",
    KL: "the vocabularies differ, so that there is no KL between the two policies",
}

IS_DIFFERENCE = "KL is a distance from the first checkpoint already: take its value"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A paired change, and the two-sided p-value of no change (None where the change is unresolved)."""

    change: Figure
    p_value: float | None


def level_of(name: str, snapshot: Snapshot) -> Figure:
    """An objective at one checkpoint; Unresolved with the reason where it was not to be had."""
    refusal = _refusal(name, snapshot)
    return Unresolved(refusal) if refusal is not None else COMPARED[name].figure(snapshot)


def compare(name: str, before: Snapshot, after: Snapshot) -> Comparison:
    """An objective at `after` minus at `before`, prompt by prompt: positive means a rise.

    Rewards as `reward_difference` does (exactly where they are one 0 or 1 a prompt); all else by Student t over prompts
    as clusters, however many completions each has. The p-value is below .05 exactly where the interval excludes 0.
    """
    refusal = IS_DIFFERENCE if name == KL_FROM_FIRST else _refusal(name, before) or _refusal(name, after)
    if refusal is not None:
        return Comparison(Unresolved(refusal), None)
    objective = COMPARED[name]
    if objective.difference is not None:
        found = objective.difference(before, after, objective.unit)
        return Comparison(found.change, found.p_value)
    change = objective.change(before, after)
    return Comparison(change, p_value_of(change))


def p_value_of(change: Figure) -> float | None:
    """The two-sided p-value of no change that goes with a Student t interval; None for an unresolved change."""
    if not isinstance(change, Estimate):
        return None
    half = (change.upper - change.lower) / 2.0
    if half == 0.0:  # every prompt changed by the same amount
        return 1.0 if change.value == 0.0 else 0.0
    statistic = change.value / half * special.stdtrit(change.n - 1, 0.5 + change.level / 2)
    return float(2 * special.stdtr(change.n - 1, -abs(statistic)))


def _refusal(name: str, snapshot: Snapshot) -> str | None:
    objective = COMPARED[name]
    if not snapshot.has(objective.quantity):
        return MISSING[objective.quantity].format(task=snapshot.held.task)
    return objective.refuses(snapshot.held)
