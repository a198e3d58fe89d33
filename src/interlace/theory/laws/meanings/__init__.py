"""What the value of a law MEANS for someone who post-trains a model: a sentence or two, with the numbers in them.

One file a room. A sentence is a function of a law's inputs and of the value; special values (0, infinity, a perfect
expert, a flat reward) have words of their own.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from interlace.theory.laws.checked import several
from interlace.theory.laws.conditions import BOUNDED
from interlace.theory.laws.law import Condition, Law
from interlace.theory.laws.meanings.distributional import DISTRIBUTIONAL
from interlace.theory.laws.meanings.frontier import BESIDE_FRONTIER, FRONTIER
from interlace.theory.laws.meanings.landscape import BESIDE_LANDSCAPE, LANDSCAPE
from interlace.theory.laws.meanings.paths import BESIDE_PATHS, PATHS

Meaning: TypeAlias = Callable[[Mapping[str, Any], Any], str]

MEANINGS: dict[str, Meaning] = DISTRIBUTIONAL | LANDSCAPE | PATHS | FRONTIER
"""What a law's own value means, by label."""

BESIDE: dict[str, Meaning] = BESIDE_LANDSCAPE | BESIDE_PATHS | BESIDE_FRONTIER
"""What the value of a further function means, by its name, where it may be asked alone."""

UNBOUNDED = (
    "SFT loss is infinite at the start: the expert gives responses that the reference cannot, so no change of it is "
    "defined. Give the reference some mass on them (pass rates above 0 and below 1), or leave those prompts out."
)


def meaning_of(
    law: Law,
    inputs: Mapping[str, Any],
    value: Any,
    also: Mapping[str, Any],
    conditions: Sequence[tuple[Condition, bool | None]],
) -> str:
    """What a reading means; after that, the conditions that fail, and those that only a run can show."""
    failed = [condition for condition, holds in conditions if holds is False]
    if BOUNDED in failed:
        return UNBOUNDED
    unknown = [condition for condition, holds in conditions if holds is None]
    return " ".join([_sentences(law, inputs, value, also), *_outside(failed), *_conditional(unknown)])


def _sentences(law: Law, inputs: Mapping[str, Any], value: Any, also: Mapping[str, Any]) -> str:
    if many := several(inputs):
        return f"One value for each {' and '.join(many)}. Give single numbers to have them put into words."
    if value is not None:
        return MEANINGS[law.label](inputs, value)
    return " ".join(_beside(law, inputs, name, found) for name, found in also.items())


def _beside(law: Law, inputs: Mapping[str, Any], name: str, value: Any) -> str:
    """What a further function found; its docstring's first sentence if nothing better is written."""
    if name in BESIDE:
        return BESIDE[name](inputs, value)
    function = next(each for each in law.also if each.__name__ == name)
    return f"{name}: {first_sentence(function)}"


def first_sentence(function: Callable[..., Any]) -> str:
    """The first sentence of a docstring, in one line and without the law's label."""
    text = " ".join(inspect.cleandoc(function.__doc__ or "").partition("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z])", re.sub(r"^[A-D]\d+[^:]*: ", "", text))[0]


def _outside(failed: Sequence[Condition]) -> list[str]:
    if not failed:
        return []
    named = "; ".join(map(str, failed))
    return [f"But the law does not apply as it stands, and this is only arithmetic; it needs: {named}."]


def _conditional(unknown: Sequence[Condition]) -> list[str]:
    if not unknown:
        return []
    count = "one condition" if len(unknown) == 1 else f"{len(unknown)} conditions"
    return [f"For a real run {count} must be measured first."]
