"""Places whose intervals hold for all arms together, and the leads that they rest on, in simulation and by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from interlace.analysis.shootout.leads import Values, leads_over_runs, resolved_above
from interlace.analysis.shootout.ranks import comparisons_of, places, places_of
from interlace.estimate import Estimate

TASK = "sums"


def runs_of(values: np.ndarray) -> list[list[Values]]:
    """Of each arm its runs, [run, arm]: two prompts that say the same, so that runs have no error of their own."""
    return [[{TASK: np.full(2, value)} for value in arm] for arm in values.T]


def drawn(seeds: int, step: float, spread: float, repeats: int, arms: int) -> tuple[np.ndarray, np.ndarray]:
    """True values that lie `step` apart, and runs of them: what a seed does to all arms, and each arm's own scatter,
    that of the last `spread` times that of the first."""
    rng, truth = np.random.default_rng(0), step * np.arange(arms)
    own = np.geomspace(1.0, spread, arms)
    common = rng.normal(0.0, 3.0, size=(repeats, seeds, 1))
    return truth, truth + common + own * rng.normal(size=(repeats, seeds, arms))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("spread", [1.0, 10.0])
@pytest.mark.parametrize("step", [0.0, 5.0])
@pytest.mark.parametrize("seeds", [3, 5])
def test_all_true_places_are_covered_together(seeds: int, step: float, spread: float) -> None:
    """The least and the greatest place that each arm may have, by the definition."""
    truth, values = drawn(seeds, step, spread, repeats=60, arms=6)
    first, last = (truth > truth[:, None]).sum(axis=1), (truth < truth[:, None]).sum(axis=1)
    covered = 0
    for each in values:
        above = resolved_above(runs_of(each), (), comparisons_of(len(truth)))
        covered += bool(((above.sum(axis=0) <= first) & (above.sum(axis=1) <= last)).all())
    assert covered >= stats.binom.ppf(0.001, len(values), 0.95)


@pytest.mark.usefixtures("unchecked")
def test_what_lies_far_apart_is_told_apart() -> None:
    truth, values = drawn(5, 100.0, 1.0, repeats=20, arms=6)
    told = [
        resolved_above(runs_of(each), (), comparisons_of(len(truth))) == (truth[:, None] > truth) for each in values
    ]
    assert np.mean([each.all() for each in told]) > 0.9


def test_pairs_are_those_of_the_paired_t() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal([0.0, 0.5, 1.0, 4.0], [0.1, 0.5, 2.0, 0.3], size=(6, 4)) + rng.normal(size=(6, 1))
    above = resolved_above(runs_of(values), (), 6)
    for i, j in combinations(range(4), 2):
        for one, two in ((i, j), (j, i)):
            found = stats.ttest_rel(values[:, one], values[:, two], alternative="greater").pvalue
            assert above[one, two] == (found < 0.025 / 6)
    assert above.any() and not above.all()


def test_the_sum_of_two_samples_is_that_of_welch() -> None:
    """One run, reward of one task and SFT loss of another."""
    rng = np.random.default_rng(2)
    first, second = rng.normal([0.0, 1.0], 1.0, size=(9, 2)), rng.normal([0.0, 0.7], 0.4, size=(14, 2))
    apart = [sample[:, 1] - sample[:, 0] for sample in (first, second)]
    variances = [each.var(ddof=1) / each.size for each in apart]
    freedom = sum(variances) ** 2 / sum(v**2 / (each.size - 1) for v, each in zip(variances, apart, strict=True))
    statistic = sum(each.mean() for each in apart) / np.sqrt(sum(variances))
    arms = [[{"one": first[:, arm], "two": second[:, arm]}] for arm in range(2)]
    for comparisons in (1, 3, 10, 100, 1000):
        found = resolved_above(arms, (), comparisons)[1, 0]
        assert found == (statistic > stats.t.ppf(1.0 - 0.025 / comparisons, freedom))


@pytest.mark.usefixtures("unchecked")
def test_equal_arms_on_prompts_that_all_runs_share_are_rarely_told_apart() -> None:
    """20 prompts, each better for one arm by chance; three runs that scatter by .02 agree about that. What the runs
    alone would say is wrong in half of the cases."""
    rng, resolved, by_runs_alone = np.random.default_rng(3), 0, 0
    for _ in range(400):
        prompts, noise = rng.normal(0.0, 0.3, size=(2, 20)), rng.normal(0.0, 0.02, size=(2, 3))
        arms = [[{TASK: each + run} for run in runs] for each, runs in zip(prompts, noise, strict=True)]
        resolved += bool(resolved_above(arms, {TASK}, 1).any())
        means = prompts.mean(axis=1)[:, None] + noise
        by_runs_alone += bool(stats.ttest_rel(*means).pvalue < 0.05)
    assert resolved / 400 < 0.08 and by_runs_alone / 400 > 0.4


def test_a_lead_on_shared_prompts_is_crossed_also_of_two_tasks() -> None:
    """By hand: variance between runs, between the prompts of each task, less the residuals; the least of which is that
    of the greatest part."""
    rng = np.random.default_rng(4)
    tables = {
        task: rng.normal(0.1, 0.4, size=(3, 1)) + rng.normal(size=(3, size)) + rng.normal(size=size)
        for task, size in (("one", 30), ("two", 50))
    }
    zero = [{task: np.zeros(table.shape[1]) for task, table in tables.items()}] * 3
    runs = [{task: table[run] for task, table in tables.items()} for run in range(3)]
    found = leads_over_runs(runs, zero, {"one"})
    totals = sum(table.mean(axis=1) for table in tables.values())
    between_runs = totals.var(ddof=1) / 3
    between_prompts = sum(table.mean(axis=0).var(ddof=1) / table.shape[1] for table in tables.values())
    residual = 0.0
    for table in tables.values():
        left = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
        residual += (left**2).sum() / (2 * (table.shape[1] - 1)) / table.size
    variance = max(between_runs, between_prompts, between_runs + between_prompts - residual)
    assert isinstance(found, Estimate) and found.value == pytest.approx(totals.mean())
    share = between_runs / (between_runs + between_prompts)
    freedom = 1.0 / (share**2 / 2 + (1.0 - share) ** 2 / 79)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(variance)
    assert found.upper - found.value == pytest.approx(half, rel=0.02) and "prompts" in found.method


def test_runs_that_come_out_alike_resolve_no_place_that_their_lead_does_not() -> None:
    """By their scatter alone three runs would tell the arms apart; each run's own interval is far wider."""
    prompts = np.array([1.0, -1.0] * 10)
    one = [{TASK: 0.1 + 0.001 * run + prompts} for run in range(3)]
    other = [{TASK: np.zeros(20)}] * 3
    assert stats.ttest_1samp([each[TASK].mean() for each in one], 0.0).pvalue < 0.001
    lead = leads_over_runs(one, other, ())
    own = stats.t.ppf(0.975, 19) * prompts.std(ddof=1) / np.sqrt(20)
    assert isinstance(lead, Estimate) and lead.lower == pytest.approx(0.101 - own / np.sqrt(3))
    assert lead.sign == 0 and not resolved_above([one, other], (), 1).any()
    far = [{TASK: 1.0 + each[TASK]} for each in one]
    for comparisons in (1, 3, 1000):
        level = 1.0 - 0.025 / comparisons
        half = max(stats.t.ppf(level, 19) * prompts.std(ddof=1) / np.sqrt(60),
                   stats.t.ppf(level, 2) * 0.001 / np.sqrt(3))  # fmt: skip
        assert resolved_above([far, other], (), comparisons)[0, 1] == (half < 1.101)


def test_arms_that_are_the_same_are_not_told_apart() -> None:
    """Values that differ by rounding, and do so in every run."""
    values = np.array([[0.1, 0.1 + 1e-16, 0.0], [0.2, 0.2 + 1e-16, 0.1]])
    above = resolved_above(runs_of(values), (), 3)
    assert above.tolist() == [[False, False, True], [False, False, True], [False, False, False]]
    first = places_of(values.mean(axis=0), above, 2, "seeds", "this recipe")[0]
    assert isinstance(first, Estimate) and (first.lower, first.upper) == (1.0, 2.0)


def test_ties_share_their_places() -> None:
    assert places(np.array([[3.0, 3.0, 1.0], [0.0, 1.0, 2.0]])).tolist() == [[1.5, 1.5, 3.0], [3.0, 2.0, 1.0]]
