"""The shoot-out on the page: what its tables mark and explain, what arms are told, and the plane."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from interlace.analysis.shootout import Shootout, ShootoutRow, shootout
from interlace.analysis.shootout.figures import NO_FRONT
from interlace.measurement import LINE
from interlace.report.plots.base import Chart
from interlace.report.shootout import Compared, compared, standings_tables
from interlace.report.shootout.chart import plane_chart
from interlace.report.shootout.told import told_sentences
from interlace.report.tables import Table
from tests.analysis.test_shootout_rows import TOKENS, arm, problem_of, start
from tests.analysis.worlds import MemoryRecord, make_record

LONG = {10: {name: 2.0 * value for name, value in TOKENS[10].items()}}
LINES = (0.0, 0.5, 1.0)


def record_of() -> MemoryRecord:
    """Three arms that begin alike; `short` took half of what the others did."""
    problem = problem_of(0)
    told = {"method": {"name": "frontier", "exchange_rate": 0.5}}
    known = replace(arm("known", problem, 2.0, line=LINES, options=told), spent=LONG)
    stop = {"stop": {"rule": "exchange_rate", "exchange_rate": 0.25}}
    stopped = replace(arm("stopped", problem, 9.0, line=LINES, options=stop), spent=LONG)
    arms = [known, stopped, arm("short", problem, 4.0, options={"method": {"name": "luffy"}})]
    return make_record(problem, start(problem), *arms)


def found_by(by: str, recipe: str = "made-up", seed: int = 0) -> Shootout:
    return shootout([replace(record_of(), recipe=recipe, seed=seed)], by=by, exchange_rate=0.5)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def held() -> Compared:
    (found,) = compared([found_by("flops"), found_by("tokens")])
    return found


def by_arm(table: Table) -> dict[tuple[str, str], list[str]]:
    return {(row[0].text.rstrip("\u2020\u2021"), row[1].text): [cell.text for cell in row] for row in table.rows}


def row_of(found: Shootout, name: str, weights: str = "raw") -> ShootoutRow:
    return next(row for row in found.rows if (row.arm, row.weights) == (name, weights))


def test_every_table_that_marks_rows_says_what_the_marks_mean(held: Compared) -> None:
    marked = [table for table in held.tables if any("\u2020" in row[0].text for row in table.rows)]
    assert [table.name.split(",")[0] for table in marked] == ["Shoot-out on sums"] * 2
    for table, found in zip(marked, held.found, strict=True):
        assert "\u2020: no other row" in table.remark and "\u2021: the arm ended with less than 95%" in table.remark
        for row, cells in zip(found.rows, table.rows, strict=True):
            assert ("\u2020" in cells[0].text, "\u2021" in cells[0].text) == (row.on_pareto, row.is_short)
        assert {row.arm for row in found.rows if row.is_short} == {"short"}


def test_the_page_says_that_one_half_judges_and_which_intervals_hold_together(held: Compared) -> None:
    main, secondary = held.tables[:2]
    assert "of every arm, under every kind of weights, are of the other half" in main.remark
    assert "the intervals of all of them hold together" in main.remark and "Lead: each row by itself" in main.remark
    assert (
        "to pick a winner trust Place" in main.remark and "Equal values share the mean of their places" in main.remark
    )
    assert secondary.name == "Secondary metrics, sums" and "all pairs of arms hold together" in secondary.remark
    (three,) = compared([shootout([replace(record_of(), seed=seed) for seed in range(3)])])
    assert "Share of the attainable gain" in three.tables[1].columns
    assert by_arm(main)["known", "straight line"][0].startswith("known")


def test_what_decides_stands_first_and_a_column_without_figures_is_left_out_with_its_reason(held: Compared) -> None:
    main, secondary = held.tables[:2]
    assert main.columns == (
        "Arm", "Weights", "Place", "Reward", "SFT loss", "Lead over known", "Over known at its best", "Better",
        "Change of R \u2212 \u03bbL", "Over the front", "Imitated", "Step", "Compute",
    )  # fmt: skip
    assert "Left out" not in main.remark and "Over the front: SFT loss beyond" in main.remark
    assert "Left out, without a figure in any row: Share of the attainable gain (one run alone" in secondary.remark
    assert "Hypervolume" not in secondary.columns and len(secondary.rows[0]) == len(secondary.columns)
    (found, *_) = held.found
    unknown = replace(found, rows=tuple(replace(row, excess=NO_FRONT, imitation=None) for row in found.rows))
    (table, *_) = Compared((unknown,)).tables
    assert not {"Over the front", "Imitated"} & set(table.columns) and "Over the front: SFT" not in table.remark
    assert f"Over the front ({NO_FRONT.reason}); Imitated (it was not counted)." in table.remark
    assert len(table.rows[0]) == len(table.columns)


def test_a_row_before_a_blend_says_so(held: Compared) -> None:
    (found, *_) = held.found
    row = replace(row_of(found, "known"), is_before_blend=True)
    (table, *_) = Compared((replace(found, rows=(row,)),)).tables
    assert table.rows[0][0].interval == "frontier, before its blend"


def test_what_arms_are_told_is_listed_of_those_at_hand() -> None:
    found = found_by("flops")
    assert told_sentences(found, found.rows) == (
        "Told the expert\u2019s distribution, where others see its responses: known. "
        "Told the rewards of the expert\u2019s responses: short, known. "
        "Steered or blended by the prompts that do not judge, or stopped by looks: stopped. "
        "Told an exchange rate (the score\u2019s is 0.5): known (0.5), stopped (0.25)."
    )
    steered = replace(row_of(found, "short"), method="rl \u2192 guarded")
    assert told_sentences(found, [steered]).endswith("stopped by looks: short.")
    assert told_sentences(found, [replace(steered, method="joint")]) == ""
    few, alone = (
        replace(steered, method="relift", imitation=0.009),
        replace(row_of(found, found.against), imitation=0.0),
    )
    assert told_sentences(found, [few, replace(alone, method="joint", exchange_rates=())]) == (
        "Imitated with less than 1% of the weight, and so nearly RL alone: short."
    )


def test_adapting_has_a_table_where_there_are_controls(held: Compared) -> None:
    assert not any("adapting" in table.name for table in held.tables)
    problem = problem_of(0)
    adaptive = arm("steered", problem, 2.0, options={"method": {"name": "guarded"}})
    fixed = arm("fixed", problem, 4.0, options={"method": {"name": "joint", "mu": 0.5, "like": "steered"}})
    found = shootout([make_record(problem, start(problem), adaptive, fixed)], exchange_rate=0.5)
    (tables,) = compared([found])
    (table,) = [table for table in tables.tables if table.name.startswith("What adapting is worth")]
    values = {row.arm: row.values[0] for row in found.rows if row.weights == "raw"}
    (first,) = [row for row in table.rows if row[1].text == "raw"]
    assert [cell.text for cell in first[:3]] == ["steered", "raw", "fixed"] and first[2].interval == "joint"
    assert float(first[3].text.replace("\u2212", "-")) == pytest.approx(values["steered"] - values["fixed"], abs=0.01)


def test_the_plane_draws_every_row_over_the_front_and_labels_what_nothing_beats(held: Compared) -> None:
    (found, *_) = held.found
    chart = plane_chart(found, found.pairs[0], 0)
    assert chart is not None and [each.name for each in held.charts] == ["shootout-0"]
    assert len(chart.data) == len(found.rows) + 1 and len(chart.keys) == 3
    labelled = {each["text"] for each in chart.layout["annotations"]}
    best = max((row for row in found.rows if row.on_pareto), key=lambda row: sum(row.values))
    assert any(best.arm in text for text in labelled)
    assert {row.weights for row in found.rows} == {"raw", LINE}


def boxes(chart: Chart, layout: dict[str, Any], width: float) -> list[tuple[float, float, float, float]]:
    """What each label of an arm covers in a plot so wide, px, by a generous letter."""
    margin, found = layout["margin"], []
    height = layout["height"] - margin["t"] - margin["b"]
    (left, right), (low, high) = (layout[axis]["range"] for axis in ("xaxis", "yaxis"))
    for each in layout["annotations"]:
        if "xref" in each:
            continue
        x, y = (each["x"] - left) / (right - left) * width, (each["y"] - low) / (high - low) * height
        size = 7.2 * len(each["text"])
        begin = x + each["xshift"] - size * (each["xanchor"] == "right")
        found.append((begin, begin + size, y + each["yshift"], y + each["yshift"] + 16.0))
    return found


@pytest.mark.parametrize("spread", [0.02, 0.3, 3.0])
def test_no_label_of_the_plane_covers_another_at_any_width(spread: float) -> None:
    """Twelve arms with long names close together: some are named, and those keep clear of each other and the edge."""
    problem = problem_of(0)
    arms = [arm(f"an-arm-of-long-name-{n}", problem, 2.0 + spread * n, line=LINES) for n in range(12)]
    found = shootout([make_record(problem, start(problem), *arms)])
    chart = plane_chart(found, found.pairs[0], 0)
    assert chart is not None and len(chart.data) == len(found.rows) + 1
    wide, narrow = chart.layout, chart.layout | chart.narrow
    for layout, widths in ((wide, (510.0, 700.0, 990.0)), (narrow, (230.0, 400.0, 520.0))):
        for width in widths:
            drawn = boxes(chart, layout, width)
            assert all(begin >= 0.0 and end <= width for begin, end, *_ in drawn)
            for a, b in itertools.combinations(drawn, 2):
                assert a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2]
    assert len(boxes(chart, wide, 510.0)) >= max(1, len(boxes(chart, narrow, 230.0)))


def test_standings_are_a_table_or_the_reason_that_there_is_none() -> None:
    one, two = found_by("flops", "one"), found_by("flops", "two")
    (table,) = standings_tables(compared([one, two]))
    assert table.name == "Standings over 2 recipes at equal FLOPs, 1 seed of each" and len(table.rows) == len(one.rows)
    (refused,) = standings_tables(compared([one, found_by("flops", "two", seed=1)]))
    assert "a seed that all recipes have. Got 0; 1" in refused.rows[0][0].text
    assert standings_tables(compared([one])) == []
