"""The inputs of a law, checked as their kinds ask: a mistake becomes one sentence that names the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from interlace.errors import DataError
from interlace.theory.finite import FiniteProblem, check_distribution
from interlace.theory.laws.inputs import INPUTS, Kind


def checked(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Lists as arrays, and every input as its kind asks for it; None stands for an input that was not given.

    Raises DataError for the first that is not.
    """
    given: dict[str, Any] = {
        name: as_array(name, value) if isinstance(value, list | tuple) else value for name, value in inputs.items()
    }
    problem = given.get("problem")
    for name, value in given.items():
        if value is not None:
            _CHECKS[INPUTS[name].kind](name, value)
    fitted = {name: value if value is None else _fitted(name, value, problem) for name, value in given.items()}
    _check_samples({name: value for name, value in fitted.items() if INPUTS[name].kind == "samples"})
    return fitted


def several(inputs: Mapping[str, Any]) -> list[str]:
    """Inputs that are one number for the law but were given as many."""
    return [name for name, value in inputs.items() if INPUTS[name].kind == "number" and np.ndim(value) > 0]


def one_by_one(inputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """`inputs` again and again, with one number each in place of every array of numbers, as they broadcast.

    >>> list(one_by_one({"gap": np.array([1.0, 2.0]), "time": 0.5}))
    [{'gap': 1.0, 'time': 0.5}, {'gap': 2.0, 'time': 0.5}]
    """
    names = several(inputs)
    arrays = np.broadcast_arrays(*(inputs[name] for name in names)) if names else [np.zeros(1)]
    for numbers in zip(*(array.ravel().tolist() for array in arrays), strict=True):
        yield {**inputs, **dict(zip(names, numbers, strict=False))}


def as_array(name: str, value: list[Any] | tuple[Any, ...]) -> np.ndarray:
    """Nested lists of numbers as an array. Raises DataError for anything but numbers in rows of one length."""
    for entry in _entries(value):
        if isinstance(entry, bool) or not isinstance(entry, float | int | np.number):
            raise DataError(f"{name} must hold numbers. Got {entry!r}. Write numbers without quotes.")
    try:
        return np.array(value, dtype=np.float64)
    except ValueError:
        lengths = sorted({len(row) if isinstance(row, list | tuple) else 1 for row in value})
        found = " and ".join(map(str, lengths)) if len(lengths) > 1 else "unlike ones further in"
        raise DataError(
            f"{name} must have rows of one length. Got lengths {found}. Pad slots that a prompt lacks with 0."
        ) from None


def _entries(value: Any) -> Iterator[Any]:
    for item in value:
        if isinstance(item, list | tuple):
            yield from _entries(item)
        elif isinstance(item, np.ndarray):
            yield from item.ravel()
        else:
            yield item


def _fitted(name: str, value: Any, problem: FiniteProblem | None) -> Any:
    """A table with its rows, in the problem's shape."""
    kind = INPUTS[name].kind
    table = value[None, :] if kind in ("policy", "table", "samples") and np.ndim(value) == 1 else value
    if kind in ("policy", "table") and problem is not None and np.shape(table) != problem.reference.shape:
        shapes = f"{problem.reference.shape}. Got {np.shape(table)}"
        raise DataError(f"{name} must have the reference's shape {shapes}. Give a row a prompt, a number a response.")
    return table


def _check_samples(tables: Mapping[str, Any]) -> None:
    """Tables of samples belong together, number by number."""
    first, *others = tables or [""]
    for name in others:
        if np.shape(tables[name]) != np.shape(tables[first]):
            shapes = f"{np.shape(tables[first])}. Got {np.shape(tables[name])}"
            raise DataError(f"{name} must have the shape of {first} {shapes}. Give one number for each.")


def _check_problem(name: str, value: Any) -> None:
    if not isinstance(value, FiniteProblem):
        raise DataError(f"{name} must be a FiniteProblem. Got {type(value).__name__}. Make one with its four tables.")


def _check_policy(name: str, value: Any) -> None:
    _check_table(name, value)
    check_distribution(name, np.atleast_2d(value))


def _check_table(name: str, value: Any) -> None:
    if np.ndim(value) not in (1, 2):
        raise DataError(f"{name} must be a table. Got {value!r}. Give a row a prompt, such as [[0.4, 0.6]].")
    _check_number(name, value)


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, float | int | np.number | np.ndarray):
        raise DataError(f"{name} must be a number. Got {value!r}. Give {INPUTS[name].sentence}.")
    if np.isnan(value).any():
        raise DataError(f"{name} must hold no NaN. Got {value}. Leave out what was not measured.")
    if name in _LEAST and np.size(value) and np.min(value) < 0.0:
        raise DataError(f"{name} must be at least 0. Got {value}. {_LEAST[name]}")
    if name in _FINITE and not np.isfinite(value).all():
        raise DataError(f"{name} must be finite. Got {value}. Give {INPUTS[name].sentence}.")


_LEAST = {
    "rl_time": "RL time counts from the reference on.",
    "sft_time": "SFT time counts from the start on.",
    "step_size": "Give the size of a step.",
    "variance": "A variance is never negative.",
    "variances": "A variance is never negative.",
}
_FINITE = ("step_size", "velocity", "reward", "rewards", "variance", "variances", "log_ratios")


def _check_whole(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise DataError(f"{name} must be a whole number. Got {value!r}. Give {INPUTS[name].sentence}.")


def _check_truth(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise DataError(f"{name} must be true or false. Got {value!r}. It says {INPUTS[name].sentence}.")


def _check_word(name: str, value: Any) -> None:
    """Which words there are is known to the functions that take them."""
    if not isinstance(value, str):
        raise DataError(f"{name} must be a word. Got {value!r}. Give {INPUTS[name].sentence}.")


_CHECKS: dict[Kind, Callable[[str, Any], None]] = {
    "problem": _check_problem,
    "policy": _check_policy,
    "table": _check_table,
    "samples": _check_table,
    "numbers": _check_number,
    "number": _check_number,
    "whole": _check_whole,
    "truth": _check_truth,
    "word": _check_word,
}
