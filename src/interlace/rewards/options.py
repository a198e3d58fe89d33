"""Options as the user writes them: frozen, documented under each field, and refused with one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from interlace.errors import RecipeError, unknown_name


class Options(BaseModel):
    """Base of every option model: no field may change, none may be unknown, each is documented by its docstring."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


OptionsType = TypeVar("OptionsType", bound=Options)


def parse_options(model: type[OptionsType], config: Mapping[str, Any], owner: str) -> OptionsType:
    """The options of `owner` (``task 'sums'``) read from `config`.

    Raises RecipeError, one sentence about the first mistake; an unknown option is answered with the nearest known one.
    """
    try:
        return model.model_validate(dict(config))
    except ValidationError as error:
        raise RecipeError(_sentence(model, error.errors()[0], owner)) from None


def _sentence(model: type[Options], mistake: Mapping[str, Any], owner: str) -> str:
    location = mistake["loc"]
    if mistake["type"] == "extra_forbidden":
        return unknown_name(f"{owner}: an option", str(location[-1]), model_at(model, location[:-1]).model_fields)
    if mistake["type"] == "missing":
        return f"{owner}: {_dotted(location)} must be given."
    if mistake["type"] == "value_error":
        return f"{owner}: {mistake['ctx']['error']}"
    return f"{owner}: {_dotted(location)} must {rule_of(mistake['msg'])}. Got {mistake['input']!r}."


def model_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel]:
    """The model that holds the field at `location`: `model` itself, or one nested in its fields."""
    for part in location:
        if part in model.model_fields:
            model = _nested_model(model.model_fields[str(part)].annotation) or model
    return model


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _nested_model(part))), None)


def rule_of(message: str) -> str:
    """What pydantic's message asks for.

    >>> rule_of("Input should be less than 1"), rule_of("Tuple should have at least 1 item after validation, not 0")
    ('be less than 1', 'have at least 1 item')
    """
    return message.partition(" should ")[2].partition(" after validation")[0] or f"satisfy: {message}"


def _dotted(location: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in location)
