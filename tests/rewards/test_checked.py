"""A reward function is called as TRL calls it, and its answers are checked."""

from __future__ import annotations

import math

import numpy as np
import pytest

from interlace.errors import DataError
from interlace.rewards import Reward, checked, completion_text

PROMPTS, COMPLETIONS = ["1+1=", "2+2="], ["2", "5"]


def right(completions, answer):
    return [float(text == gold) for text, gold in zip(completions, answer, strict=True)]


def test_a_function_receives_only_what_it_asks_for():
    trl_extras = {"trainer_state": object(), "log_extra": print, "log_metric": print, "other": [1, 2]}
    assert checked(right)(PROMPTS, COMPLETIONS, [[1], [2]], answer=["2", "4"], **trl_extras) == [1.0, 0.0]


def test_a_function_of_any_keyword_receives_everything():
    seen = {}

    def spy(prompts, completions, completion_ids, **columns):
        seen.update(columns, ids=completion_ids)
        return [0.0] * len(completions)

    checked(spy)(PROMPTS, COMPLETIONS, answer=["2", "4"])
    assert seen["ids"] is None and seen["answer"] == ["2", "4"]
    assert seen["trainer_state"] is None and seen["log_metric"]("name", 1.0) is None


def test_the_name_is_the_functions_own_and_wrapping_twice_changes_nothing():
    reward = checked(right)
    assert reward.__name__ == reward.name == "right" and Reward.__name__ == "Reward"
    assert checked(reward) is reward
    assert checked(right, "other").name == "other"


def test_none_numpy_and_bool_are_taken_as_trl_takes_them():
    assert checked(lambda completions: [None, np.float32(0.5)])(PROMPTS, COMPLETIONS) == [None, 0.5]
    assert checked(lambda completions: np.array([1, 0]))(PROMPTS, COMPLETIONS) == [1.0, 0.0]
    assert checked(lambda completions: [True, False])(PROMPTS, COMPLETIONS) == [1.0, 0.0]


def test_a_chat_completion_has_its_messages_text():
    assert completion_text([{"role": "assistant", "content": "85"}]) == completion_text("85") == "85"
    assert completion_text([{"role": "assistant", "content": None}]) == completion_text([]) == ""


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "1.0", {"score": 1.0}])
def test_what_is_not_a_finite_number_is_refused_with_its_row(value):
    with pytest.raises(DataError) as caught:
        checked(lambda completions: [0.0, value], "mine")(PROMPTS, COMPLETIONS)
    assert str(caught.value) == (
        f"reward 'mine' must return finite numbers or None. Got {value!r} in row 1, for the completion '5'. "
        "Return None for a completion that is not to be scored."
    )


def test_the_wrong_length_is_refused():
    with pytest.raises(DataError) as caught:
        checked(lambda completions: [1.0], "mine")(PROMPTS, COMPLETIONS)
    assert str(caught.value) == (
        "reward 'mine' must return one number a completion. Got 1 for 2 completions. "
        "Return None for a completion that is not to be scored."
    )


@pytest.mark.parametrize(("value", "kind"), [(1.0, "float"), (None, "NoneType"), ("ab", "str"), ({}, "dict")])
def test_what_is_no_list_is_refused(value, kind):
    with pytest.raises(DataError) as caught:
        checked(lambda completions: value, "mine")(PROMPTS, COMPLETIONS)
    assert str(caught.value) == f"reward 'mine' must return a list. Got {kind}. Return one number a completion."


def test_a_missing_column_is_named_with_those_there_are():
    with pytest.raises(DataError) as caught:
        checked(right)(PROMPTS, COMPLETIONS, gold=["2", "4"], other=[1, 2])
    assert str(caught.value) == (
        "reward 'right' must be given every column that it asks for: 'answer'. Got columns gold, other. Rename one."
    )


def test_a_coroutine_function_is_refused():
    async def later(completions):
        return [0.0]

    with pytest.raises(DataError, match=r"reward 'later' must be a plain function\. Got a coroutine function\."):
        checked(later)


def test_a_reward_that_raises_is_named() -> None:
    def boom(completions, **_):
        return {}["mycol"]

    with pytest.raises(DataError, match="reward 'boom' must score 1 completions. It raised KeyError: 'mycol'"):
        checked(boom)(["p"], ["c"])
