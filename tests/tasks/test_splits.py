"""Splits: disjoint by prompt, drawn by the seed alone, fingerprinted the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlace.tasks import Task

prompts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=4).filter(str.strip)
rows = st.lists(
    st.fixed_dictionaries({"prompt": prompts, "completion": st.sampled_from("ab")}), min_size=2, max_size=30
)
several = rows.filter(lambda drawn: len({row["prompt"] for row in drawn}) > 1)

PRINT_FINGERPRINT = """
from interlace.tasks import Task, build_task
rows = [{"prompt": f"{n} é", "completion": str(n % 3), "b": None, "a": {n}} for n in range(40)]
print(Task.from_rows(rows).fingerprint())
print(build_task("sums", {"kind": "addition", "digits": 3, "train_prompts": 50, "heldout": 50}, 3).fingerprint())
"""


def keys(examples):
    return {example.prompt for example in examples}


@settings(max_examples=40, deadline=None)
@given(several, st.integers(0, 99))
def test_no_prompt_is_in_both_splits_and_none_is_lost(drawn, seed):
    task = Task.from_rows(drawn, seed=seed)
    assert not keys(task.train) & keys(task.heldout)
    assert keys(task.train) | keys(task.heldout) == {row["prompt"] for row in drawn}
    assert sum(example.num_rows for example in (*task.train, *task.heldout)) == len(drawn)


@settings(max_examples=40, deadline=None)
@given(several, st.randoms(use_true_random=False))
def test_the_split_does_not_depend_on_the_order_of_the_rows(drawn, random):
    shuffled = random.sample(drawn, len(drawn))
    first, second = Task.from_rows(drawn, heldout=1), Task.from_rows(shuffled, heldout=1)
    assert keys(first.heldout) == keys(second.heldout) and keys(first.train) == keys(second.train)


@settings(max_examples=40, deadline=None)
@given(several)
def test_the_heldout_prompts_are_nested_and_do_not_depend_on_the_training_prompts(drawn):
    count = len({row["prompt"] for row in drawn}) - 1
    most = Task.from_rows(drawn, heldout=count)
    least = Task.from_rows(drawn, heldout=1)
    assert least.heldout == most.heldout[:1]
    without_one = [row for row in drawn if row["prompt"] in keys(most.heldout)]
    assert count < 2 or Task.from_rows(without_one, heldout=1).heldout == least.heldout


@settings(max_examples=40, deadline=None)
@given(several, several)
def test_prompts_of_heldout_rows_are_dropped_from_the_training_rows_and_counted(drawn, own):
    left = [row for row in drawn if row["prompt"] not in {row["prompt"] for row in own}]
    if left:
        task = Task.from_rows(drawn, heldout=own)
        assert keys(task.train) == {row["prompt"] for row in left} and keys(task.heldout) == {r["prompt"] for r in own}
        assert task.exclusions == {"prompt is held out": len(drawn) - len(left)}


def test_seeds_draw_different_splits():
    drawn = [{"prompt": str(n), "completion": "a"} for n in range(100)]
    assert len({tuple(example.prompt for example in Task.from_rows(drawn, seed=s).heldout) for s in range(20)}) == 20


def test_each_prompt_is_held_out_as_often_as_any_other():
    drawn = [{"prompt": str(n), "completion": "a"} for n in range(10)]
    times = dict.fromkeys(map(str, range(10)), 0)
    for seed in range(200):
        for example in Task.from_rows(drawn, heldout=2, seed=seed).heldout:
            times[example.prompt] += 1
    assert all(abs(count - 40) < 5 * (200 * 0.2 * 0.8) ** 0.5 for count in times.values())


@pytest.mark.parametrize(
    "change",
    [{"completion": "c"}, {"prompt": "other"}, {"note": 2}],
    ids=["completion", "prompt", "column"],
)
def test_the_fingerprint_changes_with_the_content_of_its_split_alone(change):
    drawn = [{"prompt": str(n), "completion": "a", "note": 1} for n in range(20)]
    before = Task.from_rows(drawn[5:], heldout=drawn[:5]).fingerprint()
    drawn[-1] = drawn[-1] | change
    after = Task.from_rows(drawn[5:], heldout=drawn[:5]).fingerprint()
    assert before["train"] != after["train"] and before["heldout"] == after["heldout"]


def test_the_fingerprint_holds_the_rewards():
    drawn = [{"prompt": str(n), "completion": "a"} for n in range(20)]
    ones, halves = (Task.from_rows(drawn, lambda completions, v=v: [v] * len(completions)) for v in (1.0, 0.5))
    assert ones.fingerprint()["train"] != halves.fingerprint()["train"]


def test_fingerprints_are_the_same_in_every_process():
    printed = {
        subprocess.run(
            [sys.executable, "-c", PRINT_FINGERPRINT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(printed) == 1 and len(printed.pop().split()) == 8
