"""Forks: short trainings from one state of a stage, beside the run, that tell drift from diffusion (B8, C9, C10).

`plan` says which forks, `cost` what they take, `training` trains one, `second_moment` carries the optimizer's state
over, `scratch` keeps what is done until all is, `blending` averages weights, `experiment` trains all, measures them and
records what every held-out prompt contributed. The figures are made from that record by `interlace.analysis.forks`.
"""

from interlace.forking.cost import ForkCost
from interlace.forking.experiment import Experiment
from interlace.forking.plan import Arm, ForkPlan

__all__ = ["Arm", "Experiment", "ForkCost", "ForkPlan"]
