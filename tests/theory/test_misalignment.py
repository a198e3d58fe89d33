"""B7 against explicit gradients and subspaces; random subspaces against Monte Carlo and known laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from interlace.errors import DataError
from interlace.theory import misalignment as M

seeds = st.integers(0, 2**32 - 1)


def basis(rng, dimension, rank):
    return np.linalg.qr(rng.normal(size=(dimension, rank)))[0]


def gradient_of_share(rng, span, outside):
    """A unit vector with that share of its squared norm outside the span."""
    inside = span @ rng.normal(size=span.shape[1])
    rest = rng.normal(size=span.shape[0])
    rest -= span @ (span.T @ rest)
    return math.sqrt(1.0 - outside) * inside / np.linalg.norm(inside) + math.sqrt(outside) * rest / np.linalg.norm(rest)


def outside(span, gradient):
    rest = gradient - span @ (span.T @ gradient)
    return float(rest @ rest)


def largest_singular_value(first, second):
    return float(np.linalg.svd(first.T @ second, compute_uv=False)[0])


@given(seeds, st.integers(4, 9), st.integers(1, 3), st.integers(1, 3), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_B7_bounds_the_cosine(seed, dimension, rank_sft, rank_rl, outside_sft, outside_rl):
    rng = np.random.default_rng(seed)
    span_sft, span_rl = basis(rng, dimension, rank_sft), basis(rng, dimension, rank_rl)
    sigma = largest_singular_value(span_sft, span_rl)
    for _ in range(5):
        g_sft = gradient_of_share(rng, span_sft, outside_sft**3)
        g_rl = gradient_of_share(rng, span_rl, outside_rl**3)
        bound = M.cosine_bound(sigma, outside(span_sft, g_sft), outside(span_rl, g_rl))
        assert abs(float(g_sft @ g_rl)) <= bound + 1e-9


@pytest.mark.parametrize(("dimension", "rank_sft", "rank_rl"), [(4, 1, 1), (4, 2, 1), (5, 1, 3), (7, 3, 2), (9, 4, 4)])
@given(seeds, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_B7_is_attained_wherever_it_is_below_one(dimension, rank_sft, rank_rl, seed, total, part):
    """The two nearest directions u, v of the spans, each turned towards the other within their plane."""
    rng = np.random.default_rng(seed)
    span_sft, span_rl = basis(rng, dimension, rank_sft), basis(rng, dimension, rank_rl)
    left, sigma, right = np.linalg.svd(span_sft.T @ span_rl)
    u, v = span_sft @ left[:, 0], span_rl @ right[0]
    assume(sigma[0] < 1.0 - 1e-6)
    apart = math.acos(sigma[0])
    turn_u, turn_v = total * part * apart, total * (1.0 - part) * apart
    g_sft = math.cos(turn_u) * u + math.sin(turn_u) * unit(v - (u @ v) * u)
    g_rl = math.cos(turn_v) * v + math.sin(turn_v) * unit(u - (u @ v) * v)
    assert outside(span_sft, g_sft) == pytest.approx(math.sin(turn_u) ** 2, abs=1e-9)
    assert outside(span_rl, g_rl) == pytest.approx(math.sin(turn_v) ** 2, abs=1e-9)
    bound = M.cosine_bound(float(sigma[0]), math.sin(turn_u) ** 2, math.sin(turn_v) ** 2)
    assert float(g_sft @ g_rl) == pytest.approx(bound, rel=1e-7)
    assert float(-g_sft @ g_rl) == pytest.approx(-bound, rel=1e-7)  # the sign is free: it bounds the absolute value


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_B7_as_first_stated_is_wrong_that_it_is_attained_where_it_reads_one():
    """One direction each, the same one; half of g_S outside it, nothing of g_R: the cosine IS .707, the bound 1."""
    bound = M.cosine_bound(1.0, 0.5, 0.0)
    direction = np.array([1.0, 0.0, 0.0, 0.0])
    rng = np.random.default_rng(0)
    for _ in range(20):
        g_sft = gradient_of_share(rng, direction[:, None], 0.5)
        assert abs(float(g_sft @ direction)) == pytest.approx(math.sqrt(0.5)) and bound == 1.0


def test_B7_values_and_edges():
    assert M.cosine_bound(0.0, 0.0, 0.0) == pytest.approx(0.0, abs=1e-15)
    assert M.cosine_bound(0.3, 0.0, 0.0) == pytest.approx(0.3, rel=1e-12)
    assert M.cosine_bound(0.0, 0.25, 0.0) == pytest.approx(0.5, rel=1e-12)  # 90 - 30 degrees
    assert M.cosine_bound(0.5, 0.25, 0.25) == 1.0 == M.cosine_bound(0.0, 1.0, 0.0) == M.cosine_bound(1.0, 0.0, 0.0)
    assert M.cosine_bound(1.0 + 1e-7, 0.0, 0.0) == 1.0 == M.cosine_bound(0.2, 1.0 + 1e-9, 0.0)
    assert M.cosine_bound(-1e-9, -1e-9, -1e-9) == pytest.approx(0.0, abs=1e-15)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 0.3))
def test_B7_rises_in_each_figure_and_takes_no_sides(sigma, outside_sft, outside_rl, more):
    bound = M.cosine_bound(sigma, outside_sft, outside_rl)
    assert bound == pytest.approx(M.cosine_bound(sigma, outside_rl, outside_sft), abs=1e-12)
    for raised in ((sigma + more, outside_sft, outside_rl), (sigma, min(1.0, outside_sft + more), outside_rl)):
        assert M.cosine_bound(*raised) >= bound - 1e-12


def test_B7_fails_for_bases_that_are_not_orthonormal():
    """u and a skew pair that spans u too: the largest singular value of the raw product misses it."""
    u, skew = np.eye(4)[:, :1], np.array([[0.1, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]).T
    sigma = largest_singular_value(u, skew)
    assert M.cosine_bound(sigma, 0.0, 0.0) < 0.2 < float(u[:, 0] @ unit(skew[:, 0]))


def test_B7_arrays_broadcast_and_figures_stay_figures():
    assert type(M.cosine_bound(1, 0, 0)) is float
    assert M.cosine_bound(np.array([0.0, 0.3, 1.0]), 0.0, np.zeros((2, 1))).shape == (2, 3)


# ---------------------------------------------------------------------------------------------------- random subspaces


def sampled(rng, dimension, rank_sft, rank_rl, size):
    """Largest cosines of Gaussian subspaces, by QR and SVD. One may be kept fixed: the other is uniform."""
    spans = np.linalg.qr(rng.normal(size=(size, dimension, rank_sft)))[0]
    return np.linalg.svd(spans[:, :rank_rl, :], compute_uv=False)[:, 0]


def test_B7_both_random_or_one_fixed_is_the_same_law():
    rng = np.random.default_rng(0)
    both = [largest_singular_value(basis(rng, 9, 2), basis(rng, 9, 3)) for _ in range(3000)]
    assert stats.ks_2samp(both, sampled(rng, 9, 2, 3, 3000)).pvalue > 0.01


@pytest.mark.parametrize(
    ("dimension", "rank_sft", "rank_rl", "accuracy"),
    [
        (7, 1, 3, 0.01), (3, 1, 2, 0.01), (8, 4, 5, 1e-12), (9, 4, 4, 0.005), (5, 2, 2, 0.01),  # exact
        (4, 2, 2, 0.03), (7, 3, 4, 0.01), (12, 6, 6, 0.005),  # p + q = d
        (10, 2, 2, 0.03), (40, 2, 2, 0.06), (40, 2, 6, 0.04), (40, 3, 3, 0.035), (60, 5, 5, 0.02), (60, 10, 10, 0.01),
        (60, 10, 40, 0.005),
    ],
)  # fmt: skip
def test_B7_random_subspaces_median_is_as_near_to_monte_carlo_as_stated(dimension, rank_sft, rank_rl, accuracy):
    rng = np.random.default_rng(1)
    median = float(np.median(sampled(rng, dimension, rank_sft, rank_rl, 4000)))
    assert M.random_subspace_cosine(dimension, rank_sft, rank_rl) == pytest.approx(median, rel=accuracy)


@pytest.mark.parametrize(
    ("dimension", "rank_sft", "rank_rl", "low", "high"),
    [(7, 1, 3, 0.08, 0.01), (9, 4, 4, 0.02, 0.01), (40, 2, 2, 0.5, 0.06), (40, 3, 3, 0.2, 0.035),
     (40, 5, 6, 0.15, 0.02), (60, 10, 10, 0.06, 0.01)],
)  # fmt: skip
def test_B7_random_subspaces_quantiles_are_as_near_as_stated(dimension, rank_sft, rank_rl, low, high):
    cosines = sampled(np.random.default_rng(2), dimension, rank_sft, rank_rl, 4000)
    for probability, accuracy in ((0.05, low), (0.95, high)):
        quantile = float(np.quantile(cosines, probability))
        assert M.random_subspace_cosine(dimension, rank_sft, rank_rl, probability) == pytest.approx(
            quantile, rel=accuracy
        )


def test_B7_subspaces_that_just_fill_the_space_nearly_meet():
    """p + q = d: by how little they miss, 1 - cos^2, which the accuracy of the cosine hides."""
    cosines = sampled(np.random.default_rng(3), 40, 20, 20, 4000)
    for probability in (0.1, 0.5, 0.9):
        missed = 1.0 - float(np.quantile(cosines, probability)) ** 2
        assert 1.0 - M.random_subspace_cosine(40, 20, 20, probability) ** 2 == pytest.approx(missed, rel=0.12)


def test_B7_the_cosine_of_two_random_lines_has_its_known_law():
    """In d dimensions cos^2 is Beta(1/2, (d - 1)/2); on a circle the angle is uniform; in space the cosine is."""
    for chance in (0.01, 0.3, 0.5, 0.99):
        assert M.random_subspace_cosine(2, 1, 1, chance) == pytest.approx(math.sin(chance * math.pi / 2.0), rel=1e-9)
        assert M.random_subspace_cosine(3, 1, 1, chance) == pytest.approx(chance, rel=1e-9)
        huge = M.random_subspace_cosine(10**9, 1, 1, chance)
        assert huge * math.sqrt(1e9) == pytest.approx(stats.norm.ppf(0.5 + chance / 2.0), rel=1e-6)


@given(st.integers(2, 10), st.integers(2, 10), st.floats(0.01, 0.99))
def test_B7_if_ranks_and_one_fill_the_space_the_law_is_a_power(rank_sft, rank_rl, chance):
    """The Jacobi density's factor of 1 - cos^2 is then 1: scaling all roots by t gives P(cos <= c) = c^{p q}."""
    cosine = M.random_subspace_cosine(rank_sft + rank_rl + 1, rank_sft, rank_rl, chance)
    assert cosine ** (rank_sft * rank_rl) == pytest.approx(chance, rel=1e-9)


