"""The tally against counting by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interlace.analysis import summarise
from interlace.analysis.summary import CONTRADICTS, HOLDS, NOT_RESOLVED, OUTSIDE, PASSED, RunSummary
from interlace.analysis.tally import verdict_tally
from interlace.report.tally import tally_tables
from tests.analysis.worlds import Stage, binary_problem, make_record, tilted_run


def run(seed: int) -> RunSummary:
    problem = binary_problem(np.random.default_rng(seed), 60)
    return summarise(make_record(problem, Stage(tilted_run(problem, [0.0, 0.5, 1.0, 2.0]))))


def with_verdicts(summary: RunSummary, *verdicts: str) -> RunSummary:
    """The run's stage with the verdicts named, all of its first law."""
    (stage,) = summary.stages
    judged = tuple(replace(stage.verdicts[0], verdict=verdict) for verdict in verdicts)
    return replace(summary, stages=type(summary.stages)((replace(stage, verdicts=judged),)))


def test_verdicts_are_counted_by_law() -> None:
    first, second = with_verdicts(run(0), HOLDS, CONTRADICTS), with_verdicts(run(1), HOLDS, OUTSIDE, HOLDS)
    row = verdict_tally([first, second])[0]
    assert row.law == first.stages[0].verdicts[0].law and not row.is_check
    assert row.counts == {HOLDS: 3, CONTRADICTS: 1, NOT_RESOLVED: 0, OUTSIDE: 1} and row.total == 5


def test_self_checks_stand_apart() -> None:
    runs = [run(0), run(1)]
    checks = [row for row in verdict_tally(runs) if row.is_check]
    by_hand = [check for each in runs for stage in each.stages for check in stage.self_checks]
    assert sum(row.total for row in checks) == len(by_hand) > 0
    assert sum(row.counts[PASSED] for row in checks) == sum(check.verdict == PASSED for check in by_hand)


def test_the_page_shows_both() -> None:
    verdicts, checks = tally_tables([run(0), run(1)])
    assert verdicts.name == "Verdicts over 2 runs, by law" and checks.name == "Self-checks over 2 runs"
    assert verdicts.columns[2:] == ("Holds", "Contradicts", "Not resolved", "Outside its conditions", "Readings")
    assert all(len(row) == len(verdicts.columns) for row in verdicts.rows)
