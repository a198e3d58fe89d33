"""What a class of a method must have is asked for when it is written, not when it is listed or never called."""

from __future__ import annotations

from typing import Any

import pytest

from interlace.errors import MethodError
from interlace.methods import Method

TOLD = {"name": "mine", "sentence": "as one likes", "source": "none"}


def written(**parts: Any) -> type[Method]:
    return type("Mine", (Method,), {"__module__": "methods.mine", **parts})


@pytest.mark.parametrize("part", TOLD)
def test_a_method_that_lacks_what_it_is_listed_by(part: str) -> None:
    with pytest.raises(MethodError) as caught:
        written(**{name: text for name, text in TOLD.items() if name != part})
    assert str(caught.value) == (
        "method Mine must have name, sentence, source, by which it is listed. "
        f"It has no {part}. Add it in methods.mine."
    )


@pytest.mark.parametrize(
    ("name", "meant"), [("wieghts", "weights"), ("re_group", "regroup"), ("folows", "follows"), ("sees", "see")]
)
def test_a_hook_that_is_misspelt(name: str, meant: str) -> None:
    with pytest.raises(MethodError, match=f"Nothing asks for '{name}': did you mean '{meant}'"):
        written(**TOLD, **{name: lambda self, step: None})


def test_what_a_method_remembers_under_another_name() -> None:
    with pytest.raises(MethodError, match="Nothing asks for 'states': did you mean 'state'"):
        written(**TOLD, states=property(lambda self: {}))


def test_what_is_ones_own_and_what_all_methods_begin_with_is_let_be() -> None:
    base = written(splits_gradient=True, _wieghts=lambda self: None, tangent=lambda self: None, weight=property(int))
    assert not hasattr(base, "name")
    assert type("Whole", (base,), TOLD).sentence == "as one likes"
