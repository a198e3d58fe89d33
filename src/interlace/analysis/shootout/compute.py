"""What an arm had taken at each look: what arms are made equal in."""

from __future__ import annotations

from typing import Literal, TypeAlias

from interlace.ledger import estimated_flops
from interlace.store.record import StageRecord

By: TypeAlias = Literal["flops", "tokens"]
OVERSHOOT = 1.03
"""How much more than the common compute a look may have taken: steps differ a little in their tokens."""


def compute_of(stage: StageRecord, step: int, by: By) -> float | None:
    """What `stage` had taken at a look: tokens sampled and trained on, or FLOPs a parameter; None where it was not
    recorded."""
    spent = stage.spent.get(step)
    if spent is None:
        return None
    sampled, trained = spent.get("tokens_sampled", 0.0), spent["tokens"]
    if by == "tokens":
        return sampled + trained
    return estimated_flops(1, int(sampled), int(trained + spent.get("tokens_scored", 0.0)), int(trained))


def compute_of_all(stage: StageRecord, by: By) -> float:
    """What `stage` had taken at the last look whose compute is known."""
    return max((compute for step in stage.spent if (compute := compute_of(stage, step, by)) is not None), default=0.0)
