"""Runs a recipe's stages in order, a run folder a seed; typed again, the same command continues what a kill left.

`runs` goes through the seeds, `seed_run` through the stages of one, `stage_run` trains a stage, `weights` says whose
weights it begins with, `ending` does what a stage leaves behind.
"""

from interlace.pipeline.runs import run_folders, run_recipe, stage_folders
from interlace.pipeline.weights import EMBEDDED

__all__ = ["EMBEDDED", "run_folders", "run_recipe", "stage_folders"]
