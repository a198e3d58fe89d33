"""Options as the user writes them: frozen, documented under each field, each mistake answered with one sentence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from interlace.errors import RecipeError

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where something stands among options: ("stages", 1, "averaged_weights", "decay")."""

Naming: TypeAlias = Callable[[KeyPath], str]
"""How a message calls what stands at a path."""


class Options(BaseModel):
    """Base of every option model: no field may change, none may be unknown, each is documented by its docstring.

    A validator that refuses a combination of fields raises ValueError with a whole sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


OptionsType = TypeVar("OptionsType", bound=Options)


def _made_of(marks: str, words: str) -> AfterValidator:
    """Refuses a name that holds anything but letters, digits and `marks`, or begins with a mark."""

    def checked(name: str) -> str:
        if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9{re.escape(marks)}]*", name):
            raise PydanticCustomError("name", f"A name should be {words}, a letter or digit first")
        return name

    return AfterValidator(checked)


Name: TypeAlias = Annotated[str, _made_of("-_", "letters, digits, - and _")]
"""Of a task or a stage: a part of a `--set` key, and of a folder's name."""

FolderName: TypeAlias = Annotated[str, _made_of("-_.", "letters, digits, dots, - and _")]
"""Of a recipe: its runs' folder."""


def name_from(text: str, marks: str = "-_") -> str:
    """The nearest name of letters, digits and `marks` to any text, such as a file's stem.

    >>> name_from("my rows (v1.2)"), name_from("my rows v1.2", "-_."), name_from("..")
    ('my-rows-v1-2', 'my-rows-v1.2', 'unnamed')
    """
    return re.sub(rf"[^A-Za-z0-9{re.escape(marks)}]+", "-", text).strip("-_.") or "unnamed"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where."""

    path: KeyPath
    sentence: str


def parse_options(model: type[OptionsType], config: Mapping[str, Any], owner: str) -> OptionsType:
    """The options of `owner` (``task 'sums'``) read from `config`.

    Raises RecipeError, one sentence about the first mistake; an unknown option is answered with the nearest known one.
    """

    def name(path: KeyPath) -> str:
        return f"{owner}: {'.'.join(map(str, path))}" if path else owner

    try:
        return model.model_validate(dict(config))
    except ValidationError as error:
        raise RecipeError(problems_of(error, model, name)[0].sentence) from None


def problems_of(
    error: ValidationError, model: type[BaseModel], name: Naming, set_key: Naming | None = None
) -> list[Problem]:
    """The mistakes that `model` found; `set_key` gives a path's key for `--set`, where there is a command line.

    What follows from another mistake is not said: that a key is missing beside an unknown one, which is most likely the
    same key misspelt, and that a whole is wrong of which a part is.
    """
    mistakes = error.errors(include_url=False)
    misspelt = {mistake["loc"][:-1] for mistake in mistakes if mistake["type"] == "extra_forbidden"}
    wholes = {mistake["loc"][:depth] for mistake in mistakes for depth in range(len(mistake["loc"]))}
    return [
        Problem(_path(mistake), _sentence(mistake, model, name, set_key))
        for mistake in mistakes
        if mistake["loc"] not in wholes and (mistake["type"] != "missing" or mistake["loc"][:-1] not in misspelt)
    ]


def unknown_key(key: str, known: Iterable[str], owner: str) -> str:
    """One sentence for a key that `owner` does not know; short lists of known keys are given whole. Of a key of few
    letters half of them are near.

    >>> unknown_key("decai", ["decay"], "averaged_weights")
    "averaged_weights must hold known keys (decay). Got unknown key 'decai'. The nearest known key is 'decay'."
    >>> unknown_key("nu", ["like", "mu"], "joint"), unknown_key("x", ["like", "mu"], "joint")
    ("joint must hold known keys (like, mu). Got unknown key 'nu'. The nearest known key is 'mu'.",
     "joint must hold known keys (like, mu). Got unknown key 'x'. Choose one of these, or remove it.")
    """
    names = sorted(known)
    listed = f" ({', '.join(names)})" if len(names) <= 24 else ""
    nearest = difflib.get_close_matches(key, names, n=1, cutoff=0.6 if len(key) > 3 else 0.5)
    away = "Choose one of these, or remove it." if listed else "Remove it."
    hint = f"The nearest known key is {nearest[0]!r}." if nearest else away
    return f"{owner} must hold known keys{listed}. Got unknown key {key!r}. {hint}"


RULES = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "be true or false"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "hold options, each as KEY: VALUE"),
    **dict.fromkeys(("list_type", "tuple_type"), "be a list"),
    "string_type": "be text",
    "path_type": "be a path",
    "greater_than_equal": "be at least {ge}",
    "less_than_equal": "be at most {le}",
    "greater_than": "be above {gt}",
    "less_than": "be below {lt}",
}
"""Kind of mistake: the rule it breaks, in our words."""


def rule_of(mistake: Mapping[str, Any]) -> str:
    """What is asked for: in our words, or else in those of pydantic's message.

    >>> rule_of({"type": "less_than", "ctx": {"lt": 1.0}}), rule_of({"type": "other", "msg": "Input should be 'a'"})
    ('be below 1', "be 'a'")
    """
    if mistake["type"] in RULES:
        limits = mistake.get("ctx", {}).items()
        return RULES[mistake["type"]].format(**{name: _bare(limit) for name, limit in limits})
    message = mistake["msg"]
    return message.partition(" should ")[2].partition(" after validation")[0] or f"satisfy: {message}"


WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    tuple: "a list",
    dict: "a mapping",
}
LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def what_fits(field: FieldInfo) -> str:
    """What an option may be: its kind and its range.

    >>> from pydantic import Field
    >>> what_fits(FieldInfo.from_annotation(Annotated[float | None, Field(ge=0.0, lt=1.0)]))
    'a number or null, at least 0, below 1'
    """
    limits = {name: getattr(rule, name) for rule in field.metadata for name in LIMITS if hasattr(rule, name)}
    kinds = list(dict.fromkeys(_kinds(field.annotation)))
    said = " or ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))
    return ", ".join([said, *(f"{words} {_bare(limits[name])}" for name, words in LIMITS.items() if name in limits)])


def _kinds(annotation: Any) -> list[str]:
    """Of an annotation, each alternative in words; a literal by its value."""
    origin = get_origin(annotation) or annotation
    if origin in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _kinds(part)]
    if origin is Literal:
        return [str(value) for value in get_args(annotation)]
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    return ["null" if annotation is type(None) else WORDS.get(origin, "options")]


def _bare(limit: Any) -> Any:
    """A whole number without its .0."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _sentence(mistake: Mapping[str, Any], model: type[BaseModel], name: Naming, set_key: Naming | None) -> str:
    path = _path(mistake)
    owner = path[:-1]
    if mistake["type"] == "extra_forbidden":
        return unknown_key(str(path[-1]), _model_at(model, owner).model_fields, name(owner))
    if mistake["type"] == "missing":
        remedy = f", or say --set {set_key(path)}=VALUE" if set_key else ""
        return f"{name(owner)} must have key {path[-1]!r}. Got none. Add it{remedy}."
    if mistake["type"] == "value_error":
        return f"{name(path)}: {mistake['ctx']['error']}"
    return f"{name(path)} must {rule_of(mistake)}. Got {mistake['input']!r}."


def _path(mistake: Mapping[str, Any]) -> KeyPath:
    """Where the mistake stands; pydantic marks a mapping's key as ("tasks", "a b", "[key]")."""
    return tuple(part for part in mistake["loc"] if part != "[key]")


def _model_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel]:
    """The model that holds the field at `location`: `model` itself, or one nested in its fields."""
    for part in location:
        if part in model.model_fields:
            model = _nested_model(model.model_fields[str(part)].annotation) or model
    return model


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _nested_model(part))), None)
