"""The error that a stage's flags may make, divided over its looks through resumes and changed plans."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from interlace.flags import FlagWatch
from interlace.flags.base import Evidence
from interlace.flags.watch import FALSE_ALARMS, LookPlan
from interlace.measurement import HeldOut, PromptScores

HELD = HeldOut("t", 2, np.arange(2), np.ones(2), np.ones(2), np.ones(2, dtype=int), True)
SCORES = PromptScores(np.full(2, -1.0), np.ones((2, 1)), np.ones((2, 1)), True)


class Recording:
    """A rule that never speaks, and keeps the levels that it was asked at."""

    name = sentence = source = cost = "recording"

    def __init__(self) -> None:
        self.levels: dict[int, float] = {}

    def applies(self, evidence: Evidence) -> bool:
        return True

    def raised(self, evidence: Evidence) -> str | None:
        self.levels[evidence.step] = evidence.level
        return None

    @property
    def errors(self) -> dict[int, float]:
        """The one-sided error of each look, as a share of all."""
        return {step: (1.0 - level) / 2.0 / FALSE_ALARMS for step, level in self.levels.items()}


def process(
    plan: LookPlan, steps: Iterable[int], looks: dict[int, float], rules: int = 3
) -> tuple[dict[int, float], list[str]]:
    """Errors of one process's looks over all its rules, and what was said; `looks` goes on to the next process."""
    asked = {f"rule {number}": Recording() for number in range(rules)}
    watch = FlagWatch("rl", asked, plan, 1, lambda task: SCORES, looks=looks)
    said = [alarm.text for step in steps for alarm in watch.see(step, HELD, SCORES)]
    first, *others = asked.values()
    assert all(other.levels == first.levels for other in others)
    return {step: rules * error for step, error in first.errors.items()}, said


def test_a_plan_that_is_kept_divides_evenly() -> None:
    errors, said = process(LookPlan(10, 3), [3, 6, 9, 10], {})
    assert errors == pytest.approx({3: 0.25, 6: 0.25, 9: 0.25, 10: 0.25}) and not said


def test_a_step_taken_again_is_tested_with_the_share_that_it_took() -> None:
    """Planned for 20 looks, then for 10: the steps taken again were once tested at the new plan's level."""
    looks: dict[int, float] = {}
    first, _ = process(LookPlan(20, 1), range(1, 9), looks)
    second, said = process(LookPlan(10, 1), range(5, 11), looks)
    assert {step: second[step] for step in range(5, 9)} == pytest.approx(dict.fromkeys(range(5, 9), 0.05))
    assert sum((first | second).values()) == pytest.approx(1.0) and not said


def test_a_longer_plan_divides_what_is_left() -> None:
    looks: dict[int, float] = {}
    process(LookPlan(10, 1), range(1, 6), looks)
    errors, said = process(LookPlan(25, 1), range(6, 26), looks)
    assert errors == pytest.approx(dict.fromkeys(range(6, 26), 0.5 / 20)) and not said


def test_the_end_is_watched_after_an_end_before_its_time() -> None:
    """Step 3 was no look of the plan."""
    looks: dict[int, float] = {}
    process(LookPlan(4, 2), [2, 3], looks)
    errors, said = process(LookPlan(4, 2), [4], looks)
    assert errors == pytest.approx({4: 0.25}) and not said


def test_that_nothing_is_watched_any_more_is_said_once() -> None:
    looks: dict[int, float] = {}
    process(LookPlan(4, 1), range(1, 5), looks)
    errors, said = process(LookPlan(8, 1), range(4, 9), looks)
    assert set(errors) == {4}
    (text,) = said
    assert text.startswith("from step 5 on no flag is watched: the looks before took all of the 5%")
