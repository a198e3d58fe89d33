"""The share of imitation that a control takes from an earlier stage of its run."""

from __future__ import annotations

from pathlib import Path

from interlace.errors import RecipeError
from interlace.recipe import StageConfig
from interlace.store import read_run


def matched_share(config: StageConfig, run_folder: Path) -> float | None:
    """Mean share of imitation over the updates of the stage that the method of `config` is `like`; None for one that is
    like no other.

    Raises RecipeError where no look of that stage says its share.
    """
    like = (config.method or {}).get("like")
    if like is None:
        return None
    stage = next(stage for stage in read_run(run_folder).stages if stage.name == like)
    last = max(stage.spent, default=0)
    share = stage.spent.get(last, {}).get("imitation_share")
    if share is None or not last:
        raise RecipeError(
            f"stage {config.name!r} must be like a stage whose share of imitation was counted. {like!r} has no look "
            "that says it. Name another, or give the share itself."
        ).about("method")
    return share / last
