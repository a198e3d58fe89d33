"""The dry run: what a recipe would do, how long it would take here and how much disk, before anything is trained.

`plan` resolves and validates everything and says it stage by stage, `prices` what steps and looks cost here, `size` how
many parameters the model has.
"""

from interlace.dry_run.plan import DryRun, PlannedForks, StagePlan, plan_recipe

__all__ = ["DryRun", "PlannedForks", "StagePlan", "plan_recipe"]
