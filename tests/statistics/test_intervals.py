from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from interlace.estimate import THIS_RECIPE, Estimate, Unresolved
from interlace.statistics import intervals

from .simulation import REPEATS, coverage, is_nominal


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ------------------------------------------------------------------------------------------------------------ coverage


@pytest.mark.parametrize("num_prompts", [8, 512])
def test_mean_interval_covers_skewed_losses(rng, num_prompts):
    losses = rng.gamma(8.0, 0.1, size=(REPEATS, num_prompts))
    assert is_nominal(coverage([intervals.mean_interval(row, unit="nats") for row in losses], 0.8))


@pytest.mark.parametrize("num_prompts", [12, 16, 64, 256])
def test_losses_as_skewed_as_a_classifiers_cover(rng, num_prompts):
    """softplus of normal logits is what a label costs a classifier; log-normal losses of sigma 1 are more skewed."""
    logits = rng.normal(-1.5, 2.0, size=2_000_000)
    for draw, truth, least in (
        (lambda shape: np.logaddexp(0.0, rng.normal(-1.5, 2.0, size=shape)), np.logaddexp(0.0, logits).mean(), 0.92),
        (lambda shape: rng.lognormal(0.0, 1.0, size=shape), np.exp(0.5), 0.89),
    ):
        rows = draw((REPEATS, num_prompts))
        figures = [intervals.mean_interval(row, unit="nats", least=0.0) for row in rows]
        assert least <= coverage(figures, float(truth)) <= 0.97
        assert min(figure.lower for figure in figures) >= 0.0


@pytest.mark.parametrize("num_prompts", [12, 64])
def test_changes_of_such_losses_cover(rng, num_prompts):
    before = rng.normal(-1.5, 2.0, size=(REPEATS, num_prompts))
    after = before + rng.normal(0.3, 0.5, size=before.shape)
    many = rng.normal(-1.5, 2.0, size=2_000_000)
    truth = (np.logaddexp(0.0, many + rng.normal(0.3, 0.5, size=many.shape)) - np.logaddexp(0.0, many)).mean()
    pairs = zip(np.logaddexp(0.0, before), np.logaddexp(0.0, after), strict=True)
    assert 0.91 <= coverage([intervals.paired_change(b, a, unit="nats") for b, a in pairs], float(truth)) <= 0.97


@pytest.mark.parametrize(("num_prompts", "share"), [(32, 0.25), (64, 0.1), (128, 0.1)])
def test_a_change_that_few_prompts_carry_covers(rng, num_prompts, share):
    """A share of prompts moves by an exponential amount, the rest hardly. All upwards, Student t covers in 84 to 89 %;
    either way, Hall's interval in 84 to 87 %."""
    shape = (REPEATS, num_prompts)
    for truth, sides in ((share, 1.0), (0.0, rng.choice([-1.0, 1.0], size=shape))):
        change = (rng.random(shape) < share) * sides * rng.exponential(size=shape) + 0.02 * rng.standard_normal(shape)
        figures = [intervals.paired_change(np.zeros(num_prompts), row, unit="") for row in change]
        assert 0.93 <= coverage(figures, truth) <= 0.99


def test_a_change_is_the_hull_of_student_t_and_of_halls_interval(rng):
    for change in (rng.exponential(size=30), -rng.exponential(size=30)):
        plain, figure = intervals.mean_interval(change, unit=""), intervals.paired_change(0.0 * change, change, unit="")
        error, t = change.std(ddof=1) / 30**0.5, stats.t.ppf(0.975, 29)
        halls = [change.mean() - error * intervals.unskewed(end, change) for end in (t, -t)]
        assert figure.lower == pytest.approx(min(plain.lower, halls[0]))
        assert figure.upper == pytest.approx(max(plain.upper, halls[1]))
        assert figure.upper - figure.lower > plain.upper - plain.lower


