"""The summary in the terminal, drawn from runs made by hand."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from interlace.analysis import RunSummary, across_seeds
from interlace.cli.tables import print_summaries, run_table, seeds_table
from interlace.estimate import Unresolved
from interlace.measurement import RAW
from interlace.store.stopped import Stopped
from tests.report.examples import facts_summary


def printed(*summaries: RunSummary, width: int = 110) -> str:
    stream = io.StringIO()
    print_summaries(Console(file=stream, width=width), summaries)
    return stream.getvalue()


@pytest.fixture
def summary() -> RunSummary:
    return facts_summary()


def test_every_stage_has_its_row_and_sentence(summary: RunSummary) -> None:
    shown = printed(summary)
    for stage in summary.stages:
        assert f"{stage.name}: {stage.sentence}" in shown
    assert f"{summary.recipe}, seed {summary.seed}" in shown


def test_a_row_shows_reward_change_split_and_verdicts(summary: RunSummary) -> None:
    shown = printed(summary)
    stage = summary.stages["rl"]
    assert "\u2192" in shown
    for verdict in stage.verdicts:
        assert (f"{verdict.law} {verdict.verdict}" in shown) == (verdict.weights == RAW)


def test_advice_follows(summary: RunSummary) -> None:
    advised = dataclasses.replace(summary, advice=("Stop at [step 20].",))
    assert "Next: Stop at [step 20]." in printed(advised)


def test_what_is_not_resolved_is_said_and_not_printed_as_zero(summary: RunSummary) -> None:
    stages = tuple(dataclasses.replace(stage, split={}) for stage in summary.stages)
    shown = printed(dataclasses.replace(summary, stages=dataclasses.replace(summary.stages, items=stages)))
    assert "not resolved" in shown


def test_it_fits_eighty_columns(summary: RunSummary) -> None:
    table = printed(summary, width=80).partition(f"{summary.stages[0].name}: ")[0]
    assert max(map(len, table.splitlines())) <= 80


def test_seeds_are_put_together(summary: RunSummary) -> None:
    assert "across seeds" not in printed(summary)
    shown = printed(summary, dataclasses.replace(summary, seed=1))
    assert "across seeds" in shown
    assert "seed 1" in shown


def test_over_seeds_of_several_tasks_each_row_names_its_task(summary: RunSummary) -> None:
    assert "task" not in [column.header for column in seeds_table("r", across_seeds(seeds_of(summary))).columns]
    stages = tuple(
        dataclasses.replace(
            stage, objectives=(*stage.objectives, *(dataclasses.replace(c, task="triples") for c in stage.objectives))
        )
        for stage in summary.stages
    )
    two = dataclasses.replace(summary, stages=dataclasses.replace(summary.stages, items=stages))
    columns = {str(c.header): list(c.cells) for c in seeds_table("r", across_seeds(seeds_of(two))).columns}
    rows = list(zip(columns["stage"], columns["task"], columns["objective"], columns["weights"], strict=True))
    assert len(rows) == len(set(rows)) and {task for _, task, _, _ in rows} == {"sums", "triples"}


def test_a_row_says_that_its_stage_was_rewound(summary: RunSummary) -> None:
    stopped = Stopped("kl", 20, "enough", Unresolved("not read"), rewound_to=10)
    stages = [dataclasses.replace(stage, stopped=stopped) for stage in summary.stages]
    stages[0] = dataclasses.replace(stages[0], stopped=dataclasses.replace(stopped, rewound_to=0))
    rewound = dataclasses.replace(summary, stages=dataclasses.replace(summary.stages, items=tuple(stages)))
    columns = [list(column.cells) for column in run_table(rewound).columns]
    assert columns[0][:2] == ["sft\nrewound to its start", "rl\nrewound to step 10"]
    assert [column[0] for column in columns[3:6]] == ["none"] * 3 and "none" not in columns[3][1]


def seeds_of(summary: RunSummary) -> list[RunSummary]:
    return [summary, dataclasses.replace(summary, seed=1)]


def test_only_changes_carry_a_sign(summary: RunSummary) -> None:
    table = seeds_table("r", across_seeds([summary, dataclasses.replace(summary, seed=1)]))
    columns = {str(column.header): [str(cell) for cell in column.cells] for column in table.columns}
    assert columns["before"] and not any("+" in cell for cell in (*columns["before"], *columns["after"]))
    assert any(cell.startswith("+") for cell in columns["change"])