@given(st.integers(2, 10**9), st.integers(1, 300), st.integers(1, 300), st.floats(0.02, 0.97))
def test_B7_random_subspaces_take_no_sides_and_come_nearer_with_rank(dimension, rank_sft, rank_rl, chance):
    assume(rank_sft < dimension and rank_rl <= dimension)
    cosine = M.random_subspace_cosine(dimension, rank_sft, rank_rl, chance)
    assert 0.0 < cosine <= 1.0
    assert cosine == M.random_subspace_cosine(dimension, rank_rl, rank_sft, chance)
    assert M.random_subspace_cosine(dimension, rank_sft, rank_rl, chance + 0.01) >= cosine
    assert (cosine == 1.0) == (rank_sft + rank_rl > dimension) or cosine > 0.999


def test_B7_random_subspaces_of_a_huge_model_hardly_meet():
    """A little below (sqrt p + sqrt q)/sqrt d, the edge of the Marchenko-Pastur law."""
    for rank, below in ((50, 0.04), (500, 0.01), (5000, 0.002)):
        edge = 2.0 * math.sqrt(rank * 1e-9)
        assert (1.0 - below) * edge < M.random_subspace_cosine(10**9, rank, rank) < edge


def test_B7_the_gamma_stands_for_tracy_and_widom():
    """Their law of order 1 from Painleve's second equation, integrated from the Airy function."""
    begin = 6.0

    def rhs(s, y):  # q, q', then the integrals from s to infinity of q^2, of (x - s) q^2 and of q
        return [y[1], s * y[0] + 2.0 * y[0] ** 3, -(y[0] ** 2), -y[2], -y[0]]

    airy = lambda x: special.airy(x)[0]  # noqa: E731
    tails = [integrate.quad(lambda x, f=f: f(x), begin, 30.0)[0]
             for f in (lambda x: airy(x) ** 2, lambda x: (x - begin) * airy(x) ** 2, airy)]  # fmt: skip
    points = np.linspace(begin, -5.0, 400)
    y = integrate.solve_ivp(rhs, (begin, -5.0), [*special.airy(begin)[:2], *tails], t_eval=points, method="DOP853",
                            rtol=1e-11, atol=1e-15).y  # fmt: skip
    exact = np.exp(-0.5 * (y[3] + y[4]))
    gamma = special.gammainc(M.TRACY_WIDOM_SHAPE, (points + M.TRACY_WIDOM_SHIFT) / M.TRACY_WIDOM_SCALE)
    assert np.abs(exact - gamma).max() < 0.0012
    mean = M.TRACY_WIDOM_SHAPE * M.TRACY_WIDOM_SCALE - M.TRACY_WIDOM_SHIFT
    assert mean == pytest.approx(-1.2065335745820, rel=1e-9)
    variance = M.TRACY_WIDOM_SHAPE * M.TRACY_WIDOM_SCALE**2
    assert variance == pytest.approx(1.6077810345810, rel=1e-9)
    assert 2.0 / math.sqrt(M.TRACY_WIDOM_SHAPE) == pytest.approx(0.29346452408, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: M.cosine_bound(-0.1, 0.0, 0.0),
         "largest_singular_value must be at least 0. Got -0.1. Measure it again."),
        (lambda: M.cosine_bound(0.1, math.nan, 0.0), "outside_sft must be at least 0. Got nan."),
        (lambda: M.cosine_bound(0.1, 0.0, np.array([0.5, -0.2])), "outside_rl must be at least 0. Got -0.2."),
        (lambda: M.random_subspace_cosine(5, 0, 1),
         "rank_sft must be between 1 and the dimension (5). Got 0. Count the basis vectors."),
        (lambda: M.random_subspace_cosine(5, 1, 6), "rank_rl must be between 1 and the dimension (5). Got 6. Count"),
        (lambda: M.random_subspace_cosine(5, 1, 1, 1.0),
         "probability must be between 0 and 1. Got 1.0. Give 0.5 for the"),
    ],
)  # fmt: skip
def test_arguments_that_break_their_rule_are_refused(call, message):
    with pytest.raises(DataError) as refusal:
        call()
    assert message in str(refusal.value)
