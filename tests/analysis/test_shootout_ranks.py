"""Places whose intervals hold for all arms together, in simulation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from interlace.analysis.shootout.ranks import comparisons_of, places, places_of, resolved_above


def drawn(seeds: int, step: float, spread: float, repeats: int = 300, arms: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """True values that lie `step` apart, and runs of them: what a seed does to all arms, and each arm's own scatter,
    that of the last `spread` times that of the first."""
    rng, truth = np.random.default_rng(0), step * np.arange(arms)
    own = np.geomspace(1.0, spread, arms)
    common = rng.normal(0.0, 3.0, size=(repeats, seeds, 1))
    return truth, truth + common + own * rng.normal(size=(repeats, seeds, arms))


@pytest.mark.parametrize("spread", [1.0, 10.0])
@pytest.mark.parametrize("step", [0.0, 0.1, 5.0])
@pytest.mark.parametrize("seeds", [3, 5])
def test_all_true_places_are_covered_together(seeds: int, step: float, spread: float) -> None:
    """Many arms, few seeds: the least and the greatest place that each arm may have, by the definition."""
    truth, values = drawn(seeds, step, spread)
    above = resolved_above([values], comparisons_of(len(truth)))
    better, worse = above.sum(axis=1), above.sum(axis=2)
    first, last = (truth > truth[:, None]).sum(axis=1), (truth < truth[:, None]).sum(axis=1)
    covered = ((better <= first) & (worse <= last)).all(axis=1)
    assert covered.sum() >= stats.binom.ppf(0.001, len(covered), 0.95)


def test_what_lies_far_apart_is_told_apart() -> None:
    truth, values = drawn(5, 100.0, 1.0, repeats=50)
    above = resolved_above([values], comparisons_of(len(truth)))
    assert (above == (truth[:, None] > truth)).all(axis=(1, 2)).mean() > 0.9


def test_pairs_are_those_of_the_paired_t() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal([0.0, 0.5, 1.0, 4.0], [0.1, 0.5, 2.0, 0.3], size=(6, 4)) + rng.normal(size=(6, 1))
    above = resolved_above([values], 6)
    for i, j in combinations(range(4), 2):
        for one, two in ((i, j), (j, i)):
            found = stats.ttest_rel(values[:, one], values[:, two], alternative="greater").pvalue
            assert above[one, two] == (found < 0.025 / 6)
    assert above.any() and not above.all()


def test_the_sum_of_two_samples_is_that_of_welch() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal([0.0, 1.0], 1.0, size=(9, 2)), rng.normal([0.0, 0.7], 0.4, size=(14, 2))
    apart = [sample[:, 1] - sample[:, 0] for sample in (first, second)]
    variances = [each.var(ddof=1) / each.size for each in apart]
    freedom = sum(variances) ** 2 / sum(v**2 / (each.size - 1) for v, each in zip(variances, apart, strict=True))
    statistic = sum(each.mean() for each in apart) / np.sqrt(sum(variances))
    for comparisons in (1, 3, 10, 100, 1000):
        found = resolved_above([first, second], comparisons)[1, 0]
        assert found == (statistic > stats.t.ppf(1.0 - 0.025 / comparisons, freedom))


def test_arms_that_are_the_same_are_not_told_apart() -> None:
    """Values that differ by rounding, and do so in every run."""
    values = np.array([[0.1, 0.1 + 1e-16, 0.0], [0.2, 0.2 + 1e-16, 0.1]])
    above = resolved_above([values], 3)
    assert above.tolist() == [[False, False, True], [False, False, True], [False, False, False]]
    first = places_of(values.mean(axis=0), above, 2, "seeds", "this recipe")[0]
    assert (first.lower, first.upper) == (1.0, 2.0)


def test_ties_share_their_places() -> None:
    assert places(np.array([[3.0, 3.0, 1.0], [0.0, 1.0, 2.0]])).tolist() == [[1.5, 1.5, 3.0], [3.0, 2.0, 1.0]]
