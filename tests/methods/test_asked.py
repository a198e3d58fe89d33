"""What a method answers is checked where it is asked, and what it raises says which method it is and where."""

from __future__ import annotations

import inspect
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import interlace
from interlace.errors import RecipeError, TrainingError
from interlace.methods import (
    METHODS,
    ONLY_RL,
    ExpertTokens,
    Hint,
    Imitated,
    Method,
    Regrouped,
    SampledTokens,
    Update,
    Weights,
    blamed_on,
    build_method,
)
from interlace.methods.asked import asked
from tests.methods.worlds import PLAN, expert, groups, made


class Vee(Method):
    """Answers what a test says."""

    name: ClassVar[str] = "vee"
    sentence: ClassVar[str] = "what a test says"
    source: ClassVar[str] = "none"
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


def test_an_update_has_a_weight() -> None:
    with pytest.raises(TrainingError, match=r"weights\(step 2\) must have a weight that is not 0. Got Weights\(rl=0"):
        vee(Weights(0.0, 0.0)).weights(2)


class Ay(Vee):
    """Answers so in every other hook."""

    name: ClassVar[str] = "ay"

    def imitated(self, step: int, stream: Any) -> Any:
        return self.answer

    def token_advantages(self, advantages: Any, tokens: Any) -> Any:
        return self.answer

    def expert_loss(self, tokens: Any) -> Any:
        return self.answer

    def combine(self, rl: Any, sft: Any, metric: Any) -> Any:
        return self.answer

    def settle(self, update: Any) -> Any:
        return self.answer

    def displacement(self) -> Any:
        return self.answer


def ay(answer: Any) -> Any:
    method = asked(Ay(None, PLAN))
    method.answer = answer
    return method


MASK = torch.tensor([[True, True, True], [True, True, False]])
LOGPROBS = torch.full((2, 3), -1.0)
EXPERT = ExpertTokens(LOGPROBS, -LOGPROBS, MASK)
SAMPLED = SampledTokens(LOGPROBS, -LOGPROBS, MASK, torch.zeros(2, dtype=torch.bool), torch.zeros_like(MASK))
BOTH = {"a": torch.zeros(2, 3), "b": torch.zeros(4)}
UPDATE = Update(1, "a", *(torch.zeros(2, 3) for _ in range(3)), learning_rate=0.1)
ROW = torch.tensor([1.0, -1.0])
NAN = torch.tensor([[0.0, math.nan, 0.0], [0.0, 0.0, 0.0]])
WRONG: dict[str, tuple[str, tuple[Any, ...], Any, str]] = {
    "a row below 0": ("imitated", (3, None), [Imitated(expert(0), -3.0)],
        "(step 3) must weigh what is imitated by what is finite and not negative. Got -3.0."),
    "a row that is no number": ("imitated", (3, None), [Imitated(expert(0)), Imitated(expert(0), math.nan)],
        "(step 3) must weigh what is imitated by what is finite and not negative. Got nan."),
    "no rows": ("imitated", (3, None), None, "(step 3) must imitate a sequence of Imitated. Got None."),
    "rows of another kind": ("imitated", (3, None), "ab", "(step 3) must imitate a sequence of Imitated. Got 'a'."),
    "advantages of others": ("token_advantages", (ROW, SAMPLED), torch.zeros(3),
        " must give completions or their tokens advantages, shape (2,) or (2, 3). Got shape (3,)."),
    "advantages that are no numbers": ("token_advantages", (ROW, SAMPLED), NAN,
        " must give finite advantages. Got 1 that are not."),
    "a mean": ("expert_loss", (EXPERT,), torch.tensor(1.0),
        " must give each token its loss, shape (2, 3). Got shape ()."),
    "no tensor": ("expert_loss", (EXPERT,), 1.0, " must give each token its loss, shape (2, 3). Got 1.0."),
    "losses that are no numbers": ("expert_loss", (EXPERT,), NAN, " must give finite losses. Got 1 that are not."),
    "no gradients": ("combine", (BOTH, BOTH, BOTH), None, " must give each parameter its gradient, by name. Got None."),
    "one gradient": ("combine", (BOTH, BOTH, BOTH), {"a": BOTH["a"]},
        " must give each parameter that it is handed its gradient. Got what lacks b."),
    "a gradient of what is none": ("combine", (BOTH, BOTH, BOTH), {**BOTH, "c": ROW},
        " must give each parameter that it is handed its gradient. Got what has c."),
    "a gradient of another": ("combine", (BOTH, BOTH, BOTH), {**BOTH, "b": ROW},
        " must give b a gradient of its shape, (4,). Got shape (2,)."),
    "another parameter": ("settle", (UPDATE,), ROW, " must give a its shape, (2, 3). Got shape (2,)."),
    "no place": ("displacement", (), {"a": 1.0}, " must be tensors by parameter. Got {'a': 1.0}."),
}  # fmt: skip


