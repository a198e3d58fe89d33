"""Samples are shown letter by letter."""

from __future__ import annotations

import dataclasses

from interlace.analysis.summary import RunSummary
from interlace.report.samples import LONG, passage, pieces, stage_samples, writing
from interlace.store import RunRecord
from tests.report.examples import record_of


def signs(text: str) -> list[str]:
    return [piece.text for piece in pieces(text) if piece.sign]


def test_spaces_show_where_they_would_be_missed() -> None:
    assert signs(" yes") == ["\u00b7"]
    assert signs("one two") == []
    assert signs("one  two ") == ["\u00b7\u00b7", "\u00b7"]


def test_line_ends_tabs_and_invisible_characters_show() -> None:
    assert signs("a\n\tb") == ["\u21b5\n", "\u21e5\t"]
    assert signs("abc\u202edef\x00") == ["\u27e8U+202E\u27e9", "\u27e8U+0000\u27e9"]


def test_nothing_else_is_changed() -> None:
    text = "caf\u00e9 \u65e5\u672c <b>&amp;</b>"
    assert "".join(piece.text for piece in pieces(text)) == text


def test_long_texts_are_folded_and_kept_whole() -> None:
    text = "x" * (LONG + 1)
    shown = passage(text)
    assert shown.head
    assert "".join(piece.text for piece in shown.pieces) == text
    assert not passage("x" * LONG).head


def test_a_prompt_is_followed_from_before_to_after(run: tuple[RunRecord, RunSummary]) -> None:
    first, second = stage_samples(run[0])[1].rows
    assert first.before is not None and first.after is not None
    assert (first.before.step, first.before.reward, first.after.step, first.after.reward) == (0, "0", 100, "1")
    assert second.prompt.pieces[0].text == "10+05="


def test_a_stage_that_did_not_end_has_no_after(summary: RunSummary) -> None:
    record = record_of(summary)
    stages = tuple(dataclasses.replace(stage, samples=stage.samples[:2]) for stage in record.stages)
    row = stage_samples(dataclasses.replace(record, stages=stages))[0].rows[0]
    assert row.before is not None
    assert row.after is None


def test_chat_messages_are_led_by_their_role(summary: RunSummary) -> None:
    record = record_of(summary)
    chat = {"prompt": [{"role": "user", "content": "Is it right?"}], "reward": None}
    stages = tuple(
        dataclasses.replace(stage, samples=tuple({**sample, **chat} for sample in stage.samples))
        for stage in record.stages
    )
    row = stage_samples(dataclasses.replace(record, stages=stages))[0].rows[0]
    assert row.prompt.pieces[0].text == "user: Is it right?"
    assert row.before is not None and row.before.reward == "\u2013"


def test_an_empty_completion_is_called_so() -> None:
    assert [(piece.text, piece.sign) for piece in passage("").pieces] == [("empty", True)]


def test_how_responses_are_written_is_said_where_a_reader_would_wonder(run: tuple[RunRecord, RunSummary]) -> None:
    record = dataclasses.replace(run[0], resolved={"tasks": {"sums": {"kind": "addition"}, "rows": {"kind": "files"}}})
    assert writing(record) == ("On sums, sums are written last digit first, so 27+58=85 is answered 580.",)
    assert writing(dataclasses.replace(record, resolved={})) == ()
