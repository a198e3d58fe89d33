"""How figures read."""

from __future__ import annotations

import math

import pytest

from interlace.estimate import Estimate, Unresolved, decimals, exact, figure_text, interval_text, value_text
from interlace.report.formatting import Notes, compact, shorten
from interlace.wording import number


def figure(value: float, lower: float, upper: float) -> Estimate:
    return Estimate(value, lower, upper, 0.95, 512, "mean over prompts", "nats/response")


@pytest.mark.parametrize(
    ("half_width", "expected"), [(3.0, 2), (0.3, 2), (0.047, 2), (0.0047, 3), (0.00047, 4), (1e-9, 4), (math.inf, 3)]
)
def test_as_many_digits_as_the_interval_deserves(half_width: float, expected: int) -> None:
    assert decimals(figure(0.5, 0.5 - half_width, 0.5 + half_width)) == expected


def test_a_resolved_sign_is_seen() -> None:
    assert interval_text(figure(-0.027, -0.051, -0.003), signed=True) == "[\u22120.051, \u22120.003]"
    assert value_text(figure(-0.0004, -0.02, 0.02), signed=True) == "0.00"


def test_value_and_interval_share_their_digits() -> None:
    assert figure_text(figure(0.3184, 0.2713, 0.3655), signed=True) == "+0.32 [+0.27, +0.37] nats/response"


def test_an_exact_figure_has_no_interval() -> None:
    assert interval_text(exact(0.75, "reward")) == ""
    assert figure_text(exact(0.75, "reward")) == "0.750 reward"


@pytest.mark.parametrize(
    ("value", "text"),
    [(math.inf, "\u221e"), (-math.inf, "\u2212\u221e"), (math.nan, "not a number"), (-0.25, "\u22120.25")],
)
def test_no_number_is_printed_as_a_bare_symbol_of_the_machine(value: float, text: str) -> None:
    assert number(value, 2) == text


def test_an_infinite_figure_is_said() -> None:
    assert value_text(figure(math.inf, 1.0, math.inf)) == "\u221e"


def test_an_unresolved_figure_is_a_dash_with_a_numbered_reason_never_a_zero() -> None:
    notes = Notes()
    cells = [notes.figure(Unresolved(reason)) for reason in ("no reward", "too few prompts", "no reward")]
    assert [cell.text for cell in cells] == ["\u2013"] * 3
    assert [cell.note for cell in cells] == [1, 2, 1]
    assert notes.reasons == ["no reward", "too few prompts"]


def test_both_ends_of_a_change_have_the_same_decimals() -> None:
    cells = Notes().change(figure(0.5249, 0.50, 0.55), figure(0.8602, 0.8512, 0.8692), figure(0.3353, 0.31, 0.3606))
    assert [cell.text for cell in cells] == ["0.52", "0.86", "+0.34"]


@pytest.mark.parametrize(("lower", "upper", "tone"), [(0.1, 0.5, "resolved"), (-0.1, 0.7, "open")])
def test_only_a_resolved_sign_is_set_in_bold(lower: float, upper: float, tone: str) -> None:
    assert Notes().figure(figure(0.3, lower, upper), signed=True).tone == tone


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (24.7, "24.7"), (9_999, "9,999"), (204_800, "205 k"), (2.5e9, "2.5 G"), (math.inf, "\u221e")],
)
def test_counts_are_compact(value: float, text: str) -> None:
    assert compact(value) == text


def test_long_names_are_cut_and_the_cut_is_shown() -> None:
    assert shorten("x" * 30, 10) == "x" * 9 + "\u2026"
