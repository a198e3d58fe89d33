"""A recipe's runs: one folder a seed, one after the other."""

from __future__ import annotations

from pathlib import Path

from interlace.callback import StopRequest
from interlace.environment import quiet_libraries
from interlace.observer import Observer
from interlace.pipeline.seed_run import MachineSettings, SeedRun, stage_folders
from interlace.policies import configure_threads
from interlace.policies.precision import bfloat16_gains
from interlace.recipe import Recipe

__all__ = ["run_folders", "run_recipe", "stage_folders"]


def run_recipe(
    recipe: Recipe, out: Path | None = None, observer: Observer | None = None, fresh: bool = False
) -> list[Path]:
    """Train and measure every seed of `recipe`; the run folders, one a seed.

    Raises RunFolderError for a folder of another recipe, Interrupted after a signal once a checkpoint is saved,
    TrainingError if a stage stops short of its plan or its weights are no longer finite.
    """
    quiet_libraries()
    observer = observer or Observer()
    machine = MachineSettings(configure_threads(recipe.threads), bfloat16_gains())
    folders = run_folders(recipe, out, fresh)
    with StopRequest().listening() as stop:
        for seed, folder in zip(recipe.seeds, folders, strict=True):
            SeedRun(recipe, seed, folder, observer, stop, machine).finish()
    return folders


def run_folders(recipe: Recipe, out: Path | None, fresh: bool = False) -> list[Path]:
    """Where each seed's run lives: `out` (default ``runs/RECIPE``), with ``seed-N`` below it for several seeds.

    `fresh` takes the first of ``-2``, ``-3`` ... that does not exist yet.
    """
    base = out or Path("runs") / recipe.name
    if fresh and base.exists():
        base = next(path for n in range(2, 10_000) if not (path := base.with_name(f"{base.name}-{n}")).exists())
    return [base] if len(recipe.seeds) == 1 else [base / f"seed-{seed}" for seed in recipe.seeds]
