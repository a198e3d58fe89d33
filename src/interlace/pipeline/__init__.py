"""Runs a recipe's stages in order, a run folder a seed; typed again, the same command continues what a kill left.

`runs` goes through the seeds, `seed_run` through the stages of one; `requests` finds what is wrong with a stage before
anything is written, `weights` says whose weights it begins with, `stage_run` trains it, `ending` does what it leaves.
"""

from interlace.pipeline.runs import base_folder, keep_resolved, run_folders, run_recipe, stage_folders
from interlace.pipeline.weights import EMBEDDED

__all__ = ["EMBEDDED", "base_folder", "keep_resolved", "run_folders", "run_recipe", "stage_folders"]
