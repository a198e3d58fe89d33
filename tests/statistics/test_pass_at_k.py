from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from interlace.statistics.pass_at_k import mean_pass_at_k, pass_at_k

from .simulation import REPEATS, coverage, is_nominal


@pytest.mark.parametrize("k", [1, 2, 5])
def test_it_is_the_share_of_groups_with_a_right_response(k):
    for right in range(6):
        answers = [True] * right + [False] * (5 - right)
        groups = list(combinations(answers, k))
        assert pass_at_k(np.array([right]), np.array([5]), k)[0] == pytest.approx(np.mean([any(g) for g in groups]))


@pytest.mark.parametrize("rate", [0.02, 0.4, 0.97])
@pytest.mark.parametrize("k", [1, 4, 10])
def test_it_is_unbiased(rate, k):
    """Exactly: its expectation over the binomial number of right responses is 1 - (1 - p)^k."""
    counts = np.arange(11)
    expectation = stats.binom.pmf(counts, 10, rate) @ pass_at_k(counts, np.full(11, 10), k)
    assert expectation == pytest.approx(1.0 - (1.0 - rate) ** k, abs=1e-12)


def test_prompts_may_have_different_numbers_of_samples():
    assert pass_at_k(np.array([1, 1]), np.array([2, 4]), 2) == pytest.approx([1.0, 0.5])


def test_pass_at_1_is_the_rate():
    figure = mean_pass_at_k(np.arange(17), np.full(17, 16), 1)
    assert figure.value == pytest.approx(0.5) and figure.n == 17 and figure.unit == "fraction"


@pytest.mark.parametrize(("prompts", "k"), [(16, 4), (64, 8)])
def test_its_interval_covers(prompts, k):
    rng = np.random.default_rng(3)
    rates = rng.beta(0.5, 1.0, size=(REPEATS, prompts))
    right = rng.binomial(8, rates)
    truth = float(1.0 - ((1.0 - rng.beta(0.5, 1.0, 400_000)) ** k).mean())
    share = coverage([mean_pass_at_k(row, np.full(prompts, 8), k) for row in right], truth)
    assert is_nominal(share) if prompts > 16 else share >= 0.93


def test_impossible_questions_are_refused():
    with pytest.raises(ValueError, match=r"k must lie between 1 and the samples of every prompt\. Got 5 for 4\."):
        pass_at_k(np.array([1]), np.array([4]), 5)
    with pytest.raises(ValueError, match=r"Got 0 for 4"):
        pass_at_k(np.array([1]), np.array([4]), 0)
    with pytest.raises(ValueError, match=r"right must lie in \[0, sampled\] for every prompt\. Got \[5\] of \[4\]"):
        pass_at_k(np.array([5]), np.array([4]), 2)
