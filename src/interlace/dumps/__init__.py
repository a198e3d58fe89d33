"""Rollout dumps of any trainer: from rewards alone, without weights and without torch, to a plan of an RL stage.

`files`, `places` and `writers` find rows and say who wrote them, `columns`, `rows` and `samples` turn them into arrays,
`groups` into groups of one prompt; `follow` draws curves along steps, `path` carries the laws' integrals along them
with their intervals and `tilts` finds the tilts that earn the same rewards (A10); `expert` and `losses` read what SFT
data earn and how likely they are, `measured` puts the latter beside the forecast; `advice` says it in sentences and
`plan` is the way in.
"""

from interlace.dumps.plan import EXAMPLE, plan_rollouts
from interlace.dumps.planned import LossPoint, PlanPoint, RolloutPlan

__all__ = ["EXAMPLE", "LossPoint", "PlanPoint", "RolloutPlan", "plan_rollouts"]
