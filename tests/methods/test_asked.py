"""What a method answers is checked where it is asked, and what it raises says which method it is and where."""

from __future__ import annotations

import inspect
import json
import math
from typing import Any, ClassVar

import numpy as np
import pytest

from interlace.errors import RecipeError, TrainingError
from interlace.methods import METHODS, Hint, Imitated, Method, Regrouped, Weights, build_method
from interlace.methods.asked import asked
from tests.methods.worlds import PLAN, expert, groups, made


class Vee(Method):
    """Answers what a test says."""

    name: ClassVar[str] = "vee"
    answer: Any = None

    def weights(self, step: int) -> Any:
        return self.answer

    def regroup(self, groups: Any) -> Any:
        return self.answer

    def hint(self, step: int, prompt: int, completion: int) -> Any:
        return self.answer

    def token_advantages(self, advantages: Any, tokens: Any) -> Any:
        return json.loads(advantages)

    def combine(self, rl: Any, sft: Any, metric: Any) -> Any:
        return self.options.pek


def vee(answer: Any) -> Any:
    method = asked(Vee(None, PLAN))
    method.answer = answer
    return method


@pytest.mark.parametrize(
    "answer", [Weights(math.nan, math.nan), Weights(4.0, -3.0), Weights(math.inf, 1.0), (0.5, 0.5), None]
)
def test_weights_must_be_finite_and_not_negative(answer: Any) -> None:
    with pytest.raises(TrainingError) as caught:
        vee(answer).weights(2)
    assert str(caught.value) == (
        f"method vee: weights(step 2) must be Weights, finite and not negative. Got {answer!r}. Mend {__file__}."
    )


ADVANTAGES = groups().advantages
REGROUPED = {
    "nothing": (None, "must be what it makes of the groups, Regrouped. Got None."),
    "another shape": (
        Regrouped(ADVANTAGES[:2]),
        "must give each completion its advantage, shape (3, 4). Got shape (2, 4).",
    ),
    "no number": (
        Regrouped(np.where(ADVANTAGES > 0, np.nan, ADVANTAGES)),
        "must give finite advantages. Got 3 that are not.",
    ),
    "a weight of all": (
        Regrouped(ADVANTAGES, sft=math.nan),
        "must weigh what is imitated by what is finite and not negative. Got nan.",
    ),
    "a weight of one": (
        Regrouped(ADVANTAGES, (Imitated(expert(0)), Imitated(expert(1), -1.0))),
        "must weigh what is imitated by what is finite and not negative. Got -1.0.",
    ),
}


@pytest.mark.parametrize(("answer", "message"), REGROUPED.values(), ids=REGROUPED)
def test_regrouped_groups_must_be_a_loss(answer: Any, message: str) -> None:
    with pytest.raises(TrainingError) as caught:
        vee(answer).regroup(groups(step=5))
    assert str(caught.value).startswith(f"method vee: regroup(step 5) {message}")


@pytest.mark.parametrize("answer", [Hint(1.5, in_prompt=True), Hint(math.nan, in_prompt=False), 0.5])
def test_a_hint_is_a_part_of_a_response(answer: Any) -> None:
    with pytest.raises(TrainingError, match=r"hint\(step 1\) must be None, or a Hint whose share is from 0 to 1. Got"):
        vee(answer).hint(1, 0, 0)


def test_what_may_be_answered_is_handed_on_as_it_is() -> None:
    unscored = groups([[math.nan, math.nan, 0.0, 0.0]])
    for hook, given, answer in (
        ("weights", (0,), Weights(np.float64(0.5), 0)),
        ("hint", (0, 0, 0), Hint(0.0, in_prompt=True)),
        ("hint", (0, 0, 0), None),
        ("regroup", (groups(),), Regrouped(ADVANTAGES, (Imitated(expert(0), 2.5),), 0.0)),
        ("regroup", (unscored,), Regrouped(unscored.advantages)),
    ):
        assert getattr(vee(answer), hook)(*given) is answer


def test_what_is_raised_in_a_hook_says_its_method_and_its_line() -> None:
    lines, first = inspect.getsourcelines(Vee.combine)
    line = first + next(place for place, text in enumerate(lines) if "pek" in text)
    with pytest.raises(TrainingError) as caught:
        vee(None).combine({}, {}, {})
    assert str(caught.value) == (
        "method vee: combine must not fail. Got AttributeError: 'NoneType' object has no attribute 'pek', at "
        f"{__file__}:{line}. Mend it there; `interlace --debug` shows the traceback."
    )
    assert isinstance(caught.value.__cause__, AttributeError)


def test_a_users_mistake_stays_what_it_is() -> None:
    def refuse(step: int, count: int) -> Any:
        raise RecipeError("no rows")

    with pytest.raises(RecipeError, match="^no rows$"):
        vee(None).imitated(0, refuse)


def test_the_file_that_is_named_is_the_methods_own_where_others_raise() -> None:
    """A base class's line counts as the method's; one of a library does not."""
    with pytest.raises(TrainingError, match=r"method joint: imitated must not fail. Got TypeError: .*/base\.py:\d+\."):
        made("joint").imitated(0, None)
    with pytest.raises(TrainingError, match=r"Got JSONDecodeError: .*/test_asked\.py:\d+\. Mend it there"):
        vee(None).token_advantages("not JSON", None)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_asked_so(name: str) -> None:
    built = build_method(name, PLAN)
    assert type(built) is METHODS[name] and built.weights(0) == METHODS[name](built.options, PLAN).weights(0)
    with pytest.raises(TrainingError, match=f"method {name}: weights must not fail"):
        built.weights()
