"""What a run ran on: versions, machine, and the libraries' chatter turned down."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

RECORDED_PACKAGES = ("interlace", "torch", "transformers", "trl", "accelerate", "datasets", "peft", "numpy", "scipy")


def package_versions() -> dict[str, str]:
    """The installed version of every package that decides a figure; "not installed" where it is missing."""
    return {name: _version(name) for name in RECORDED_PACKAGES}


def run_manifest(recipe: str, seed: int) -> dict[str, Any]:
    """What identifies a run: recipe, seed, versions, machine, the commit that the working folder stands at."""
    return {
        "version": 1,
        "recipe": recipe,
        "seed": seed,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "packages": package_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "git": git_commit(Path.cwd()),
        "command": sys.argv[1:],
    }


def git_commit(folder: Path) -> str | None:
    """The commit that `folder` stands at, with ``+changes`` if it is not clean; None outside a repository."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+changes" if changed else "")


def forbid_telemetry() -> None:
    """Let no library report home from this process or its children: TRL does of every trainer unless it is told."""
    from huggingface_hub import constants

    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    constants.HF_HUB_DISABLE_TELEMETRY = True  # it has been read from there by now


def quiet_libraries() -> None:
    """Hide progress bars and the warnings that TRL and Transformers repeat by the hundred; ours stay."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    logging.getLogger("trl").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl|accelerate|torch|peft)(\..*)?")
    warnings.filterwarnings("ignore", message=r".*gradient_checkpointing.*", category=FutureWarning)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    return result.stdout.strip()
