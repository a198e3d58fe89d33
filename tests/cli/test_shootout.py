"""The shoot-out in the terminal."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from interlace.analysis.shootout import NoShootout, Shootout, shootout
from interlace.cli.shootout import MOST, print_shootouts, shootout_tables
from tests.analysis.test_shootout_rows import arm, problem_of, start
from tests.analysis.worlds import make_record


def many(arms: int, by: str = "flops") -> Shootout:
    """So many arms, some measured on their lines; the last one, of least value, is held against."""
    problem = problem_of(0)
    stages = [arm(f"arm-{n}", problem, 2.0 + n, line=(0.0, 0.1, 1.0) if n > 9 else ()) for n in range(arms)]
    return shootout([make_record(problem, start(problem), *stages)], by=by, against=f"arm-{arms - 1}")  # type: ignore[arg-type]


def cells(found: Shootout) -> list[tuple[str, str]]:
    (table,) = shootout_tables(found)
    return list(zip(*(list(column.cells) for column in table.columns[:2]), strict=True))


def test_the_best_rows_that_of_every_arm_and_the_opponent_are_shown_by_kind_of_weights() -> None:
    found = many(14)
    shown = cells(found)
    by_value = sorted(found.rows, key=lambda row: -row.values[0])
    of_arms = [next(row for row in by_value if row.arm == f"arm-{n}") for n in range(14)]
    expected = {(row.arm, row.weights) for row in (*by_value[:MOST], *of_arms)} | {
        ("arm-13", "raw"),
        ("arm-13", "line"),
    }
    (table,) = shootout_tables(found)
    assert len(expected) > MOST + 2 and f"({len(expected)} of 18 rows)" in str(table.title)
    assert "All rows are in the report." in str(table.caption)
    assert set(shown) == expected and len(shown) == len(expected)
    kinds = [weights for _, weights in shown]
    assert kinds == sorted(kinds, key=["raw", "averaged", "line"].index) and set(kinds) == {"raw", "line"}
    for kind in set(kinds):
        values = [next(row for row in found.rows if (row.arm, row.weights) == each).values[0] for each in shown
                  if each[1] == kind]  # fmt: skip
        assert values == sorted(values, reverse=True)


def test_it_is_printed_with_what_it_says_at_equal_flops_alone() -> None:
    console, found = Console(file=io.StringIO(), width=200), many(3)
    print_shootouts(console, [found, many(3, "tokens")])
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("made-up: sums at equal FLOPs, by R \u2212 0.5 L") == 1
    assert "Places are among rows of the same weights. Lead: each arm by itself." in text and "lead over arm-2" in text
    assert f"most R \u2212 0.5 L has {found.rows[0].arm}" in text


def test_what_is_left_out_and_recipes_without_a_shootout_are_said() -> None:
    console, found = (
        Console(file=io.StringIO(), width=200),
        replace(many(3), missing={"late": "seed 0 has not finished it"}),
    )
    print_shootouts(console, [found], [NoShootout("other", "a shoot-out must have every seed once.")])
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "late is left out: seed 0 has not finished it." in text
    assert "other has no shoot-out: a shoot-out must have every seed once." in text
