"""What is measured of a checkpoint, and how two are compared: paired on the same prompts, with a p-value."""

from __future__ import annotations

from interlace.analysis.changes import NATS_RESPONSE, OBJECTIVES, Objective
from interlace.analysis.trajectory import KL, LENIENT, REWARD, SFT_LOSS, Snapshot
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics import PairedDifference, tested

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
    LENIENT: "task {task} has no lenient reward, or no completions were sampled for it",
    KL: "the vocabularies differ, so that there is no KL between the two policies",
}

IS_DIFFERENCE = "KL is a distance from the first checkpoint already: take its value"


def level_of(name: str, snapshot: Snapshot) -> Figure:
    """An objective at one checkpoint; Unresolved with the reason where it was not to be had."""
    refusal = missing(name, snapshot)
    return Unresolved(refusal) if refusal is not None else COMPARED[name].figure(snapshot)


def compare(name: str, before: Snapshot, after: Snapshot) -> PairedDifference:
    """An objective at `after` minus at `before`, prompt by prompt: positive means a rise.

    Rewards as `reward_difference` does (exactly where they are one 0 or 1 a prompt); all else as `paired_change`
    over prompts as clusters, however many completions each has. The p-value is below .05 exactly where the interval
    excludes 0.
    """
    refusal = IS_DIFFERENCE if name == KL_FROM_FIRST else missing(name, before) or missing(name, after)
    if refusal is not None:
        return PairedDifference(Unresolved(refusal), None)
    objective = COMPARED[name]
    if objective.difference is not None:
        return objective.difference(before, after, objective.unit)
    change = objective.change(before, after)
    if not isinstance(change, Estimate):
        return PairedDifference(change, None)
    return tested(change, objective.influence(before, after))


def missing(name: str, snapshot: Snapshot) -> str | None:
    """Why a snapshot does not have an objective, if so."""
    objective = COMPARED[name]
    if not snapshot.has(objective.quantity):
        return MISSING[objective.quantity].format(task=snapshot.held.task)
    return objective.refuses(snapshot.held)