def test_a_change_of_too_few_prompts_is_refused_and_none_is_0():
    before = np.arange(40.0)
    for changed in (1, 7):
        after = before + (before < changed)
        assert intervals.paired_change(before, after, unit="") == Unresolved(
            f"{changed} of 40 prompts changed, 8 are needed: measure more prompts"
        )
    assert isinstance(intervals.paired_change(before, before + (before < 8), unit=""), Estimate)
    rounded = intervals.paired_change(before, before + 1e-15 * (before < 3), unit="")  # none of them changed
    assert isinstance(rounded, Estimate)
    same = intervals.paired_change(before, before, unit="")
    assert (same.lower, same.value, same.upper) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("skewness", [-0.4, 0.0, 0.4])
def test_skewness_is_taken_off_by_halls_transformation(rng, skewness):
    """The transformed quantile, put into the cubic, gives the quantile back."""
    values = rng.normal(size=50) if skewness == 0.0 else np.sign(skewness) * rng.gamma(2.0, size=50)
    a = float(stats.skew(values)) / np.sqrt(50)
    for quantile in (-2.0, 2.0):
        t = intervals.unskewed(quantile, values)
        assert t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6 == pytest.approx(quantile)
        assert intervals.transformed(t, values) == pytest.approx(quantile)


def test_a_mean_of_losses_without_skewness_is_student_t():
    values = 5.0 + np.concatenate([np.arange(10.0), -np.arange(10.0)]) / 5
    plain, least = (intervals.mean_interval(values, unit="", least=end) for end in (None, 0.0))
    assert (plain.lower, plain.upper) == pytest.approx((least.lower, least.upper))
    assert least.method == "Student t over prompts, skewness taken off"


def test_mean_interval_covers_with_weights(rng):
    """The estimand is the weighted mean of the population, weights and values drawn together."""
    losses = rng.gamma(4.0, 0.2, size=(REPEATS, 200))
    weights = losses + rng.random((REPEATS, 200))  # E[w v] / E[w] = (E v^2 + E v / 2) / (E v + 1/2)
    figures = [intervals.mean_interval(v, unit="nats", weights=w) for v, w in zip(losses, weights, strict=True)]
    assert is_nominal(coverage(figures, (0.16 + 0.64 + 0.4) / (0.8 + 0.5)))


def test_paired_change_covers_and_is_narrower_than_unpaired(rng):
    prompt = rng.gamma(2.0, 0.5, size=(REPEATS, 100))
    before, after = (prompt + 0.1 * rng.standard_normal(prompt.shape) + shift for shift in (0.0, 0.05))
    figures = [intervals.paired_change(b, a, unit="nats") for b, a in zip(before, after, strict=True)]
    assert is_nominal(coverage(figures, 0.05))
    alone = intervals.mean_interval(after[0], unit="nats")
    assert width(figures[0]) < 0.4 * width(alone)


def test_ratio_interval_covers_nats_per_token(rng):
    tokens = rng.integers(1, 30, size=(REPEATS, 100)) * 1.0
    nats = tokens * 0.2 + 0.4 + rng.gamma(2.0, 0.1, size=tokens.shape)
    figures = [intervals.ratio_interval(n, t, unit="nats/token") for n, t in zip(nats, tokens, strict=True)]
    assert is_nominal(coverage(figures, 0.2 + 0.6 / 15.0))


def test_paired_ratio_change_covers(rng):
    tokens = rng.integers(1, 30, size=(REPEATS, 100)) * 1.0
    before = rng.gamma(2.0, 0.5, size=tokens.shape)
    after = before + 0.02 * tokens + 0.1 * rng.standard_normal(tokens.shape)
    rows = zip(before, after, tokens, strict=True)
    figures = [intervals.paired_ratio_change(b, a, t, unit="nats/token") for b, a, t in rows]
    assert is_nominal(coverage(figures, 0.02))


@pytest.mark.parametrize("num_seeds", [2, 5])
def test_seed_interval_covers(rng, num_seeds):
    figures = [intervals.seed_interval(row.tolist(), unit="nats") for row in rng.normal(0.3, 0.1, (REPEATS, num_seeds))]
    assert is_nominal(coverage(figures, 0.3))
    assert figures[0].scope == THIS_RECIPE and figures[0].n == num_seeds


