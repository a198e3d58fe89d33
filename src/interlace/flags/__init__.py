"""Flags: a warning while training goes on, the moment that harm can be told from chance. One file a rule.

A new one is a file and a line in FLAGS. False alarms are at most 5 % of runs: see `watch`.
"""

from interlace.flags.base import Evidence, FlagRule, SampledGroups
from interlace.flags.certain_cost import CertainCost
from interlace.flags.dead_groups import DeadGroups
from interlace.flags.gradient_angle import GradientAngle
from interlace.flags.off_path import OffPath
from interlace.flags.parity import PassedParity
from interlace.flags.reward_fall import RewardFall
from interlace.flags.sft_loss_rise import SftLossRise
from interlace.flags.watch import Alarm, FlagWatch

RULES = (PassedParity(), SftLossRise(), RewardFall(), DeadGroups(), CertainCost(), OffPath(), GradientAngle())

FLAGS: dict[str, FlagRule] = {rule.name: rule for rule in RULES}

__all__ = ["FLAGS", "Alarm", "Evidence", "FlagRule", "FlagWatch", "SampledGroups"]
