"""Exclusion rules: each leaves out what it says, and counts it."""

from __future__ import annotations

from collections import Counter

import pytest

from interlace.tasks.exclusion import Exclude, sift
from interlace.tasks.records import Record

RECORDS = [
    Record(f"row {index}", {"prompt": prompt, "label": label})
    for index, (prompt, label) in enumerate([("a", "1"), (" ", "0"), ("b", None), ("c", 0), ("d", "2"), ([], "1")])
]


@pytest.mark.parametrize(
    ("options", "kept", "counted"),
    [
        ({}, "abcd", {}),
        ({"empty": True}, "acd", {"empty": 3}),
        ({"where": {"label": "0"}}, "abd", {"label is 0": 2}),
        ({"where": {"label": [0, "2"]}}, "ab", {"label is 0 or 2": 3}),
        ({"where": {"label": None}}, "acd", {"label is ": 1}),
        ({"where": {"label": "x"}, "empty": True}, "acd", {"label is x": 0, "empty": 3}),
        ({"where": {"label": 0}, "empty": True}, "ad", {"label is 0": 2, "empty": 2}),
    ],
)
def test_rules_about_columns(options, kept, counted):
    counts: Counter[str] = Counter()
    left = sift(RECORDS, Exclude(**options).record_rules(["prompt", "label"]), counts)
    assert "".join(record.values["prompt"] for record in left if record.values["prompt"]).replace(" ", "") == kept
    assert counts == counted and set(counts) == set(counted)


@pytest.mark.parametrize(
    ("options", "kept", "counted"),
    [
        ({"duplicates": True}, [0, 1, 3, 4], {"duplicates": 1}),
        ({"max_characters": 3}, [0, 1, 2, 3], {"more than 3 characters": 1}),
        ({"max_characters": 1, "duplicates": True}, [], {"duplicates": 1, "more than 1 characters": 4}),
    ],
)
def test_rules_about_texts(options, kept, counted):
    texts = [("a", "b"), ("a", "c"), ("a", "b"), ("ab", ""), ("ab", "cd")]
    counts: Counter[str] = Counter()
    left = sift(list(enumerate(texts)), Exclude(**options).text_rules(), counts, view=lambda item: item[1])
    assert [index for index, _ in left] == kept and counts == counted
