"""Which seeds are left out of figures over seeds: by the recipe's own rule, written down before the run."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.summary import StageSummary
from interlace.estimate import Estimate, value_text
from interlace.store import RunRecord


def exclusion(record: RunRecord, stages: Sequence[StageSummary]) -> str | None:
    """Why the recipe's `exclude_seeds` leaves this run out; None if it does not, or nothing can be said yet.

    It looks at the end of one stage alone, as it stands: no other stage's figures bear on it.
    """
    rule = record.resolved.get("exclude_seeds")
    stage = next((item for item in stages if rule and item.name == rule["stage"]), None)
    if not rule or stage is None or not stage.has_ended:
        return None
    reward = stage.reward.after
    if not isinstance(reward, Estimate) or reward.value >= rule["reward_below"]:
        return None
    return f"{stage.name} ended with reward {value_text(reward)}, below {rule['reward_below']:g}"
