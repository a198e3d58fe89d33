"""Flags on what the trainer samples: dead groups, and a reward that falls where no look measured it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from interlace.callback.recent_groups import LEAST_BATCHES, LEAST_GROUPS, RecentGroups
from interlace.flags import FLAGS, FlagWatch, SampledGroups
from interlace.flags.dead_groups import DEAD
from interlace.flags.watch import FALSE_ALARMS, LookPlan, share_level
from interlace.measurement import HeldOut, PromptScores

RUNS, LOOKS, EVERY, MEMBERS = 60, 10, 10, 8
HELD = HeldOut("t", 2, np.arange(2), np.ones(2), np.full(2, 0.7), np.ones(2, dtype=int), False)
LIGHT = PromptScores(np.full(2, -1.0))
"""A look that measured no reward."""

Sampler = Callable[[np.random.Generator, int], np.ndarray]
"""The groups that a trainer samples at a step."""


def alarms(rng: np.random.Generator, sampler: Sampler) -> dict[str, str]:
    """What every rule said over a stage, looked at every `EVERY` steps."""
    recent, watch = RecentGroups(), FlagWatch("rl", FLAGS, LookPlan(LOOKS * EVERY, EVERY), 1, lambda task: LIGHT)
    found: dict[str, str] = {}
    for step in range(1, LOOKS * EVERY + 1):
        recent.add(sampler(rng, step))
        if step % EVERY == 0:
            found |= {alarm.rule: alarm.text for alarm in watch.see(step, HELD, LIGHT, recent.groups)}
    return found


def share(rule: str, sampler: Sampler) -> float:
    return sum(rule in alarms(np.random.default_rng([3, i]), sampler) for i in range(RUNS)) / RUNS


def partly_flat(share: float, groups: int) -> Sampler:
    """A share of groups all right or all wrong; each of the others holds both."""

    def sampler(rng: np.random.Generator, step: int) -> np.ndarray:
        rewards = np.tile([1.0] * (MEMBERS // 2) + [0.0] * (MEMBERS // 2), (groups, 1))
        flat = rng.random(groups) < share
        rewards[flat] = rng.integers(0, 2, (flat.sum(), 1))
        return rewards

    return sampler


def stepping(before: float, after: float, groups: int, alike: float = 2.0) -> Sampler:
    """Right or wrong, prompts with Beta pass rates; the mean changes once the first window is full."""

    def sampler(rng: np.random.Generator, step: int) -> np.ndarray:
        mean = before if step <= LEAST_GROUPS / groups + LEAST_BATCHES else after
        rates = rng.beta(alike * mean, alike * (1.0 - mean), (groups, 1))
        return (rng.random((groups, MEMBERS)) < rates).astype(float)

    return sampler


@pytest.mark.parametrize("groups", [8, 32])
def test_groups_are_dead_from_the_bound_on(groups: int) -> None:
    """The bound itself, .8, is not above it; 19 of 20 are."""
    assert share("dead_groups", partly_flat(0.8, groups)) <= 0.05
    assert share("dead_groups", partly_flat(0.95, groups)) >= 0.8


@pytest.mark.parametrize(
    ("before", "after", "alike"),
    [(0.6, 0.6, 2.0), (0.97, 0.97, 0.2), (0.03, 0.03, 2.0), (0.5, 0.4, 0.5), (0.15, 0.05, 0.5), (0.97, 0.87, 0.5)],
)
def test_a_reward_that_stands_or_falls_by_what_does_not_count_raises_no_flag(
    before: float, after: float, alike: float
) -> None:
    assert share("reward_fall", stepping(before, after, 32, alike)) <= 0.05


@pytest.mark.parametrize("groups", [8, 32])
def test_a_collapse_of_the_sampled_reward_is_detected(groups: int) -> None:
    assert share("reward_fall", stepping(0.6, 0.2, groups)) >= 0.8


def test_what_is_said_names_the_groups_and_what_to_do() -> None:
    said = alarms(np.random.default_rng(0), lambda rng, step: np.zeros((16, MEMBERS)))
    assert set(said) == {"dead_groups"}
    assert "in 1.00 [0.94, 1.00] of the last 128 groups that the trainer sampled all comp" in said["dead_groups"]
    assert "sample larger groups" in said["dead_groups"]
    fell = alarms(np.random.default_rng(0), stepping(0.9, 0.3, 32))["reward_fall"]
    assert "the reward of what the trainer samples fell by 0." in fell and "since the stage's first groups" in fell


def test_a_window_resolves_dead_groups_in_as_many_looks_as_it_says() -> None:
    """By the exact binomial tail: the lower end lies above `DEAD` where k or more of 128 at `DEAD` are rarer."""
    for flat, looks in ((119, 177), (120, 620)):
        tail = float(stats.binom.sf(flat - 1, LEAST_GROUPS, DEAD))
        share = FALSE_ALARMS / len(FLAGS)
        assert share / looks > tail > share / (looks + 1)
        assert tail < (1.0 - share_level(FALSE_ALARMS, looks * len(FLAGS))) / 2.0


def test_a_reward_that_does_not_compare_falls_unsaid_and_its_dead_groups_are_said() -> None:
    """A sum with other rewards, or prompts in an order of their own: `first` is None."""
    flat = np.tile([0.0], (LEAST_GROUPS, MEMBERS))
    for rule, first, said in (
        ("reward_fall", flat + 1.0, True), ("reward_fall", None, False), ("dead_groups", None, True)
    ):  # fmt: skip
        watch = FlagWatch("rl", {rule: FLAGS[rule]}, LookPlan(1, 1), 1, lambda task: LIGHT)
        assert bool(watch.see(1, HELD, PromptScores(), SampledGroups(first, flat))) is said


def test_a_window_is_a_number_of_groups_and_of_batches() -> None:
    """Large batches: four of them; small ones: as many as 128 groups take. Restored as it was."""
    for size, batches in ((200, LEAST_BATCHES), (40, LEAST_BATCHES), (10, 13)):
        recent = RecentGroups()
        for number in range(batches):
            assert recent.groups is None
            recent.add(np.full((size, 2), float(number)))
        for number in range(batches, 2 * batches):
            recent.add(np.full((size, 2), float(number)))
        groups, again = recent.groups, RecentGroups.restored(recent.arrays()).groups
        assert groups is not None and again is not None
        assert np.unique(groups.first).tolist() == list(range(batches))
        assert np.unique(groups.recent).tolist() == list(range(batches, 2 * batches))
        assert np.array_equal(groups.first, again.first) and np.array_equal(groups.recent, again.recent)


def test_a_group_of_which_one_member_was_scored_tells_nothing() -> None:
    recent = RecentGroups()
    for _ in range(LEAST_BATCHES):
        recent.add(np.array([[1.0, np.nan], [0.0, 1.0]] * LEAST_GROUPS))
    assert recent.groups is not None and np.isfinite(recent.groups.recent).all()
