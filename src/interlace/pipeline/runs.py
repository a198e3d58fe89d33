"""A recipe's runs: one folder a seed, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from interlace.callback import StopRequest
from interlace.environment import quiet_libraries
from interlace.errors import RunFolderError
from interlace.observer import Observer
from interlace.pipeline.requests import stage_folders
from interlace.pipeline.seed_run import MachineSettings, SeedRun
from interlace.policies import CoreShare
from interlace.policies.precision import bfloat16_gains
from interlace.recipe import Recipe
from interlace.store.checkpoints import write_text_atomically
from interlace.store.run_store import MANIFEST, RESOLVED, read_manifest, refuse_foreign
from interlace.tasks.base import Task

__all__ = ["base_folder", "keep_resolved", "run_folders", "run_recipe", "stage_folders"]


def run_recipe(
    recipe: Recipe,
    out: Path | None = None,
    observer: Observer | None = None,
    fresh: bool = False,
    tasks: Mapping[str, Task] | None = None,
) -> list[Path]:
    """Train and measure every seed of `recipe`; the run folders, one a seed.

    `tasks` are tasks made in Python, used under their names in place of what the recipe says of them.

    Raises RunFolderError for a folder of another recipe, Interrupted after a signal once a checkpoint is saved,
    TrainingError if a stage stops short of its plan or its weights are no longer finite.
    """
    quiet_libraries()
    observer = observer or Observer()
    base = base_folder(recipe, out, fresh)
    folders = run_folders(recipe, base)
    machine = MachineSettings(CoreShare(recipe.threads), bfloat16_gains())
    try:
        with StopRequest().listening() as stop:
            for seed, folder in zip(recipe.seeds, folders, strict=True):
                SeedRun(recipe, seed, folder, base, observer, stop, machine, dict(tasks or {})).finish()
    finally:
        machine.cores.close()
    return folders


def base_folder(recipe: Recipe, out: Path | None, fresh: bool = False) -> Path:
    """The folder of a recipe's runs: `out`, by default ``runs/RECIPE``.

    `fresh` takes the first of ``-2``, ``-3`` ... that does not exist yet.
    """
    base = out or Path("runs") / recipe.name
    if fresh and base.exists():
        return next(path for n in range(2, 10_000) if not (path := base.with_name(f"{base.name}-{n}")).exists())
    return base


def run_folders(recipe: Recipe, base: Path) -> list[Path]:
    """Where each seed's run lives: `base` itself, or ``seed-N`` below it for several seeds, and for one that goes into
    a folder of seeds.

    Raises RunFolderError if runs of several seeds would come to lie inside the folder of one run.
    """
    is_of_one = (base / MANIFEST).exists()
    if len(recipe.seeds) == 1 and (is_of_one or not any(base.glob(f"seed-*/{RESOLVED}"))):
        return [base]
    if is_of_one:
        seed = read_manifest(base)["seed"]
        keep = f"To go on with it, move all that is in it into {base}/seed-{seed}; else choose another --out."
        raise RunFolderError(
            f"{base} must be a folder for {len(recipe.seeds)} runs. It is the folder of one, of seed {seed}. "
            f"{keep if seed in recipe.seeds else 'Choose another --out.'}"
        )
    return [base / f"seed-{seed}" for seed in recipe.seeds]


def keep_resolved(recipe: Recipe, base: Path) -> list[Path]:
    """Write ``resolved.yaml`` where each run would begin, unless runs lie in `base`; the files written.

    Raises RunFolderError for a folder that is another recipe's.
    """
    texts = {
        folder: recipe.for_seed(seed).to_yaml()
        for seed, folder in zip(recipe.seeds, run_folders(recipe, base), strict=True)
    }
    for folder, text in texts.items():
        refuse_foreign(folder, text)
    if (base / MANIFEST).exists() or any(base.glob(f"*/{MANIFEST}")):
        return []
    for folder, text in texts.items():
        folder.mkdir(parents=True, exist_ok=True)
        write_text_atomically(folder / RESOLVED, text)
    return [folder / RESOLVED for folder in texts]
