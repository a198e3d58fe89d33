"""Planning an RL stage from the checkpoint it would start from: measured once, forecast along every path model."""

from interlace.planning.result import CrossCost, Plan
from interlace.planning.session import Session

__all__ = ["CrossCost", "Plan", "Session"]
