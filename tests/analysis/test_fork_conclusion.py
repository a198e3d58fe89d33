"""The sentence about forks: what is resolved and who did it, or how many more forks would tell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from interlace.analysis.fork_conclusion import conclusion, forks_needed
from interlace.estimate import Estimate, Unresolved


def part(value: float, half: float, unit: str = "nats/response") -> Estimate:
    return Estimate(value, value - half, value + half, 0.95, 4, "jackknife", unit)


def test_what_is_resolved_is_said_with_its_interval_and_what_is_not_is_named() -> None:
    parts = {"change": part(0.4, 0.1), "drift": part(0.33, 0.1), "drift_by_reward": part(0.35, 0.1)}
    parts |= {"reward_free_drift": part(-0.02, 0.1), "diffusion": part(0.05, 0.02), "unresolved": part(0.02, 0.1)}
    said = conclusion("sft_loss", parts, 4, 20, 100)
    assert said == (
        "Change of SFT loss over 20 of the stage's 100 steps (this run: +0.40 [+0.30, +0.50] nats/response): "
        "the reward's pull made +0.35 [+0.25, +0.45] nats/response (any seed would do it), "
        "the noise of a single run (diffusion) made +0.05 [+0.03, +0.07] nats/response (averaged weights are without "
        "it); not resolved: reward-free drift."
    )


def test_a_rest_that_is_resolved_is_named() -> None:
    parts = {"change": part(0.6, 0.1), "drift": part(0.33, 0.1), "diffusion": part(0.05, 0.02)}
    said = conclusion("sft_loss", parts | {"unresolved": part(0.22, 0.1)}, 4, 20, 20)
    assert "The rest, +0.22 [+0.12, +0.32] nats/response, is resolved too: it is this run's own" in said
    none = {"drift": part(0.1, 0.15), "diffusion": part(0.0, 0.01), "unresolved": part(-0.3, 0.1)}
    assert "no part of it is resolved" in conclusion("reward", none, 4, 20, 20)
    assert "The rest, \u22120.30 [\u22120.40, \u22120.20]" in conclusion("reward", none, 4, 20, 20)
    assert "The rest" not in conclusion("reward", none | {"unresolved": Unresolved("few")}, 4, 20, 20)


def test_drift_that_only_its_division_hides_is_said() -> None:
    parts = {"drift": part(0.17, 0.06), "drift_by_reward": part(0.5, 1.0), "reward_free_drift": part(-0.4, 1.0)}
    said = conclusion("sft_loss", parts | {"diffusion": part(0.07, 0.04)}, 4, 5, 20)
    assert "drift made +0.17 [+0.11, +0.23]" in said
    assert said.endswith("; not resolved: how much of the drift is the reward's.")


def test_where_nothing_is_resolved_it_says_what_would_tell() -> None:
    said = conclusion("reward", {"drift": part(0.1, 0.15, ""), "diffusion": Unresolved("few")}, 4, 20, 20)
    assert "over 20 steps: no part of it is resolved. About" in said and "would probably resolve drift" in said
    small = {"drift": part(0.001, 0.15, ""), "diffusion": part(0.0, 0.01, "")}
    assert "Even 64 forks" in conclusion("reward", small, 4, 20, 20)


@pytest.mark.parametrize(("value", "half", "count"), [(0.1, 0.15, 4), (0.05, 0.09, 6)])
def test_as_many_forks_as_it_says_resolve_it_in_about_80_percent(value: float, half: float, count: int) -> None:
    """Against simulated forks."""
    needed = forks_needed(part(value, half), count)
    assert needed is not None and needed > count
    scatter = half * math.sqrt(count) / stats.t.ppf(0.975, count - 1)
    rng = np.random.default_rng(0)
    drawn = rng.normal(value, scatter, (20_000, needed))
    found = drawn.mean(1) > stats.t.ppf(0.975, needed - 1) * drawn.std(1, ddof=1) / math.sqrt(needed)
    assert 0.76 < found.mean() < 0.9


def test_no_number_of_forks_resolves_what_is_exactly_0() -> None:
    assert forks_needed(part(0.0, 0.0), 4) is None
    still, small = part(0.0, 0.0, ""), part(0.1, 0.15, "")
    assert conclusion("reward", {"drift": still, "diffusion": still}, 4, 20, 20) == (
        "Change of reward over 20 steps: nothing moved, in any of 4 forks."
    )
    assert "would probably resolve drift" in conclusion("reward", {"drift": small, "diffusion": still}, 4, 20, 20)
    unknown = conclusion("reward", {"drift": still, "diffusion": Unresolved("few")}, 4, 20, 20)
    assert "nothing moved" not in unknown and "no part of it is resolved" in unknown
