"""Profiles compared, paired on the same prompts: changes, levels that hold together, and the words for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from interlace.analysis.words import signed
from interlace.checkpoints.objectives import COMPARED, compare, level_of
from interlace.checkpoints.profile import Profile
from interlace.estimate import Estimate, Figure, figure_text
from interlace.statistics.intervals import LEVEL
from interlace.statistics.multiplicity import simultaneous_level
from interlace.wording import counted

WORDS = {"reward": "reward", "sft_loss": "SFT loss"}
SEED = 0
"""Of the resamples that place a level: the same figures have the same one."""


def change(before: Profile, after: Profile, task: str, objective: str, level: float = LEVEL) -> Figure:
    """An objective on `task` at `after` minus at `before`; of another level than `LEVEL` only the SFT loss."""
    ends = before.tasks[task], after.tasks[task]
    if level == LEVEL:
        return compare(objective, *ends).change
    assert objective == "sft_loss"
    return COMPARED[objective].change(*ends, level)


def level_together(first: Profile, others: Sequence[Profile]) -> float:
    """The level at which the rises of SFT loss from `first` to each of the `others` hold together in `LEVEL` of cases.

    What is then chosen among them by their upper ends is no better than it seems because there were many to choose
    from. Of one rise `LEVEL`; of several, `simultaneous_level` over the prompts of the task where it is highest, with
    its share of the tasks' errors, and at most Bonferroni's over the `others`.
    """
    bonferroni = 1.0 - (1.0 - LEVEL) / max(1, len(others))
    if len(others) < 2:
        return bonferroni
    each = 1.0 - (1.0 - LEVEL) / len(first.losses)
    return min(bonferroni, max(_level_on(task, first, others, each) for task in first.losses))


def _level_on(task: str, first: Profile, others: Sequence[Profile], level: float) -> float:
    with np.errstate(invalid="ignore"):  # inf - inf: counted as not finite
        rises = np.stack([other.tasks[task].loss - first.tasks[task].loss for other in others])
    finite = rises[np.isfinite(rises).all(axis=1)]
    return simultaneous_level(finite, rng=np.random.default_rng(SEED), level=level)


def largest_rise(first: Profile, other: Profile, level: float) -> float:
    """Upper end of the paired change of SFT loss from `first` on the task where it is largest, nats/response.

    0 of the first itself; inf where a change has no interval.
    """
    if other is first:
        return 0.0
    rises = (change(first, other, task, "sft_loss", level) for task in first.losses)
    return max(rise.upper if isinstance(rise, Estimate) else np.inf for rise in rises)


def against(before: Profile, after: Profile, level: float = LEVEL) -> str:
    """Both changes between two checkpoints in words, task by task; that of SFT loss at `level`."""
    several = len(before.tasks) > 1
    levels = {"reward": LEVEL, "sft_loss": level}
    parts = [
        f"{words} {signed(found, unit=objective == 'sft_loss')}{f' on {task}' if several else ''}"
        for task in before.tasks
        for objective, words in WORDS.items()
        if isinstance(found := change(before, after, task, objective, levels[objective]), Estimate)
    ]
    return f"{', '.join(parts)} against {before.called}"


def upper_end(level: float, count: int) -> str:
    """Which end of `count` intervals decides, in words."""
    if count < 2:
        return "by the upper end of its interval"
    several = "both" if count == 2 else f"all {count}"
    return f"by the upper end of its interval at {level:.1%}, where {several} hold together"


def level_words(profile: Profile, objective: str) -> str:
    """The objective's figures in words, task by task; what has no interval is said to have none."""
    said = (
        figure_text(figure) + (f" on {task}" if len(profile.tasks) > 1 else "")
        for task, item in profile.tasks.items()
        if isinstance(figure := level_of(objective, item), Estimate)
    )
    return ", ".join(said) or "by the means alone, which have no interval"


def measured_words(profiles: Mapping[str, Profile]) -> str:
    """How many were chosen from: what lies between positions was not looked at."""
    return f"{counted(len(profiles), next(iter(profiles.values())).kind or 'checkpoint')} measured"