def test_influence_interval_covers_the_matched_tilt(rng):
    """A10's tilt part, pass rates p_x at the start: E log(1 + p (e^tau - 1)) - tau R_D at the tau that earns R."""
    starts, rewards, experts = prompts_before_and_after(rng, (REPEATS, 128))
    times, tilts = matched_tilt(starts, rewards, experts, np.full(starts.shape, 1.0))
    many = matched_tilt(*(sample[None, :] for sample in prompts_before_and_after(rng, 400_000)), np.ones((1, 1)))
    for (values, influences), (truth, _) in zip((times, tilts), many, strict=True):
        figures = [intervals.influence_interval(float(v), i, unit="") for v, i in zip(values, influences, strict=True)]
        assert is_nominal(coverage(figures, float(truth[0])))


def test_influence_interval_agrees_with_the_bootstrap(rng):
    from interlace.statistics.bootstrap import bootstrap_interval, prompt_weights

    starts, rewards, experts = (sample[None, :] for sample in prompts_before_and_after(rng, 400))
    weights = prompt_weights(rng, 400, 2000)
    points = matched_tilt(starts, rewards, experts, np.ones((1, 400)))
    resamples = matched_tilt(starts, rewards, experts, weights * 400)
    for (value, influence), (samples, _) in zip(points, resamples, strict=True):
        delta = intervals.influence_interval(float(value[0]), influence[0], unit="")
        resampled = bootstrap_interval(samples, float(value[0]), num_prompts=400, unit="")
        assert width(delta) == pytest.approx(width(resampled), rel=0.1)
        assert delta.lower == pytest.approx(resampled.lower, abs=0.1 * width(delta))


def prompts_before_and_after(rng, shape):
    """Pass rates before and after, and the expert's: three arrays of `shape`."""
    start = rng.beta(2.0, 2.0, size=shape)
    after = np.clip(start + 0.2 * rng.random(shape), 0.0, 1.0)
    return start, after, rng.beta(6.0, 2.0, size=shape)


def matched_tilt(starts, rewards, experts, weights):
    """(value, influence) of the matched tau and of the tilt part, row by row: Newton on E_x[R_x(pi_tau) - R_x] = 0."""

    def average(values):
        return (weights * values).sum(-1, keepdims=True) / np.broadcast_to(weights, values.shape).sum(-1, keepdims=True)

    tau = np.zeros((weights.shape[0], 1))
    for _ in range(50):
        passes = starts * np.exp(tau) / (1 + starts * np.expm1(tau))
        tau = tau - average(passes - rewards) / average(passes * (1 - passes))
    partition = np.log1p(starts * np.expm1(tau)) - tau * experts
    of_time = (rewards - passes) / average(passes * (1 - passes))
    of_tilt = partition - average(partition) + average(passes - experts) * of_time
    return (tau[:, 0], of_time), (average(partition)[:, 0], of_tilt)


# -------------------------------------------------------------------------------------------------------------- values


def test_mean_interval_is_the_t_interval(rng):
    values = rng.normal(size=20)
    expected = stats.t.interval(0.9, 19, values.mean(), stats.sem(values))
    figure = intervals.mean_interval(values, unit="nats/response", level=0.9)
    assert (figure.lower, figure.upper) == pytest.approx(expected) and figure.value == pytest.approx(values.mean())
    assert (figure.level, figure.n, figure.unit, figure.method) == (0.9, 20, "nats/response", "Student t over prompts")


def test_equal_weights_are_no_weights(rng):
    values = rng.normal(size=20)
    assert intervals.mean_interval(values, unit="", weights=np.full(20, 3.0)) == intervals.mean_interval(
        values, unit=""
    )


