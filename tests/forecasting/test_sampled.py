"""Forecasts from sampled rewards: intervals against the population, influences against what another prompt changes."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.controllers.exchange_rate import Later, gain_later
from interlace.estimate import Estimate
from interlace.forecasting import Curve, best_stop, facts_of, preflight, prompt_paths, sft_after_rl, start_of
from interlace.forecasting.pass_rates import NODE_PLACES, PLACES, deconvolved
from interlace.theory.paths import PathOptions

from .starts import make_law, make_start, sampled

REPEATS = 60


def figures_of(held, scores):
    """Levels, and the natural path where reward has risen by .2."""
    start = start_of(held, scores)
    facts, curve = facts_of(start), Curve(prompt_paths(start, "natural", PathOptions()))
    point = curve.at(float(curve.reward[0]) + 0.2)
    return {
        "reward": facts.reward,
        "variance": facts.reward_variance,
        "sft_loss": point.sft_loss_change,
        "right": point.right,
        "kl": point.kl,
        "gain": best_stop(curve, 0.5).gain,
    }


@pytest.mark.parametrize(
    ("beta", "mass", "samples"),
    [((30.0, 30.0), 0.02, 8), ((1.0, 1.0), 0.5, 4), ((2.0, 6.0), 0.02, 4)],
)
def test_intervals_cover_the_population_however_alike_its_pass_rates(beta, mass, samples):
    rng = np.random.default_rng(5)
    truth = {name: figure.value for name, figure in figures_of(*make_law(rng, 20_000, beta, mass)).items()}
    covered = dict.fromkeys(truth, 0)
    for _ in range(REPEATS):
        held, scores = make_law(rng, 64, beta, mass)
        for name, figure in figures_of(held, sampled(rng, scores, samples)).items():
            covered[name] += figure.covers(truth[name])
    least = 0.95 - 3.0 * np.sqrt(0.95 * 0.05 / REPEATS)
    assert min(covered.values()) >= least * REPEATS, covered


@pytest.fixture(scope="module")
def counted():
    """Counts of right samples among 6 of 40 prompts, and the bounds of their pass rates."""
    rng = np.random.default_rng(1)
    low, high = rng.uniform(0.0, 0.2, 40), rng.uniform(0.7, 1.0, 40)
    return rng.binomial(6, rng.uniform(low, high)).astype(float), low, high


def test_an_influence_is_what_one_more_prompt_changes(counted):
    """Of a mean of posterior means over 50 copies of all prompts, when one of them comes once more."""
    right, low, high = counted
    rates = deconvolved(right, 6, low, high)

    def mean(prompts):
        found = deconvolved(right[prompts], 6, low[prompts], high[prompts])
        return float((found.posterior * found.rates**2).sum(axis=1).mean())

    copies = np.tile(np.arange(40), 50)
    own = (rates.posterior * rates.rates**2).sum(axis=1)
    influence = own - own.mean() + rates.through_law(rates.rates**2)
    for prompt in (0, 7, 23):
        changed = (mean(np.append(copies, prompt)) - mean(copies)) * (copies.size + 1)
        assert influence[prompt] == pytest.approx(changed, rel=0.03, abs=2e-3)


def test_nodes_tell_what_the_grid_tells_of_functions_that_hardly_bend(counted):
    rates = deconvolved(counted[0], 6, *counted[1:])
    known, told = (
        rates.through_law(np.log1p(5.0 * rates.rates)),
        rates.through_law_of_nodes(np.log1p(5.0 * rates.at_nodes)),
    )
    assert np.corrcoef(known, told)[0, 1] > 0.999 and told.std() == pytest.approx(known.std(), rel=0.02)
    assert (NODE_PLACES[0], NODE_PLACES[-1]) == pytest.approx((PLACES[0], PLACES[-1]))


def test_contributions_leave_the_path_where_it_is():
    rng = np.random.default_rng(3)
    held, scores = make_law(rng, 40, (4.0, 4.0), 0.3)
    start = start_of(held, sampled(rng, scores, 4))
    for model in ("systematic", "natural", "group_normalised"):
        paths = prompt_paths(start, model, PathOptions())
        given = paths.contributions
        for name in ("reward", "loss", "right", "wrong", "kl"):
            own, all_in = getattr(paths.own, name), getattr(given, name)
            assert all_in.mean(axis=-1) == pytest.approx(own.mean(axis=-1), abs=1e-9)
            assert all_in[0] == pytest.approx(own[0], abs=1e-9) or name == "reward"
        assert given.reward[0].std() > 1.5 * paths.own.reward[0].std()


def test_levels_are_those_of_the_samples():
    rng = np.random.default_rng(4)
    held, scores = make_start(rng, 50, other=0.5)
    seen = sampled(rng, scores, 6)
    facts = facts_of(start_of(held, seen))
    assert facts.reward.value == pytest.approx(seen.reward_values.mean())
    assert facts.reward_variance.value == pytest.approx(seen.reward_values.var(axis=1, ddof=1).mean())
    assert 0.0 <= facts.never_solved.lower <= facts.never_solved.upper <= 1.0


def test_what_reads_the_intervals_goes_on_working():
    rng = np.random.default_rng(6)
    held, scores = make_start(rng, 40, other=0.5)
    seen = sampled(rng, scores, 6)
    start = start_of(held, seen)
    after = sft_after_rl(prompt_paths(start, "natural", PathOptions()), 0.5)
    assert isinstance(after.first_cost, Estimate) and isinstance(after.whole_cost, Estimate)
    later = gain_later(held, seen, 0.3, 0.5)
    assert isinstance(later, Later) and later.gain.lower < later.gain.value < later.gain.upper
    assert len(preflight(start, exchange_rate=0.5).forecasts) == 3
