"""C2: the noise's share is taken off exactly (by enumeration), the intervals cover, and pure noise is no number."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from interlace.estimate import Estimate, Unresolved
from interlace.statistics.intervals import mean_interval
from interlace.statistics.signal_share import noise_scale, signal_share
from interlace.statistics.unbiased import (
    cosine,
    cross_product,
    inner_product,
    inner_products,
    projection,
    squared_norm,
)

from .simulation import coverage


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def parts(rng, number, dims, signal, repeats=500):
    """Mean vector `signal` (padded by 0) plus noise of expected squared norm 1, [repeat, part, dim]."""
    mean = np.pad(np.asarray(signal, dtype=float), (0, dims - len(signal)))
    return mean + rng.standard_normal((repeats, number, dims)) / np.sqrt(dims)


def gram(vectors):
    return inner_products(vectors, vectors)


def resolved(figures):
    return [figure for figure in figures if isinstance(figure, Estimate)]


# ---------------------------------------------------------------------------------------------------------- unbiased


def test_C2_the_cross_product_is_unbiased_and_the_plain_norm_is_not(rng):
    """Over all draws of 3 parts from a finite set of vectors: no simulation."""
    vectors = rng.normal(size=(4, 2)) + 1.0
    truth = float(vectors.mean(axis=0) @ vectors.mean(axis=0))
    draws = [vectors[list(rows)] for rows in product(range(4), repeat=3)]
    unbiased = np.mean([cross_product(gram(draw), unit="").value for draw in draws])
    plain = np.mean([draw.mean(axis=0) @ draw.mean(axis=0) for draw in draws])
    assert unbiased == pytest.approx(truth)
    assert plain == pytest.approx(truth + vectors.var(axis=0).sum() / 3)  # by tr(Sigma) / n


def test_C2_it_reads_nothing_from_the_diagonal(rng):
    matrix = gram(rng.normal(size=(5, 3)) + 1.0)
    other = matrix + np.diag(rng.normal(size=5))
    ours, same = cross_product(matrix, unit=""), cross_product(other, unit="")
    assert (same.value, same.lower, same.upper) == pytest.approx((ours.value, ours.lower, ours.upper))


def test_C2_its_interval_leaves_one_part_out(rng):
    from interlace.statistics.jackknife import jackknife_interval

    vectors = rng.normal(size=(6, 3)) + 1.0

    def pairs(rows):
        return float(np.mean([vectors[i] @ vectors[j] for i, j in permutations(rows, 2)]))

    left_out = np.array([pairs([j for j in range(6) if j != i]) for i in range(6)])
    slow = jackknife_interval(pairs(range(6)), [left_out], unit="")
    ours = cross_product(gram(vectors), unit="")
    assert (ours.value, ours.lower, ours.upper) == pytest.approx((slow.value, slow.lower, slow.upper))


def test_C2_float32_gradients_are_multiplied_in_float64(rng, monkeypatch):
    monkeypatch.setattr("interlace.statistics.unbiased.BLOCK", 3)  # blocks of 3, 3 and 1 dimensions
    vectors = rng.normal(size=(3, 7)).astype(np.float32)
    assert inner_products(vectors, vectors).dtype == np.float64
    assert inner_products(vectors, vectors) == pytest.approx(vectors.astype(float) @ vectors.astype(float).T)


# ---------------------------------------------------------------------------------------------------------- coverage


@pytest.mark.parametrize("number", [3, 16])
@pytest.mark.parametrize("signal", [0.0, 0.3, 2.0])
def test_C2_the_cross_product_covers(rng, number, signal):
    figures = [cross_product(gram(v), unit="") for v in parts(rng, number, 50, [signal])]
    assert coverage(figures, signal**2) >= 0.925


@pytest.mark.parametrize("number", [3, 8])
def test_C2_pure_noise_is_not_resolved(rng, number):
    figures = [squared_norm(gram(v), unit="") for v in parts(rng, number, 50, [0.0])]
    assert len(resolved(figures)) / len(figures) <= 0.025
    assert next(f for f in figures if isinstance(f, Unresolved)).reason.endswith(
        f"from {number} parts: measure more prompts"
    )


@pytest.mark.parametrize("numbers", [(2, 2), (4, 4), (4, 12)])
@pytest.mark.parametrize("signal", [0.0, 0.3, 2.0])
def test_C2_the_inner_product_covers(rng, numbers, signal):
    left, right = parts(rng, numbers[0], 50, [signal]), parts(rng, numbers[1], 50, [signal / 2, signal])
    figures = [inner_product(inner_products(a, b), unit="") for a, b in zip(left, right, strict=True)]
    assert coverage(figures, signal**2 / 2) >= 0.925


@pytest.mark.parametrize("number", [4, 8])
@pytest.mark.parametrize("angle", [0.0, 0.95])
@pytest.mark.parametrize("signal", [0.6, 2.0])
def test_C2_the_cosine_covers_where_it_is_printed(rng, number, angle, signal):
    left = parts(rng, number, 100, [signal])
    right = parts(rng, number, 100, [angle * signal, (1 - angle**2) ** 0.5 * signal])
    figures = [cosine(gram(a), gram(b), inner_products(a, b)) for a, b in zip(left, right, strict=True)]
    assert len(resolved(figures)) > 30 and coverage(resolved(figures), angle) >= 0.92


@pytest.mark.parametrize("number", [4, 8])
@pytest.mark.parametrize("slope", [0.0, -0.5])
def test_C2_D15_the_projection_covers(rng, number, slope):
    left, right = parts(rng, number, 100, [slope, 1.0]), parts(rng, number, 100, [1.0])
    figures = [projection(gram(b), inner_products(a, b), unit="") for a, b in zip(left, right, strict=True)]
    assert len(resolved(figures)) > 330 and coverage(resolved(figures), slope) >= 0.925


def test_C2_the_plain_cosine_is_attenuated_and_ours_is_not(rng):
    """By the root of both signal shares: here 1 / (1 + 1 / 8) for means of 8 parts, norms 1 and noise 1 each."""
    left, right = parts(rng, 8, 200, [1.0]), parts(rng, 8, 200, [0.8, 0.6])
    means = left.mean(axis=1), right.mean(axis=1)
    norms = (np.linalg.norm(mean, axis=1) for mean in means)
    plain = (means[0] * means[1]).sum(axis=1) / np.prod(list(norms), axis=0)
    ours = [cosine(gram(a), gram(b), inner_products(a, b)) for a, b in zip(left, right, strict=True)]
    assert plain.mean() == pytest.approx(0.8 / (1 + 1 / 8), abs=0.01)
    assert np.mean([figure.value for figure in resolved(ours)]) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("number", [4, 16])
@pytest.mark.parametrize("signal", [0.0, 0.4, 1.0])
def test_C2_signal_share_and_noise_scale_cover(rng, number, signal):
    figures = [signal_share(gram(v)) for v in parts(rng, number, 50, [signal])]
    assert coverage(resolved(figures), signal**2 / (1 + signal**2)) >= 0.925
    if signal == 1.0:
        scales = [noise_scale(gram(v), prompts_per_part=16) for v in parts(rng, number, 50, [signal])]
        assert coverage(resolved(scales), 16.0) >= 0.925 and len(resolved(scales)) > 330


# ------------------------------------------------------------------------------------------------------------ values


def test_C2_exact_values_without_noise():
    left, right = np.array([[3.0, 4.0]] * 4), np.array([[4.0, 3.0]] * 3)
    assert squared_norm(gram(left), unit="").value == pytest.approx(25.0)
    assert inner_product(inner_products(left, right), unit="").value == pytest.approx(24.0)
    assert projection(gram(left), inner_products(right, left), unit="").value == pytest.approx(24 / 25)
    angle = cosine(gram(left), gram(right), inner_products(left, right))
    assert angle.value == pytest.approx(24 / 25) and (angle.unit, angle.n) == ("cosine", 3)
    assert signal_share(gram(left)).value == pytest.approx(1.0)
    assert noise_scale(gram(left), prompts_per_part=8).value == pytest.approx(0.0, abs=1e-12)


def test_C2_in_one_dimension_the_inner_product_is_a_product_of_means(rng):
    """With one side known (no scatter) its interval is Student's over the other side's parts."""
    left, right = rng.normal(1.0, 1.0, size=(12, 1)), np.full((5, 1), 2.0)
    ours, student = (
        inner_product(inner_products(left, right), unit=""),
        mean_interval(2.0 * left[:, 0], unit=""),
    )
    assert (ours.value, ours.lower, ours.upper) == pytest.approx((student.value, student.lower, student.upper))


def test_C2_a_cosine_beyond_1_is_clipped_and_says_so():
    matrix = np.full((4, 4), 1.0)
    cross = np.full((4, 4), 1.0) + np.array([[0.3], [-0.2], [0.1], [0.0]])
    angle = cosine(matrix, matrix, cross)
    assert (angle.value, angle.upper) == (1.0, 1.0) and angle.lower < 1.0
    assert angle.method.endswith("clipped to its range")
    beyond = cosine(matrix, matrix, 2.0 * matrix)
    assert beyond == Unresolved(
        "the interval [2, 2] lies outside [-1, 1]: measure more prompts, shared by no two parts"
    )


def test_C2_an_unresolved_noise_scale_gives_its_lower_bound(rng):
    figure = noise_scale(gram(parts(rng, 6, 50, [0.0], repeats=1)[0]), prompts_per_part=8)
    assert isinstance(figure, Unresolved) and "the noise scale is at least" in figure.reason


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        (np.ones((2, 2)), "an interval needs at least 3 parts, got 2"),
        (np.array([[1.0, np.nan, 1.0]] * 3), "3 of 9 inner products have values that are not finite"),
    ],
)
def test_C2_what_cannot_be_had_is_unresolved_with_its_reason(matrix, reason):
    assert squared_norm(matrix, unit="") == signal_share(matrix) == Unresolved(reason)
    assert projection(matrix, np.ones((3, len(matrix))), unit="") == Unresolved(reason)
    assert cosine(matrix, np.ones((3, 3)), np.ones((len(matrix), 3))) == Unresolved(f"left vector: {reason}")


def test_C2_vectors_of_nothing_have_no_signal_share():
    assert signal_share(np.zeros((3, 3))) == Unresolved("every part's vector is 0")
