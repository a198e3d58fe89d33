"""The options of a stage that TRL owns: checked against TRL's own configs, so that a TRL YAML can be pasted."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError

from interlace.options import rule_of, unknown_key
from interlace.recipe.model import FOREIGN, StageConfig
from interlace.stages import RESERVED, STAGES

AUTOMATIC = {"bf16"}
"""Options that may also be `auto`: whatever the machine gains by."""


def option_problems(stage: StageConfig) -> Iterator[tuple[str, str]]:
    """(option, sentence) for each option of `stage` that TRL would not take or that is not the user's to set."""
    found = False
    for option, value in stage.options.items():
        sentence = _reserved(option, value) or _unknown(stage.kind, option) or _mistyped(stage.kind, option, value)
        if sentence:
            found = True
            yield option, sentence
    needs_steps = STAGES[stage.kind].trains and not stage.options.keys() & {"max_steps", "num_train_epochs"}
    if not found and needs_steps:
        yield "", f"stage {stage.name!r} must say max_steps or num_train_epochs. Got neither. Add max_steps."
    if isinstance(stage.max_steps, int) and stage.max_steps < 1:
        yield "max_steps", f"max_steps must be at least 1. Got {stage.max_steps}. Change it."


def with_trl_types(stage: StageConfig) -> StageConfig:
    """`stage` with its options in TRL's types, the text "100" as the number; what TRL would not take stays as it is."""
    if stage.kind not in STAGES:
        return stage
    typed = {option: _typed(stage.kind, option, value) for option, value in stage.options.items()}
    return stage.model_copy(update={"options": typed})


@functools.cache
def option_types(kind: str) -> dict[str, Any]:
    """Name and type of every option that TRL takes for a stage of `kind`: none if it trains nothing. Imports TRL."""
    import trl

    name = STAGES[kind].config
    if name is None:
        return {}
    config = getattr(trl, name)
    types = typing.get_type_hints(config)
    return {item.name: types[item.name] for item in dataclasses.fields(config) if item.init}


def _reserved(option: str, value: Any) -> str | None:
    if option not in RESERVED:
        return None
    return f"{option} must be left to interlace: {RESERVED[option]}. Got {value!r}. Remove it."


def _unknown(kind: str, option: str) -> str | None:
    known = option_types(kind)
    if option in known:
        return None
    ours = set(StageConfig.model_fields) - {"kind", "options"} - FOREIGN.get(kind, set())
    config = f" ({STAGES[kind].config})" if STAGES[kind].trains else ""
    return unknown_key(option, (set(known) | ours) - set(RESERVED), f"a stage of kind {kind}{config}")


def _mistyped(kind: str, option: str, value: Any) -> str | None:
    try:
        _as_trl_takes_it(kind, option, value)
    except ValidationError as error:
        return f"{option} must {rule_of(error.errors()[0])}. Got {value!r}."
    return None


def _typed(kind: str, option: str, value: Any) -> Any:
    try:
        return _as_trl_takes_it(kind, option, value)
    except (KeyError, ValidationError):
        return value


def _as_trl_takes_it(kind: str, option: str, value: Any) -> Any:
    """`value` in the option's type, as plain data. Raises KeyError or ValidationError if TRL would not take it."""
    if option in AUTOMATIC and value == "auto":
        return value
    adapter = TypeAdapter(option_types(kind)[option])
    return adapter.dump_python(adapter.validate_python(value), mode="json")
