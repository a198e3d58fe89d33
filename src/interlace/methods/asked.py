"""The seam at which a method is asked: what it answers is checked (`answers`), what it raises says which method it is
and where (`blame`).

Without it a method that answers with NaN trains every weight into NaN, and one that answers below 0 trains away from
what it was to imitate.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from interlace.errors import TrainingError
from interlace.methods.answers import CHECKS
from interlace.methods.base import Method
from interlace.methods.blame import blamed_on, file_of

HOOKS = tuple(name for name, hook in vars(Method).items() if isinstance(hook, FunctionType) and name[0] != "_")


def asked(method: Method) -> Method:
    """The same method, from now on checked in every hook."""
    for hook in HOOKS:
        setattr(method, hook, _asked(type(method), hook, getattr(method, hook)))
    return method


def _asked(method: type[Method], hook: str, answer: Callable[..., Any]) -> Callable[..., Any]:
    check, signature = CHECKS.get(hook), inspect.signature(answer)

    @functools.wraps(answer)
    def ask(*given: Any, **named: Any) -> Any:
        with blamed_on(method, hook):
            found = answer(*given, **named)
            broken = check(found, *signature.bind(*given, **named).args) if check else None
        if broken is not None:
            rule, got = broken
            raise TrainingError(f"method {method.name}: {hook}{rule}. Got {got}. Mend {file_of(method)}.")
        return found

    return ask
