"""An arm whose scores are not finite at its last look comes last, and counts as the worst of all."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from interlace.analysis.shootout import Shootout, shootout, shootout_sentences, standings
from interlace.encoding import dumps
from interlace.estimate import Estimate, Unresolved
from interlace.measurement import RAW, PromptScores
from interlace.report.shootout import compared, standings_tables
from tests.analysis.test_shootout_rows import arm, problem_of, rows, start
from tests.analysis.worlds import MemoryRecord, make_record

TIMES = {"a": 1.0, "b": 3.0, "c": 8.0}
LINES = (0.0, 0.5, 1.0)


def at_the_end(record: MemoryRecord, name: str, damage: str) -> MemoryRecord:
    """The record with its arm's scores damaged at the last look: its log-probabilities, or the whole policy."""

    def damaged(scores: PromptScores) -> PromptScores:
        assert scores.expert_logprobs is not None and scores.reward_probabilities is not None
        lost = np.full_like(scores.expert_logprobs, -np.inf if damage == "-inf" else np.nan)
        if damage == "policy":
            nothing = np.full_like(scores.reward_probabilities, np.nan)
            return replace(scores, expert_logprobs=lost, reward_probabilities=nothing)
        return replace(scores, expert_logprobs=lost)

    kept = {point: damaged(each) if point.stage.endswith(f"-{name}") and point.step else each
            for point, each in record.kept.items()}  # fmt: skip
    return replace(record, kept=kept)


def runs(
    diverged: str,
    damage: str,
    seeds: int,
    bad_seeds: int | None = None,
    recipe: str = "made-up",
    line: tuple[float, ...] = (),
) -> list[MemoryRecord]:
    """Three arms, one of which diverges in the first `bad_seeds` runs (None: in all)."""
    found = []
    for seed in range(seeds):
        problem = problem_of(seed)
        record = make_record(problem, start(problem), *(arm(n, problem, t, line=line) for n, t in TIMES.items()),
                             seed=seed)  # fmt: skip
        is_bad = seed < (seeds if bad_seeds is None else bad_seeds)
        found.append(replace(at_the_end(record, diverged, damage) if is_bad else record, recipe=recipe))
    return found


def finite_places(found: Shootout, others: list[str]) -> dict[str, tuple[float, float]]:
    """By hand: paired t of the two others over runs, all three pairs together; the third arm is below both."""
    one, two = (np.array(rows(found)[name].values) for name in others)
    p_value = stats.ttest_rel(one, two, alternative="greater").pvalue
    above, below = p_value < 0.025 / 3, 1.0 - p_value < 0.025 / 3
    return {others[0]: (1.0 + below, 2.0 - above), others[1]: (1.0 + above, 2.0 - below)}


@pytest.mark.parametrize("damage", ["nan", "-inf", "policy"])
@pytest.mark.parametrize("diverged", TIMES)
def test_a_diverged_arm_is_last_and_beaten_and_the_others_keep_their_places(diverged: str, damage: str) -> None:
    found = shootout(runs(diverged, damage, 3), exchange_rate=0.5)
    others = [name for name in TIMES if name != diverged]
    table, row = rows(found), rows(found)[diverged]
    assert [each.arm for each in found.rows if each.weights == RAW][-1] == diverged
    assert row.values == (-np.inf,) * 3 and not row.on_pareto
    for figure in (row.rank, row.behind, row.value, row.lead, row.sft_loss, row.excess):
        assert isinstance(figure, Unresolved)
    assert "diverged" in row.rank.reason and "diverged" in row.behind.reason
    for name, (first, last) in finite_places(found, others).items():
        assert (table[name].rank.lower, table[name].rank.upper) == (first, last)
    places = {name: (table[name].reward.value, table[name].sft_loss.value) for name in others}
    assert any(table[name].on_pareto for name in others)
    for name, (reward, loss) in places.items():
        if any(r > reward and least < loss for r, least in places.values()):
            assert not table[name].on_pareto
    best = max(others, key=lambda name: sum(table[name].values))
    said = shootout_sentences(found)[0]
    assert f"most R \u2212 0.5 L has {best}" in said and f"behind it: {diverged}" not in said
    assert json.loads(dumps(found.to_json()))["rows"]


@pytest.mark.parametrize("diverged", TIMES)
def test_so_it_is_in_one_run_and_where_it_diverged_in_one_run_of_three(diverged: str) -> None:
    some = runs(diverged, "nan", 3, bad_seeds=1, line=LINES)
    for found in (shootout(runs(diverged, "nan", 1, line=LINES)), shootout(some)):
        table = rows(found)
        assert [each.arm for each in found.rows if each.weights == RAW][-1] == diverged
        assert isinstance(table[diverged].rank, Unresolved) and not table[diverged].on_pareto
        assert all(isinstance(table[name].rank, Estimate) and table[name].rank.upper <= 2.0
                   for name in TIMES if name != diverged)  # fmt: skip


def test_against_a_diverged_arm_every_run_of_another_is_better_and_no_lead_is_told() -> None:
    found = rows(shootout(runs("b", "nan", 3), against="b"))
    assert found["a"].better.value == 1.0 and isinstance(found["a"].lead, Unresolved)


def test_where_all_diverged_the_sentence_says_so() -> None:
    records = runs("a", "nan", 3)
    for name in "bc":
        records = [at_the_end(record, name, "nan") for record in records]
    found = shootout(records, exchange_rate=0.5)
    assert shootout_sentences(found)[0] == "sums: no arm has a finite R \u2212 0.5 L: all of them diverged."
    assert not any(row.on_pareto for row in found.rows if row.weights == RAW)


@pytest.mark.parametrize("diverged", TIMES)
def test_standings_go_on_without_its_place(diverged: str) -> None:
    """It diverged in one run of one recipe of two: it is last, and below the others on that recipe."""
    found = [shootout(runs(diverged, "nan", 3, bad_seeds=1, recipe="one"), against="a"),
             shootout(runs(diverged, "nan", 3, bad_seeds=0, recipe="two"), against="a")]  # fmt: skip
    table = [each for each in standings(found) if each.weights == RAW]
    assert table[-1].arm == diverged and isinstance(table[-1].rank, Unresolved)
    for each in table[:-1]:
        assert isinstance(each.rank, Estimate) and each.rank.upper <= 2.5
    assert len(standings_tables(compared(found))[0].rows) == len(standings(found))
