"""Which seeds are left out of figures over seeds: by the recipe's own rule, written down before the run."""

from __future__ import annotations

from interlace.estimate import Estimate, value_text
from interlace.store import RunRecord, StageRecord


def exclusion(record: RunRecord) -> str | None:
    """Why the recipe's `exclude_seeds` leaves this run out; None if it does not, or nothing can be said yet.

    It looks at the end of one stage alone, as it stands: no other stage's figures bear on it.
    """
    rule = record.resolved.get("exclude_seeds")
    stage = next((item for item in record.stages if rule and item.name == rule["stage"]), None)
    if not rule or stage is None or not (stage.stopped or stage.steps_done >= stage.steps_planned):
        return None
    reward = _last_reward(stage)
    if reward is None or reward.value >= rule["reward_below"]:
        return None
    return f"{stage.name} ended with reward {value_text(reward)}, below {rule['reward_below']:g}"


def _last_reward(stage: StageRecord) -> Estimate | None:
    """Reward on the stage's own task of the weights that it ended with."""
    last = stage.figures_at(stage.ended_at(stage.task)).get("reward")
    return last if isinstance(last, Estimate) else None
