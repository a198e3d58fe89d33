"""B8 by exact expectation: every update of a finite law, every pair, every set of runs, is enumerated."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlace.errors import DataError
from interlace.theory import landscape as B

from .landscapes import rotated

seeds = st.integers(0, 2**32 - 1)


class Cubic:
    """g.d + d^T H d/2 + T[d, d, d]/6 around the state, H indefinite, T symmetric; T = 0: a quadratic."""

    def __init__(self, rng, dimension, third=0.0):
        self.gradient, self.hessian = rng.normal(size=dimension), rotated(rng, rng.normal(size=dimension))
        tensor = rng.normal(size=(dimension,) * 3)
        self.third = third * sum(tensor.transpose(axes) for axes in itertools.permutations(range(3))) / 6.0

    def __call__(self, d):
        return float(self.gradient @ d + d @ self.hessian @ d / 2.0 + np.einsum("ijk,i,j,k->", self.third, d, d, d) / 6)


class Law:
    """Finitely many updates with their probabilities."""

    def __init__(self, rng, dimension, size=4, symmetric=False):
        self.updates = rng.normal(size=(size, dimension))
        weights = rng.random(size) + 0.05
        if symmetric:
            mean = rng.normal(size=dimension)
            self.updates = np.concatenate([mean + self.updates, mean - self.updates])
            weights = np.concatenate([weights, weights])
        self.probabilities = weights / weights.sum()

    def expect(self, function, copies=1):
        """E function(d1, ..., dn) over independent updates: a loop over all of them."""
        return sum(
            math.prod(self.probabilities[i] for i in chosen) * function(*(self.updates[i] for i in chosen))
            for chosen in itertools.product(range(len(self.updates)), repeat=copies)
        )

    @property
    def mean(self):
        return self.expect(lambda d: d)

    @property
    def covariance(self):
        return self.expect(lambda d: np.outer(d - self.mean, d - self.mean))


def terms(loss, law):
    return B.drift_and_diffusion(loss.gradient, loss.hessian, law.mean, law.covariance)


def pair_change(loss):
    return lambda first, second: B.diffusion_from_pair(loss(first), loss(second), loss((first + second) / 2.0))


@given(seeds, st.integers(1, 4))
def test_B8_drift_and_diffusion_add_up_on_a_quadratic(seed, dimension):
    rng = np.random.default_rng(seed)
    loss, law = Cubic(rng, dimension), Law(rng, dimension)
    drift, diffusion = terms(loss, law)
    assert drift == pytest.approx(loss(law.mean), rel=1e-9, abs=1e-12)
    assert drift + diffusion == pytest.approx(law.expect(loss), rel=1e-9, abs=1e-12)


@given(seeds, st.integers(1, 4))
def test_B8_two_updates_tell_the_terms_apart(seed, dimension):
    rng = np.random.default_rng(seed)
    loss, law = Cubic(rng, dimension), Law(rng, dimension)
    drift, diffusion = terms(loss, law)
    curvature_term = law.expect(lambda a, b: a @ loss.hessian @ b / 2.0, copies=2)
    assert drift - loss.gradient @ law.mean == pytest.approx(curvature_term, rel=1e-9, abs=1e-12)
    assert law.expect(lambda a, b: (a - b) @ loss.hessian @ (a - b) / 4.0, copies=2) == pytest.approx(
        diffusion, abs=1e-11
    )
    assert law.expect(pair_change(loss), copies=2) == pytest.approx(diffusion, rel=1e-9, abs=1e-11)


@given(seeds, st.integers(1, 3))
def test_B8_is_third_order_on_a_cubic(seed, dimension):
    """Updates h times as large leave an error h^3 times as large, in the sum and in the three forwards alike."""
    rng = np.random.default_rng(seed)
    loss, law = Cubic(rng, dimension, third=1.0), Law(rng, dimension)
    errors = []
    for _ in range(2):
        drift, diffusion = terms(loss, law)
        errors.append((law.expect(loss) - drift - diffusion, law.expect(pair_change(loss), copies=2) - diffusion))
        law.updates = law.updates / 8.0
    assert np.allclose(np.divide(errors[0], 512.0), errors[1], rtol=1e-6, atol=1e-12)


@given(seeds, st.integers(1, 3))
def test_B8_three_forwards_show_what_the_noise_does_to_third_order_if_it_is_not_skewed(seed, dimension):
    """E L(theta + d) - L(theta + E d): tr(H Cov d)/2 misses the third-order part that drift and noise share."""
    rng = np.random.default_rng(seed)
    loss, law = Cubic(rng, dimension, third=1.0), Law(rng, dimension, size=2, symmetric=True)
    by_noise = law.expect(loss) - loss(law.mean)
    assert law.expect(pair_change(loss), copies=2) == pytest.approx(by_noise, rel=1e-9, abs=1e-11)
    shared = np.einsum("ijk,i,jk->", loss.third, law.mean, law.covariance) / 2.0
    assert by_noise - terms(loss, law).diffusion == pytest.approx(shared, rel=1e-9, abs=1e-11)


@given(seeds, st.integers(1, 4), st.integers(1, 4))
def test_B8_averaging_runs_leaves_diffusion_over_their_number(seed, dimension, num_runs):
    rng = np.random.default_rng(seed)
    loss, law = Cubic(rng, dimension), Law(rng, dimension, size=3)
    drift, diffusion = terms(loss, law)
    averaged = law.expect(lambda *runs: loss(np.mean(runs, axis=0)), copies=num_runs)
    assert averaged == pytest.approx(drift + B.averaged_diffusion(diffusion, num_runs), rel=1e-9, abs=1e-11)
    if num_runs > 1:
        mean_loss = law.expect(lambda *runs: float(np.mean([loss(run) for run in runs])), copies=num_runs)
        assert B.drift_loss(mean_loss, averaged, num_runs) == pytest.approx((drift, diffusion), rel=1e-9, abs=1e-10)


def test_B8_diffusion_has_the_sign_of_the_curvature_that_the_noise_meets():
    hessian, still = np.diag([1.0, -3.0]), np.zeros(2)
    along = B.drift_and_diffusion(still, hessian, still, np.diag([1.0, 0.0])).diffusion
    across = B.drift_and_diffusion(still, hessian, still, np.diag([0.0, 1.0])).diffusion
    assert (along, across) == (0.5, -1.5)


def test_B8_without_noise_there_is_no_diffusion_and_without_curvature_neither():
    gradient, hessian, update = np.array([1.0, -2.0]), np.array([[2.0, 1.0], [1.0, 0.0]]), np.array([0.5, 0.25])
    assert B.drift_and_diffusion(gradient, hessian, update, np.zeros((2, 2))) == (0.0 + 0.375, 0.0)
    assert B.drift_and_diffusion(gradient, np.zeros((2, 2)), update, np.eye(2)) == (0.0, 0.0)
    assert B.diffusion_from_pair(1.25, 1.25, 1.25) == 0.0


def test_B8_fails_if_the_two_updates_are_not_independent():
    """Twice the same update, and opposite ones: no diffusion, and twice too much."""
    loss, law = Cubic(np.random.default_rng(0), 2), Law(np.random.default_rng(1), 2)
    diffusion = terms(loss, law).diffusion
    assert law.expect(lambda d: pair_change(loss)(d, d)) == pytest.approx(0.0, abs=1e-12)
    mirrored = law.expect(lambda d: pair_change(loss)(d, 2.0 * law.mean - d))
    assert mirrored == pytest.approx(2.0 * diffusion, rel=1e-9)


def test_B8_diffusion_adds_up_where_nothing_restores():
    """Reward pulls x back and does not see y; both get noise of +-.1 a step. All 2^8 runs of 4 steps, L = x^2 + y^2."""
    totals = {steps: np.zeros(2) for steps in range(1, 5)}
    for signs in itertools.product([-0.1, 0.1], repeat=8):
        point = np.zeros(2)
        for steps in range(1, 5):
            point = np.array([0.5, 1.0]) * point + signs[2 * steps - 2 : 2 * steps]
            totals[steps] += point**2 / 2**8
    restored, free = np.array(list(totals.values())).T
    diffusion = B.drift_and_diffusion(np.zeros(1), np.array([[2.0]]), np.zeros(1), np.array([[0.01]])).diffusion
    assert free == pytest.approx(diffusion * np.arange(1, 5)) and (restored < 0.01 / (1 - 0.25)).all()


# ------------------------------------------------------------------------------------------------------------- momentum


def momentum_updates(noise, momentum):
    """Total displacement after each of the steps that see `noise`, and at the end of all time: a loop."""
    buffer = total = 0.0
    shown = []
    for gradient in (*noise, *np.zeros(3000)):
        buffer = momentum * buffer + (1.0 - momentum) * gradient
        total += buffer
        shown.append(total)
    return shown[len(noise) - 1], shown[-1]


@pytest.mark.parametrize(("momentum", "num_steps"), [(0.0, 1), (0.0, 7), (0.5, 1), (0.9, 1), (0.9, 30), (0.95, 60)])
def test_B8_momentum_hides_part_of_the_noise_of_a_short_fork(momentum, num_steps):
    """Unit noise at each step alone: squares of what it has moved by then add up, independent as they are."""
    shown = [momentum_updates(np.eye(num_steps)[i], momentum) for i in range(num_steps)]
    now, in_the_end = (math.fsum(x * x for x in column) for column in zip(*shown, strict=True))
    assert in_the_end == pytest.approx(num_steps, rel=1e-12)
    assert B.noise_share(momentum, num_steps) == pytest.approx(now / in_the_end, rel=1e-9)


def test_B8_one_step_shows_one_minus_momentum_squared():
    for momentum in (0.0, 0.5, 0.9, 0.99, 0.999999):
        assert B.noise_share(momentum) == pytest.approx((1.0 - momentum) ** 2, rel=1e-9)


def test_B8_as_first_stated_is_wrong_that_a_fork_of_three_over_one_minus_momentum_steps_shows_the_noise():
    """h = 3/(1 - b) shows 53 to 57 % of it, 15/(1 - b) 90 %; one step more at 3/(1 - b) adds 90 % of its share."""
    for momentum in (0.9, 0.95, 0.99, 0.999):
        horizon = round(3.0 / (1.0 - momentum))
        assert 0.53 < B.noise_share(momentum, horizon) < 0.57
        totals = [h * B.noise_share(momentum, h) for h in (horizon, horizon + 1)]
        assert 0.9 < totals[1] - totals[0] < 0.93
        assert B.noise_share(momentum, 5 * horizon) == pytest.approx(0.9, abs=0.01)
        long = 1000 * horizon
        assert B.noise_share(momentum, long) == pytest.approx(1.0 - 1.5 / (long * (1.0 - momentum)), abs=1e-4)


def test_B8_momentum_that_two_forks_share_is_booked_as_drift():
    """One step from a buffer with old noise: the pair's difference sees the fresh noise alone."""
    buffer, momentum = 5.0, 0.9
    fresh = [-1.0, 1.0]
    updates = [momentum * buffer + (1.0 - momentum) * gradient for gradient in fresh]
    pairs = [(a - b) ** 2 / 4.0 for a in updates for b in updates]
    assert np.mean(pairs) == pytest.approx(0.5 * (1.0 - momentum) ** 2)
    assert np.mean([a * b / 2.0 for a in updates for b in updates]) == pytest.approx(0.5 * (momentum * buffer) ** 2)


