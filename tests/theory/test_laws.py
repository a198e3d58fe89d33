from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from interlace.theory.laws import LAWS, Condition
from interlace.theory.laws.page import markdown

from .problems import one_prompt

ROOT = Path(__file__).parents[2]


def test_docs_laws_is_the_generated_page():
    """If this fails: python -m interlace.theory.laws > docs/laws.md"""
    assert (ROOT / "docs" / "laws.md").read_text(encoding="utf-8") == markdown()


def test_the_module_prints_the_page():
    printed = subprocess.run([sys.executable, "-m", "interlace.theory.laws"], capture_output=True, check=True, cwd=ROOT,
                             env={"PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"})  # fmt: skip
    assert printed.stdout.decode() == markdown() and printed.stderr == b""


def test_every_label_of_the_theory_is_a_law():
    expected = [f"{room}{number}" for room, last in (("A", 11), ("B", 8), ("D", 15)) for number in range(1, last + 1)]
    assert sorted(LAWS) == sorted([*expected, "C7"])
    assert list(LAWS) == sorted(LAWS, key=lambda label: (label[0], int(label[1:])))


def test_every_law_is_whole():
    for label, law in LAWS.items():
        assert (
            law.label == label
            and law.statement.endswith(".")
            and (not law.details or law.details.endswith("."))
            and law.unit
            and law.source
        )
        for function in (law.function, *law.also):
            assert callable(function) and function.__doc__
        assert label in (law.function.__doc__ or "")


def test_every_law_has_a_test_named_after_it():
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "theory").glob("test_*.py"))
    assert [label for label in LAWS if f"def test_{label}_" not in tests] == []


@pytest.mark.parametrize(
    ("label", "expected"),
    [("A1", [True, None]), ("A2", [None, False]), ("A4", [True, None, True]), ("A8", [None, None]),
     ("A11", [True, True]), ("D13", [])],
)  # fmt: skip
def test_conditions_are_decided_where_a_problem_can_decide_them(label, expected):
    problem = one_prompt([0.5, 0.5], [0.2, 0.8], [0.0, 1.0])
    assert [condition.check({"problem": problem}) for condition in LAWS[label].conditions] == expected


def test_conditions_fail_where_they_should():
    flat = one_prompt([0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.3, 0.3, 1.0])
    failed = {str(c) for law in LAWS.values() for c in law.conditions if c.check({"problem": flat}) is False}
    words = ("L(π_ref) is finite", "the reward is not flat", "0 or 1 on the expert's", "starts at the expert")
    assert len(failed) == 4 and all(any(word in sentence for sentence in failed) for word in words)


def test_A8s_condition_is_about_the_start_of_sft():
    problem = one_prompt([0.0, 1.0], [0.2, 0.8], [0.0, 1.0])
    covered = LAWS["A8"].conditions[0]
    assert covered.check({"problem": problem, "start": np.array([[0.5, 0.5]])}) is True
    assert covered.check({"problem": problem, "start": np.array([[0.0, 1.0]])}) is False
    assert covered.check({"problem": problem}) is None


def test_a_condition_prints_as_its_sentence():
    assert str(Condition("the sky is up")) == "the sky is up"
    assert np.all([condition.sentence for law in LAWS.values() for condition in law.conditions])