def test_ratio_with_equal_denominators_is_a_mean(rng):
    values = rng.normal(size=20)
    ratio, mean = (
        intervals.ratio_interval(values, np.full(20, 2.0), unit=""),
        intervals.mean_interval(values / 2, unit=""),
    )
    assert (ratio.value, ratio.lower, ratio.upper) == pytest.approx((mean.value, mean.lower, mean.upper))


def test_no_variation_has_no_width_and_says_so():
    figure = intervals.mean_interval(np.full(10, 0.5), unit="nats")
    assert (figure.lower, figure.upper) == (0.5, 0.5) and figure.method.endswith("; no variation between prompts")


# ------------------------------------------------------------------------------------------------------------ refusals

ONE, BAD = np.ones(1), np.array([1.0, np.nan, np.inf, 2.0])
FINE = np.array([1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize(
    ("figure", "reason"),
    [
        (intervals.mean_interval(ONE, unit=""), "an interval needs at least 2 prompts, got 1"),
        (intervals.mean_interval(np.ones(0), unit=""), "an interval needs at least 2 prompts, got 0"),
        (intervals.mean_interval(BAD, unit=""), "2 of 4 prompts have values that are not finite"),
        (intervals.mean_interval(np.array([1.0, np.nan]), unit=""), "1 of 2 prompts has a value that is not finite"),
        (intervals.mean_interval(FINE, unit="", least=0.0), "an interval needs at least 12 prompts, got 4"),
        (intervals.ratio_interval(FINE, FINE, unit="", least=0.0), "an interval needs at least 12 prompts, got 4"),
        (intervals.paired_change(FINE, FINE, unit=""), "an interval needs at least 12 prompts, got 4"),
        (intervals.paired_change(BAD, BAD, unit=""), "2 of 4 prompts have values that are not finite"),
        (intervals.ratio_interval(FINE, BAD, unit=""), "2 of 4 prompts have values that are not finite"),
        (intervals.ratio_interval(FINE, 0 * FINE, unit=""), "the denominator adds up to 0"),
        (intervals.paired_ratio_change(BAD, FINE, FINE, unit=""), "2 of 4 prompts have values that are not finite"),
        (intervals.influence_interval(math.inf, FINE, unit=""), "the figure itself is inf"),
        (intervals.influence_interval(0.0, BAD, unit=""), "2 of 4 prompts have values that are not finite"),
        (intervals.seed_interval([0.3], unit=""), "an interval needs at least 2 seeds, got 1"),
        (intervals.seed_interval([0.3, math.nan], unit=""), "1 of 2 seeds has a value that is not finite"),
    ],
)
def test_what_cannot_be_had_is_unresolved_with_its_reason(figure, reason):
    assert figure == Unresolved(reason)


def width(figure):
    assert isinstance(figure, Estimate)
    return figure.upper - figure.lower


def test_prompts_without_a_part_in_a_ratio_are_not_counted():
    """One wrong response among 100 prompts, or 11 of them, tell too little of the loss on wrong ones; 12 do."""
    for carriers in (1, 11):
        share = (np.arange(100) < carriers).astype(float)
        assert isinstance(intervals.ratio_interval(3.0 * share, share, unit="nats", least=0.0), Unresolved)
        assert isinstance(intervals.paired_ratio_change(share, 2.0 * share, share, unit="nats"), Unresolved)
    share = (np.arange(100) < 12).astype(float)
    loss = share * np.random.default_rng(0).gamma(2.0, size=100)
    alone = intervals.ratio_interval(loss[:12], share[:12], unit="nats", least=0.0)
    assert intervals.ratio_interval(loss, share, unit="nats", least=0.0) == alone and alone.n == 12


def test_the_change_of_a_part_covers_with_few_carriers():
    """14 of 100 prompts have a wrong response: a change on those covers in about 95 %, not in a third less."""
    rng, covered, share = np.random.default_rng(3), 0, (np.arange(100) < 14).astype(float)
    for _ in range(1000):
        change = share * rng.normal(1.0, 0.5, 100)
        covered += intervals.paired_ratio_change(np.zeros(100), change, share, unit="nats").covers(1.0)
    assert 925 <= covered <= 975