# ----------------------------------------------------------------------------------------------- arguments and answers


def test_a_batch_of_states_is_the_leading_axes():
    rng = np.random.default_rng(0)
    losses, law = [Cubic(rng, 3) for _ in range(2)], Law(rng, 3)
    gradients, hessians = np.array([x.gradient for x in losses]), np.array([x.hessian for x in losses])
    together = B.drift_and_diffusion(gradients, hessians, law.mean[None], law.covariance[None])
    for i, loss in enumerate(losses):
        alone = terms(loss, law)
        assert all(type(part) is float for part in alone)
        assert (together.drift[i], together.diffusion[i]) == pytest.approx(alone, rel=1e-12)
    assert B.averaged_diffusion(1.0, np.array([1.0, 4.0])).tolist() == [1.0, 0.25]
    assert B.drift_loss(np.array([1.0, 2.0]), 1.0, 2).diffusion.tolist() == [0.0, 2.0]
    assert B.diffusion_from_pair(np.ones(2), 1.0, np.zeros(2)).tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: B.averaged_diffusion(1.0, 0.5),
            "num_runs must be at least 1. Got 0.5. Count the runs whose weights are",
        ),
        (
            lambda: B.drift_loss(1.0, 1.0, 1),
            "num_runs must be at least 2. Got 1. One run cannot tell its diffusion from",
        ),
        (
            lambda: B.noise_share(1.0, 3),
            "momentum must be at least 0 and below 1. Got 1.0. Give the optimiser's first-m",
        ),
        (lambda: B.noise_share(0.9, 0), "num_steps must be at least 1. Got 0. Count the steps of a fork."),
    ],
)
def test_arguments_that_break_their_rule_are_refused(call, message):
    with pytest.raises(DataError) as refusal:
        call()
    assert message in str(refusal.value)
