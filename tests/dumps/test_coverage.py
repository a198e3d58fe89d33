"""RL time, C7 and parity from sampled rewards, held against policies that move exactly on the RL path."""

from __future__ import annotations

import math

import numpy as np
import pytest

from interlace.dumps.follow import follow
from interlace.dumps.groups import group
from interlace.dumps.path import STEPS, RewardPath
from interlace.dumps.rows import Samples
from interlace.dumps.tilts import TiltPath, Tilts, follow_tilts, tilts_of
from interlace.estimate import Estimate, Figure
from tests.dumps.worlds import World, world

REPETITIONS, PROMISED = 150, 0.93


def sampled(made: World, rng: np.random.Generator, prompts: int, samples: int, pool: int | None) -> Samples:
    """As `worlds.rollouts`, straight into arrays."""
    steps = len(made.times)
    population = rng.choice(len(made.start), pool, replace=False) if pool else np.arange(len(made.start))
    drawn = np.stack([rng.choice(population, prompts, replace=False) for _ in range(steps)])
    rates = np.stack([made.rates(step, made.start[row]) for step, row in enumerate(drawn)])
    hits = rng.random((steps, prompts, samples)) < rates[..., None]
    keys, numbers = np.unique(np.repeat(drawn, samples), return_inverse=True)
    count = numbers.size
    at = np.repeat(np.arange(steps), prompts * samples)
    return Samples(at, numbers, hits.ravel().astype(float), np.full(count, np.nan), np.zeros(count, dtype=np.int64),
                   {str(key): i for i, key in enumerate(keys)}, "", ())  # fmt: skip


def figures(made: World, path: RewardPath) -> dict[str, tuple[Figure, float]]:
    """What the path says, and the truth."""
    middle = len(path.places) // 2
    gaps = path.gaps
    assert gaps is not None
    first, times = path.places[0], np.interp(path.places, np.arange(len(made.times)), made.times)
    changes = np.interp(path.places, np.arange(len(made.times)), made.sft_change)
    return {
        "RL time": (path.rl_time()[-1], times[-1] - times[0]),
        "RL time half way": (path.rl_time()[middle], times[middle] - times[0]),
        "C7": (path.sft_change()[-1], changes[-1] - changes[0]),
        "C7 half way": (path.sft_change()[middle], changes[middle] - changes[0]),
        "parity": (path.steps_with(-gaps[0], -gaps[1], "not passed"), max(made.parity, first)),
    }


def tilt_figures(made: World, path: RewardPath, tilts: TiltPath) -> dict[str, tuple[Figure, float]]:
    """A10's part half way, where groups of eight carry the tilt, and the truth."""
    middle = len(path.places) // 2
    change = float(np.interp(path.places[middle], np.arange(len(made.times)), made.sft_change))
    first = float(np.interp(path.places[0], np.arange(len(made.times)), made.sft_change))
    return {"A10 half way": (tilts.figures(path)[middle], change - first)}


def coverage(
    made: World, prompts: int, samples: int, pool: int | None, repetitions: int
) -> dict[str, tuple[float, int]]:
    """How often each interval holds the truth, of those that were given, and how many were."""
    held: dict[str, list[bool]] = {}
    for seed in range(repetitions):
        rng = np.random.default_rng([7, seed])
        drawn = sampled(made, rng, prompts, samples, pool)
        groups = group(drawn)
        tilts = tilts_of(groups)
        more = (tilts.segment,) if isinstance(tilts, Tilts) else ()
        path, found = follow(groups, made.expert, None, len(drawn.keys), rng, more, resamples=500)
        all_figures = figures(made, path)
        if isinstance(tilts, Tilts):
            all_figures |= tilt_figures(made, path, follow_tilts(path, tilts, found[0][:, 0]))
        for name, (figure, truth) in all_figures.items():
            if isinstance(figure, Estimate):
                held.setdefault(name, []).append(figure.covers(truth))
    return {name: (float(np.mean(found)), len(found)) for name, found in held.items()}


WORLDS = {
    "few prompts a step": ((60, 2.0), 12, 8, None),
    "groups of two": ((30, 2.0), 32, 2, None),
    "prompts that come again": ((40, 2.5), 16, 8, 120),
    "the same prompts at every step": ((12, 2.5), 64, 8, 64),
    "few steps, many prompts": ((6, 2.0), 200, 4, None),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_C7_D5_A4_A10_intervals_hold_the_truth(name: str) -> None:
    (steps, last), prompts, samples, pool = WORLDS[name]
    found = coverage(world(steps, last), prompts, samples, pool, REPETITIONS)
    for quantity, (rate, count) in found.items():
        assert count > (0.1 if quantity.startswith("A10") else 0.8) * REPETITIONS, quantity
        assert rate > PROMISED - 2.0 * math.sqrt(PROMISED * (1.0 - PROMISED) / count), (quantity, rate)


def test_the_path_converges_to_the_truth() -> None:
    made = world(30, 2.5)
    drawn = sampled(made, np.random.default_rng(0), 1200, 8, None)
    path, _ = follow(group(drawn), made.expert, None, len(drawn.keys), np.random.default_rng(1), resamples=500)
    for figure, truth in figures(made, path).values():
        assert isinstance(figure, Estimate)
        assert figure.value == pytest.approx(truth, abs=0.5 if figure.unit == STEPS else 0.3)
    rates = path.implied_exchange_rates()[-1]
    assert isinstance(rates, Estimate)
    spread = float((made.rates(29) * (1.0 - made.rates(29))).mean())
    assert rates.value == pytest.approx(spread / (made.reward[-1] - made.expert), rel=0.06)
