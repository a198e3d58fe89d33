"""The seam at which a method is asked: what it answers is checked, what it raises says which method it is and where.

Without it a method that answers with NaN trains every weight into NaN, and one that answers below 0 trains away from
what it was to imitate.
"""

from __future__ import annotations

import functools
import inspect
import math
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from types import FunctionType
from typing import Any, TypeAlias

import numpy as np

from interlace.errors import InterlaceError, TrainingError
from interlace.methods.base import Groups, Hint, Method, Regrouped, Weights

Broken: TypeAlias = tuple[str, str]
"""A rule that an answer breaks, and what was found."""

HOOKS = tuple(name for name, hook in vars(Method).items() if isinstance(hook, FunctionType) and name[0] != "_")


def asked(method: Method) -> Method:
    """The same method, from now on checked in every hook."""
    for hook in HOOKS:
        setattr(method, hook, _asked(type(method), hook, getattr(method, hook)))
    return method


def _asked(method: type[Method], hook: str, answer: Callable[..., Any]) -> Callable[..., Any]:
    check = CHECKS.get(hook)

    @functools.wraps(answer)
    def ask(*given: Any) -> Any:
        with blamed_on(method, hook):
            found = answer(*given)
        broken = check(found, given[0]) if check else None
        if broken is not None:
            rule, got = broken
            raise TrainingError(f"method {method.name}: {hook}{rule}. Got {got}. Mend {_file(method)}.")
        return found

    return ask


@contextmanager
def blamed_on(method: type[Method], hook: str) -> Iterator[None]:
    """What is raised in a hook names its method, and the line of its file. Raises TrainingError."""
    try:
        yield
    except InterlaceError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        files = {_file(each) for each in method.__mro__ if issubclass(each, Method)}
        at = ([frame for frame in frames if frame.filename in files] or frames)[-1]
        raise TrainingError(
            f"method {method.name}: {hook} must not fail. Got {type(error).__name__}: {str(error).rstrip('.')}, at "
            f"{at.filename}:{at.lineno}. Mend it there; `interlace --debug` shows the traceback."
        ) from error


def _file(method: type[Method]) -> str:
    return inspect.getfile(method)


def _weights(found: Any, step: int) -> Broken | None:
    if isinstance(found, Weights) and _are_weights((found.rl, found.sft)):
        return None
    return f"(step {step}) must be Weights, finite and not negative", repr(found)


def _regrouped(found: Any, groups: Groups) -> Broken | None:
    """Advantages that the trainer made are not the method's to answer for."""
    at = f"(step {groups.step}) must"
    if not isinstance(found, Regrouped):
        return f"{at} be what it makes of the groups, Regrouped", repr(found)
    shape, wanted = np.shape(found.advantages), groups.advantages.shape
    if shape != wanted:
        return f"{at} give each completion its advantage, shape {wanted}", f"shape {shape}"
    if found.advantages is not groups.advantages and not np.isfinite(found.advantages).all():
        return f"{at} give finite advantages", f"{(~np.isfinite(found.advantages)).sum()} that are not"
    weights = (found.sft, *(each.weight for each in found.imitated))
    if not _are_weights(weights):
        wrong = next(weight for weight in weights if not _are_weights([weight]))
        return f"{at} weigh what is imitated by what is finite and not negative", str(wrong)
    return None


def _hint(found: Any, step: int) -> Broken | None:
    if found is None or (isinstance(found, Hint) and 0.0 <= found.share <= 1.0):
        return None
    return f"(step {step}) must be None, or a Hint whose share is from 0 to 1", repr(found)


def _are_weights(weights: Iterable[Any]) -> bool:
    return all(isinstance(weight, Real) and 0.0 <= float(weight) < math.inf for weight in weights)


CHECKS: Mapping[str, Callable[[Any, Any], Broken | None]] = {
    "weights": _weights,
    "regroup": _regrouped,
    "hint": _hint,
}
"""Of the hooks whose answers the losses are made of: what is wrong with an answer to its first argument."""
