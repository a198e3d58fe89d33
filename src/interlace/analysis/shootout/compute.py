"""What an arm had taken at each look: what arms are made equal in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median_low
from typing import Literal, TypeAlias

from interlace.ledger import estimated_flops
from interlace.store.record import StageRecord

By: TypeAlias = Literal["flops", "tokens"]
OVERSHOOT = 1.03
"""How much more than the common compute a look may have taken: steps differ a little in their tokens."""
SHORT = 0.95
"""An arm that ended with less than this share of the common compute is said to be short."""


def compute_of(stage: StageRecord, step: int, by: By) -> float | None:
    """What `stage` had taken at a look: tokens read and sampled in generation and trained on, or FLOPs a parameter;
    None where it was not recorded."""
    spent = stage.spent.get(step)
    if spent is None:
        return None
    generated = spent.get("tokens_sampled", 0.0) + spent.get("tokens_prefilled", 0.0)
    trained = spent["tokens"]
    if by == "tokens":
        return generated + trained
    return estimated_flops(1, int(generated), int(trained + spent.get("tokens_scored", 0.0)), int(trained))


def common_compute(ends: Sequence[float]) -> float:
    """What at least half of the arms reached: the median of their ends, the lower of two; 0 without arms. An arm that
    ended with less cuts no other short: it is told where it ended.

    >>> common_compute([4.0, 1.0, 3.0, 3.5])
    3.0
    """
    return median_low(ends) if ends else 0.0


def even_factors(paths: Sequence[Sequence[str]], compute: Mapping[str, float]) -> dict[str, float]:
    """By how much to prolong each stage so that paths from one start take what at least half of them take, of those
    that no other goes on from. A stage that several share stays as it is, and the rest of each makes up for it; it is
    left out where the shared ones alone take more.

    >>> even_factors([("joint",), ("rl",), ("rl", "sft")], {"joint": 8.0, "rl": 2.0, "sft": 2.0})
    {'joint': 0.5, 'rl': 1.0, 'sft': 1.0}
    """
    begun = {tuple(path[:-1]) for path in paths}
    whole = [path for path in paths if tuple(path) not in begun]
    times = Counter(stage for path in whole for stage in path)
    ends = [sum(compute[stage] for stage in path) for path in whole]
    factors = {stage: 1.0 for stage, count in times.items() if count > 1}
    for path, end in zip(whole, ends, strict=True):
        shared = sum(compute[stage] for stage in path if times[stage] > 1)
        if common_compute(ends) > shared:
            factor = (common_compute(ends) - shared) / (end - shared)
            factors |= {stage: factor for stage in path if times[stage] == 1}
    return factors


def compute_of_all(stage: StageRecord, by: By) -> float:
    """What `stage` had taken at the last look whose compute is known."""
    return max((compute for step in stage.spent if (compute := compute_of(stage, step, by)) is not None), default=0.0)
