"""What the report says of figures that are missing or strange."""

from __future__ import annotations

import math

from interlace.estimate import Estimate, Unresolved
from interlace.report.formatting import Notes
from interlace.report.instruments import reading_cell
from interlace.report.reasons import BACKWARDS, UNBOUNDED, in_users_words


def estimate(value: float, lower: float, upper: float) -> Estimate:
    return Estimate(value, lower, upper, 0.95, 12, "jackknife", "per reward unit")


def test_reasons_name_gradients_and_no_fields_of_code() -> None:
    found = in_users_words(
        "pl_constant is not resolved: gradient of the sft_loss: the squared norm is not clearly positive, "
        "-1.5 [-3.2, 3.3] from 12 parts: measure more prompts; outside_rl is not resolved: right vector: few"
    )
    assert "_" not in found and "vector" not in found and "norm" not in found
    assert "PL constant is not resolved: gradient of the SFT loss: not told from its noise" in found
    assert "\u22121.5 [\u22123.2, 3.3], 12 parts of the prompts" in found


def test_a_reason_stands_in_a_footnote_in_full() -> None:
    notes = Notes()
    cell = reading_cell(notes, Unresolved("left vector: few parts"))
    assert cell.note == 1 and notes.reasons == ["not resolved: gradient of the SFT loss: few parts"]


def test_infinity_and_a_negative_rl_time_have_a_footnote() -> None:
    notes = Notes()
    assert reading_cell(notes, estimate(3.0, 1.0, math.inf), "break_even_progress").note == 1
    assert reading_cell(notes, estimate(-2.0, -3.0, 1.0), "rl_time").note == 2
    assert reading_cell(notes, estimate(-2.0, -3.0, 1.0), "gradient_cosine").note is None
    assert notes.reasons == [UNBOUNDED, BACKWARDS]
