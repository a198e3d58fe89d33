"""A law read on given inputs: its value, what stands beside it, its conditions, and what that means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from interlace.errors import DataError, InterlaceError, RecipeError, unknown_name
from interlace.theory.finite import FiniteProblem
from interlace.theory.laws import LAWS
from interlace.theory.laws.checked import checked, one_by_one, several
from interlace.theory.laws.defaults import assume, defaults_of, known_inputs
from interlace.theory.laws.inputs import described, inputs_of
from interlace.theory.laws.law import Condition, Law
from interlace.theory.laws.meanings import meaning_of

GIVE_PROBLEM = (
    "Give a FiniteProblem; on the command line --pass-rates and --expert-reward, or --reference, --expert, --reward."
)


@dataclass(frozen=True, eq=False)
class Reading:
    """What a law says of the inputs that it was read on.

    `value` is what the law's own function returned, `also` what each further one did whose inputs are there, by name.
    Asked only of those, it has no value (None), and `missing` names what that would need. `assumed` says what stands in
    for inputs that were not given. A condition is True, False, or None: to be measured on the run.
    """

    law: Law
    inputs: Mapping[str, Any]
    assumed: Mapping[str, str]
    value: Any
    also: Mapping[str, Any]
    conditions: tuple[tuple[Condition, bool | None], ...]
    meaning: str
    missing: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The shape of a reading on the wire: named tuples and problems as objects."""
        return {
            "law": self.law.label,
            "statement": self.law.statement,
            "details": self.law.details,
            "conditions": [{"condition": str(each), "holds": holds} for each, holds in self.conditions],
            "inputs": _plain(self.inputs),
            "value": _plain(self.value),
            "also": _plain(self.also),
            "meaning": self.meaning,
        }


def find_law(label: str) -> Law:
    """The law of that label, in capitals or not. Raises RecipeError for an unknown one."""
    known = label.strip().upper()
    if known not in LAWS:
        raise RecipeError(f"{unknown_name('LAW', label, LAWS)} `interlace list laws` says what each is.")
    return LAWS[known]


def read_law(law: Law, inputs: Mapping[str, Any]) -> Reading:
    """Evaluate `law` on `inputs`, by the names of its functions' parameters (`interlace.theory.laws.inputs`).

    Lists may stand for arrays. Every function of the law whose inputs are there is evaluated. What was not given may be
    assumed (`interlace.theory.laws.defaults`): the policy, say, is the RL path at `rl_time`.

    Raises RecipeError for an unknown input, or if some are missing; DataError for one that breaks its rule.

    >>> read_law(LAWS["B1"], {"gap": 0.5, "pl_constant": 1.0, "time": 0.0}).value
    0.5
    """
    _check_names(law, inputs)
    given = checked({name: value for name, value in inputs.items() if value is not None})
    assumed = assume(law, given)
    there = given | {name: each.value for name, each in assumed.items()}
    found = {each.__name__: _evaluate(law, each, there) for each in (law.function, *law.also) if _can(each, there)}
    missing = tuple(name for name in inputs_of(law.function, required=True) if name not in there)
    if missing and not _asked_beside(law, given, found):
        raise _must_be_given(law, given, missing)
    used = {*given, *_used(law, found)}
    conditions = tuple((condition, _decide(condition, there)) for condition in law.conditions)
    value = found.pop(law.function.__name__, None)
    return Reading(
        law=law,
        inputs={name: there[name] for name in there if name in used},
        assumed={name: each.sentence for name, each in assumed.items() if name in used},
        value=value,
        also=found,
        conditions=conditions,
        meaning=meaning_of(law, there, value, found, conditions),
        missing=missing,
    )


def _check_names(law: Law, inputs: Mapping[str, Any]) -> None:
    known = known_inputs(law)
    unknown = next((name for name in inputs if name not in known), None)
    if unknown is not None:
        raise RecipeError(f"{unknown_name(f'an input of {law.label}', unknown, known)} Leave it out, or correct it.")


def _can(function: Callable[..., Any], there: Mapping[str, Any]) -> bool:
    return set(inputs_of(function, required=True)) <= there.keys()


def _evaluate(law: Law, function: Callable[..., Any], there: Mapping[str, Any]) -> Any:
    arguments = {name: there[name] for name in inputs_of(function) if name in there}
    try:
        with np.errstate(all="ignore"):  # what is not finite is said in words
            return function(**arguments)
    except InterlaceError:
        raise
    except ValueError as error:
        raise _misfit(law, arguments, error) from None


def _misfit(law: Law, arguments: Mapping[str, Any], error: ValueError) -> DataError:
    """What NumPy could not fit together."""
    if many := several(arguments):
        found = f"Got {arguments[many[0]]}"
        return DataError(f"{many[0]} must be one number for {law.label}. {found}. Read them one by one.")
    shapes = ", ".join(f"{name} {np.shape(value)}" for name, value in arguments.items() if np.ndim(value) > 0)
    return DataError(f"the inputs of {law.label} must fit together. Got shapes {shapes}. NumPy says: {error}.")


def _asked_beside(law: Law, given: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether a further function was asked on purpose: it was given an input that the law's own does not take."""
    own = inputs_of(law.function)
    asked = (name for each in law.also if each.__name__ in found for name in inputs_of(each))
    return any(name in given and name not in own for name in asked)


def _must_be_given(law: Law, given: Mapping[str, Any], missing: tuple[str, ...]) -> RecipeError:
    """What is assumed once the rest is there need not be given."""
    missing = tuple(name for name in missing if name not in defaults_of(law)) or missing
    plain = [name for name in missing if name != "problem"]
    how = [GIVE_PROBLEM] if "problem" in missing else []
    how += [f"Give {'it' if len(plain) == 1 else 'each'} as NAME=VALUE. {described(plain)}."] if plain else []
    there = ", ".join(given) or "nothing"
    return RecipeError(f"{', '.join(missing)} must be given for {law.label}. Got {there}. {' '.join(how)}")


def _used(law: Law, found: Mapping[str, Any]) -> set[str]:
    evaluated = (each for each in (law.function, *law.also) if each.__name__ in found)
    decided = (condition.holds for condition in law.conditions if condition.holds)
    return {name for function in (*evaluated, *decided) for name in inputs_of(function)}


def _decide(condition: Condition, there: Mapping[str, Any]) -> bool | None:
    """Whether the condition holds, for every one of several numbers."""
    names = inputs_of(condition.holds) if condition.holds else ()
    answers = [condition.check(inputs) for inputs in one_by_one({name: there[name] for name in names if name in there})]
    return None if None in answers else all(answers)


def _plain(value: Any) -> Any:
    """Problems and named tuples as objects."""
    if isinstance(value, FiniteProblem):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, Mapping) else value
