"""Planning an RL stage from the checkpoint it would start from: measured once, forecast along every path model."""

from interlace.planning.result import CrossCost, Plan
from interlace.planning.session import Session
from interlace.planning.steps import Pace, PilotStage, StepsTo

__all__ = ["CrossCost", "Pace", "PilotStage", "Plan", "Session", "StepsTo"]
