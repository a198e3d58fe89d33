"""Reward: TRL's signature, with its answers checked at every call, inside a trainer and outside of one."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from interlace.errors import DataError, InterlaceError, RewardError
from interlace.options import Options

RewardFunction: TypeAlias = Callable[..., Sequence[float | None]]
"""TRL's signature: ``f(prompts, completions, completion_ids, **columns) -> list of float or None``."""

Completion: TypeAlias = str | Sequence[Mapping[str, Any]]
"""Plain text, or the chat messages that follow a conversational prompt (as a rule one, the assistant's)."""

Rewarded: TypeAlias = tuple[tuple[str, float], ...]
"""Every response that earns a reward other than 0, with that reward: the expected reward is then a finite sum."""

RESERVED = frozenset({"prompts", "completions", "completion_ids", "trainer_state", "log_extra", "log_metric"})
"""What TRL hands to a reward beside the columns; no column may have one of these names."""


def completion_text(completion: Completion) -> str:
    """The text of a completion: itself, or the content of its last chat message ("" where it has none).

    >>> completion_text([{"role": "assistant", "content": "85"}])
    '85'
    """
    if isinstance(completion, str):
        return completion
    return str(completion[-1]["content"] or "") if completion else ""


def not_listed(columns: Mapping[str, Any]) -> Rewarded | None:
    """None: nothing is known about which responses earn reward, so that the expected reward has to be sampled."""
    return None


@dataclass(frozen=True)
class Reward:
    """A reward function under a name, callable as TRL calls it.

    `function` receives by keyword whatever its signature asks for and no more, so that ``f(completions, answer)`` is
    enough. `rewarded` lists, from a row's columns, every response that earns a reward other than 0, or returns None
    where they cannot be listed.

    Raises RewardError, a DataError, at the call if `function` asks for a column that is not there, returns the wrong
    number of rewards, or anything but finite numbers and None (None: this completion is not scored, as in TRL).
    """

    function: RewardFunction
    name: str
    rewarded: Callable[[Mapping[str, Any]], Rewarded | None] = not_listed

    @property
    def __name__(self) -> str:
        """The name under which TRL logs this reward."""
        return self.name

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Completion],
        completion_ids: Sequence[Any] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a completion. `columns` holds one value a completion under each name."""
        offered = {**_OUTSIDE_TRAINING, **columns, "prompts": prompts, "completions": completions}
        offered["completion_ids"] = completion_ids
        accepted = _accepted(self.name, self.function, offered)
        try:
            values = self.function(**accepted)
        except InterlaceError:
            raise
        except Exception as error:  # the user's code: whatever it raises is named as its own
            raise RewardError(
                f"reward {self.name!r} must score {len(completions)} completions. It raised "
                f"{type(error).__name__}: {error}. Mend the function.",
                self.name,
            ) from error
        return _numbers(self.name, values, completions)


class RewardOptions(Options):
    """A registered reward: its fields are its options, `score` is the function, and the class says what it costs."""

    sentence: ClassVar[str]
    source: ClassVar[str]
    cost: ClassVar[str] = "string comparison"

    def score(self, completions: Sequence[Completion], **columns: Any) -> list[float | None]:
        """One reward a completion, from its text and its row's columns."""
        raise NotImplementedError

    def rewarded(self, columns: Mapping[str, Any]) -> Rewarded | None:
        """Every response that earns a reward other than 0, or None where they cannot be listed."""
        return not_listed(columns)


def checked(function: Any, name: str | None = None) -> Reward:
    """`function` as a `Reward`, under `name` or its own. Raises DataError for what is no plain function."""
    if isinstance(function, Reward):
        return function
    if not callable(function):
        given = repr(function) if isinstance(function, str) else f"a {type(function).__name__}"
        raise DataError(f"a reward must be a function in TRL's signature. Got {given}. Pass the function itself.")
    name = name or str(getattr(function, "__name__", type(function).__name__))
    if inspect.iscoroutinefunction(function):
        raise DataError(f"reward {name!r} must be a plain function. Got a coroutine function. Wrap it in asyncio.run.")
    return Reward(function, name)


def column_values(columns: Mapping[str, Any], column: str, reward: str) -> Any:
    """What stands under `column`: a value a completion, or that of one row. Raises RewardError, with the columns there
    are, if it is missing."""
    if column not in columns:
        raise RewardError(_missing(reward, [column], columns), reward)
    return columns[column]


def _accepted(name: str, function: RewardFunction, offered: Mapping[str, Any]) -> dict[str, Any]:
    """What `function` asks for among `offered`; all of it if it takes any keyword."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        wanted = dict(offered)
    else:
        wanted = {parameter.name: offered[parameter.name] for parameter in parameters if parameter.name in offered}
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    missing = [parameter for parameter in required if parameter not in wanted]
    if missing:
        raise RewardError(_missing(name, missing, offered), name)
    return wanted


def _missing(reward: str, missing: Sequence[str], columns: Mapping[str, Any]) -> str:
    there = ", ".join(sorted(set(columns) - RESERVED))
    names = ", ".join(repr(name) for name in missing)
    found = f"columns {there}. Rename one." if there else "none beside prompt and completion. Add it to the rows."
    return f"reward {reward!r} must be given every column that it asks for: {names}. Got {found}"


def _numbers(name: str, values: object, completions: Sequence[Completion]) -> list[float | None]:
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        kind = type(values).__name__
        raise RewardError(f"reward {name!r} must return a list. Got {kind}. Return one number a completion.", name)
    rewards = list(values)
    if len(rewards) != len(completions):
        raise RewardError(
            f"reward {name!r} must return one number a completion. Got {len(rewards)} for {len(completions)} "
            "completions. Return None for a completion that is not to be scored.",
            name,
        )
    return [_number(name, row, value, completions[row]) for row, value in enumerate(rewards)]


def _number(name: str, row: int, value: Any, completion: Completion) -> float | None:
    if value is None:
        return None
    number = float(value) if hasattr(value, "__float__") else math.nan
    if math.isfinite(number):
        return number
    raise RewardError(
        f"reward {name!r} must return finite numbers or None. Got {value!r} in row {row}, for the completion "
        f"{completion_text(completion)[:60]!r}. Return None for a completion that is not to be scored.",
        name,
    )


def _log_nowhere(*arguments: Any, **named: Any) -> None:
    """Stands in for TRL's loggers where a reward is called outside of a trainer."""


_OUTSIDE_TRAINING: Mapping[str, Any] = {
    "trainer_state": None,
    "log_extra": _log_nowhere,
    "log_metric": _log_nowhere,
}