@pytest.mark.parametrize(("hook", "given", "answer", "message"), WRONG.values(), ids=WRONG)
def test_what_updates_are_made_of_has_its_shape(hook: str, given: tuple[Any, ...], answer: Any, message: str) -> None:
    with pytest.raises(TrainingError) as caught:
        getattr(ay(answer), hook)(*given)
    assert str(caught.value) == f"method ay: {hook}{message} Mend {__file__}."


def test_what_was_not_finite_before_is_not_the_methods_fault() -> None:
    outside = torch.where(MASK, 0.0, math.nan)
    broken = replace(EXPERT, logprobs=NAN), replace(SAMPLED, logprobs=NAN)
    for hook, given, answer in (
        ("expert_loss", (EXPERT,), outside),
        ("expert_loss", (broken[0],), NAN),
        ("token_advantages", (ROW, broken[1]), NAN),
        ("token_advantages", (ROW * math.nan, SAMPLED), ROW * math.nan),
        ("token_advantages", (ROW, SAMPLED), ROW),
        ("imitated", (3, None), ()),
        ("combine", (BOTH, BOTH, BOTH), dict(BOTH)),
        ("settle", (UPDATE,), UPDATE.after),
        ("displacement", (), {}),
    ):
        assert getattr(ay(answer), hook)(*given) is answer


def test_hooks_may_be_asked_by_name() -> None:
    assert vee(ONLY_RL).weights(step=2) is ONLY_RL
    with pytest.raises(TrainingError, match=r"imitated\(step 4\) must imitate a sequence of Imitated. Got None"):
        ay(None).imitated(stream=None, step=4)


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


def half() -> Hint:
    """With a share that is no number, which types refuse in tests alone."""
    made = Hint(0.5, in_prompt=True)
    object.__setattr__(made, "share", "half")
    return made


@pytest.mark.parametrize("answer", [Hint(1.5, in_prompt=True), Hint(math.nan, in_prompt=False), half(), 0.5])
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


def elsewhere(source: str, file: Path) -> Any:
    """What `source` defines as `given`, as if it stood in a file."""
    made: dict[str, Any] = {}
    exec(compile(source, str(file), "exec"), made)
    return made["given"]


STREAM = "def given(step, count):\n    raise OSError('the disk')"


@pytest.mark.parametrize("package", ["stages", "callback", "pipeline"])
def test_what_the_trainer_fails_in_is_not_blamed_on_the_method(package: str) -> None:
    """Nor is it hidden behind what the trainer calls; a function of the user's own is the method's."""
    theirs = elsewhere(STREAM, Path(interlace.__file__).parent / package / "made_up.py")
    with pytest.raises(OSError, match="^the disk$"):
        made("joint").imitated(0, theirs)
    through = "import json\ndef given(step, count):\n    return json.loads('no JSON')"
    with pytest.raises(json.JSONDecodeError):
        made("joint").imitated(0, elsewhere(through, Path(interlace.__file__).parent / package / "made_up.py"))
    with pytest.raises(TrainingError, match=r"imitated must not fail. Got OSError: the disk, at .*/base\.py:\d+\."):
        made("joint").imitated(0, elsewhere(STREAM, Path("/made/up/mine.py")))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError("no room")])
def test_memory_that_has_run_out_is_nobodys_fault(error: Exception) -> None:
    def stream(step: int, count: int) -> Any:
        raise error

    with pytest.raises(type(error)) as caught:
        made("joint").imitated(0, stream)
    assert caught.value is error


def test_a_state_that_cannot_be_written_is_the_methods() -> None:
    with pytest.raises(TrainingError) as caught, blamed_on(Vee, "state"):
        json.dumps({"seen": object()})
    assert f"at {__file__}. Mend it there" in str(caught.value)


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
