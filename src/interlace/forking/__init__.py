"""Forks: short trainings from one state of a stage, beside the run, that tell drift from diffusion (B8, C9, C10).

`plan` says which forks, `training` trains one, `second_moment` carries the optimizer's state over, `blending` averages
weights, `experiment` trains all, measures them and records what every held-out prompt contributed. The figures are made
from that record by `interlace.analysis.forks`.
"""

from interlace.forking.experiment import Experiment
from interlace.forking.plan import Arm, ForkPlan

__all__ = ["Arm", "Experiment", "ForkPlan"]
