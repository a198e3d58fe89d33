"""False alarms and detection of the flags, by simulation on finite policies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import brentq

from tests.flags import finite

RUNS, LOOKS = 60, 10
Found = list[dict[str, int]]


def simulated(run: Callable[[np.random.Generator], dict[str, int]], runs: int = RUNS) -> Found:
    return [run(np.random.default_rng([7, i])) for i in range(runs)]


def share(found: Found, rule: str | None = None) -> float:
    """Share of runs with any alarm (or one of `rule`)."""
    return sum(bool(alarms) if rule is None else rule in alarms for alarms in found) / len(found)


@pytest.mark.parametrize("sampled", [False, True])
def test_a_constant_reward_raises_no_flag_but_dead_groups(sampled: bool) -> None:
    """Nothing to learn: the policy only wobbles. That all groups are dead is true, and said at the first look."""

    def run(rng: np.random.Generator) -> dict[str, int]:
        world = finite.World(rng, constant=True)
        return finite.alarms(world, finite.jitter(world, world.near_expert(0.2), LOOKS, 0.1), "rl", sampled)

    found = simulated(run)
    assert all(alarms.pop("dead_groups") == 1 for alarms in found)
    assert share(found) <= 0.05


@pytest.mark.parametrize("sampled", [False, True])
def test_a_policy_that_stands_still_raises_no_flag(sampled: bool) -> None:
    """RL without effect, at parity exactly: what is measured changes by sampling alone. The hardest case for parity."""

    def run(rng: np.random.Generator) -> dict[str, int]:
        world = finite.World(rng)
        start = np.log(world.expert)
        return finite.alarms(world, [start] * (LOOKS + 1), "rl", sampled)

    assert share(simulated(run)) <= 0.05


@pytest.mark.parametrize("size", [0.05, 0.1, 0.2])
def test_sft_after_sft_raises_no_flag(size: float) -> None:
    def run(rng: np.random.Generator) -> dict[str, int]:
        world = finite.World(rng)
        optimum = np.log(world.expert + 1e-4)
        burnt_in = finite.jitter(world, optimum, 20, size)[-1]
        return finite.alarms(world, finite.jitter(world, burnt_in, LOOKS, size), "sft", sampled=False)

    assert share(simulated(run)) <= 0.05


@pytest.mark.parametrize("sampled", [False, True])
def test_rl_past_parity_is_detected_soon_after(sampled: bool) -> None:
    """From reward .58 to .9 over an expert of .7: parity is flagged after it is passed, never before."""
    delays = []

    def run(rng: np.random.Generator) -> dict[str, int]:
        world = finite.World(rng)
        start = world.near_expert(0.2) - 0.6 * world.reward
        path = finite.tilted(world, start, LOOKS, 2.5)
        found = finite.alarms(world, path, "rl", sampled, ["parity"])
        expert = float((world.expert * world.reward).sum(axis=1).mean())
        passed = next(i for i, logits in enumerate(path) if mean_reward(world, logits) > expert)
        delays.append(found.get("parity", LOOKS) - passed)
        return found

    found = simulated(run)
    assert share(found, "parity") >= 0.8
    assert np.median(delays) <= 0.3 * LOOKS


def mean_reward(world: finite.World, logits: np.ndarray) -> float:
    probabilities = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    return float((probabilities * world.reward).sum(axis=1).mean())


def test_a_rise_of_sft_loss_is_detected() -> None:
    """A third more SFT loss at the end."""

    def run(rng: np.random.Generator) -> dict[str, int]:
        world = finite.World(rng)
        return finite.alarms(
            world, finite.tilted(world, world.near_expert(0.2), LOOKS, 2.5), "rl", False, ["sft_loss_rise"]
        )

    assert share(simulated(run), "sft_loss_rise") >= 0.8


@pytest.mark.parametrize("kind", ["rl", "sft"])
@pytest.mark.parametrize("sampled", [False, True])
def test_a_fall_of_reward_is_detected_and_one_that_does_not_count_is_not(kind: str, sampled: bool) -> None:
    """From reward .7 down by .3; and by exactly a tenth of the range, the most that counts for nothing."""

    def run(fall: float) -> Callable[[np.random.Generator], dict[str, int]]:
        def once(rng: np.random.Generator) -> dict[str, int]:
            world = finite.World(rng)
            start = world.near_expert(0.2)
            path = finite.tilted(world, start, LOOKS, tilt_of(world, start, mean_reward(world, start) - fall))
            return finite.alarms(world, path if fall > 0.1 else [start, *[path[-1]] * LOOKS], kind, sampled,
                                 ["reward_fall"])  # fmt: skip

        return once

    assert share(simulated(run(0.3), 20), "reward_fall") >= 0.8
    assert share(simulated(run(0.1)), "reward_fall") <= 0.05


def tilt_of(world: finite.World, start: np.ndarray, reward: float) -> float:
    """The RL time at which the mean reward is `reward`."""
    return float(brentq(lambda time: mean_reward(world, start + time * world.reward) - reward, -20.0, 20.0))


@pytest.mark.parametrize("sampled", [False, True])
def test_mass_off_the_path_is_detected_and_the_path_itself_is_not(sampled: bool) -> None:
    def run(off_path: float) -> Callable[[np.random.Generator], dict[str, int]]:
        def once(rng: np.random.Generator) -> dict[str, int]:
            world = finite.World(rng)
            path = finite.tilted(world, world.near_expert(0.2), LOOKS, 1.0, off_path)
            return finite.alarms(world, path, "rl", sampled, ["off_path"])

        return once

    assert share(simulated(run(3.0), 20), "off_path") >= 0.8
    assert share(simulated(run(0.0), 40), "off_path") <= 0.05


def test_a_certain_cost_is_detected_where_it_is_certain() -> None:
    """A poor expert, well learned, and RL to a reward near 1: then no method keeps the SFT loss (D13)."""

    def run(rng: np.random.Generator) -> dict[str, int]:
        world = finite.World(rng, pass_rate=0.2)
        return finite.alarms(
            world, finite.tilted(world, world.near_expert(0.05), LOOKS, 8.0), "rl", False, ["certain_cost"]
        )

    assert share(simulated(run), "certain_cost") >= 0.8


@pytest.mark.parametrize("kind", ["rl", "sft"])
@pytest.mark.parametrize("sampled", [False, True])
def test_gradients_that_turn_against_each_other_are_detected(kind: str, sampled: bool) -> None:
    """From reward .58 past an expert of .7, whatever moves the policy there: below parity both agree, above they do not
    (D2)."""

    def run(rng: np.random.Generator) -> dict[str, int]:
        world = finite.World(rng)
        start = world.near_expert(0.2) - 0.6 * world.reward
        return finite.alarms(world, finite.tilted(world, start, LOOKS, 2.5), kind, sampled, ["gradient_angle"])

    assert share(simulated(run, 20), "gradient_angle") >= 0.8


def test_gradients_that_were_against_each_other_from_the_start_did_not_turn() -> None:
    def run(rng: np.random.Generator) -> dict[str, int]:
        world = finite.World(rng)
        start = world.near_expert(0.2) + 1.5 * world.reward
        return finite.alarms(world, finite.tilted(world, start, LOOKS, 2.5), "rl", False, ["gradient_angle"])

    assert share(simulated(run, 20), "gradient_angle") <= 0.05
