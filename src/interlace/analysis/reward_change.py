"""The change of a reward between two snapshots, by how it was measured: enumerated, sampled once, or in groups."""

from __future__ import annotations

import numpy as np

from interlace.analysis.trajectory import Snapshot
from interlace.estimate import Estimate, Unresolved
from interlace.statistics import (
    PairedDifference,
    detectable_rate_change,
    mcnemar,
    paired_difference,
    rate_change,
    sampled_change,
    sampled_difference,
)
from interlace.statistics.intervals import LEVEL

NO_FLIPS = Unresolved("no prompt flipped, which tells no scatter: measure more prompts")


def reward_difference(before: Snapshot, after: Snapshot, unit: str, *, level: float = LEVEL) -> PairedDifference:
    """R at `after` minus at `before`, the same prompts: positive means a rise; and the p-value of no change.

    Enumerated: `paired_difference`. One sampled 0 or 1 a prompt: exact (McNemar, melded interval). Several:
    `sampled_difference`. Sampled with other values, whose range is not known: `sampled_change`. The p-value is below
    1 - `level` exactly where the interval excludes 0.
    """
    if before.scores.reward_is_exact or after.scores.reward_is_exact:
        return paired_difference(before.reward, after.reward, unit=unit, level=level)
    if not (_is_binary(before) and _is_binary(after)):
        change = sampled_change(before.reward, after.reward, unit=unit, level=level)
        plain = paired_difference(before.reward, after.reward, unit=unit, level=level)
        return plain if isinstance(change, Estimate) else PairedDifference(change, None)
    if _is_single(before) and _is_single(after):
        return _exact(before, after, unit, level)
    return sampled_difference(before.reward, after.reward, unit=unit, level=level)


def _exact(before: Snapshot, after: Snapshot, unit: str, level: float) -> PairedDifference:
    was, now = before.reward == 1.0, after.reward == 1.0
    flips = mcnemar(was, now)
    share = (flips.lost + flips.gained) / max(1, was.size)
    detectable = detectable_rate_change(share, was.size, unit=unit, level=level) if share else NO_FLIPS
    return PairedDifference(rate_change(was, now, unit=unit, level=level), flips.p_value, detectable)


def _is_binary(snapshot: Snapshot) -> bool:
    values = snapshot.scores.reward_values
    assert values is not None
    return bool(np.isin(values, (0.0, 1.0)).all())


def _is_single(snapshot: Snapshot) -> bool:
    values = snapshot.scores.reward_values
    assert values is not None
    return values.shape[1] == 1
