"""The inputs of a law as typed: NAME=VALUE, and the options that are short for some of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from interlace.cli.theory.problem import TABLES, ProblemOptions, problem_from
from interlace.cli.theory.values import number_of, value_of
from interlace.errors import RecipeError, unknown_name
from interlace.theory.laws import Law
from interlace.theory.laws.defaults import known_inputs
from interlace.theory.laws.inputs import INPUTS

OF_PROBLEM = ("--prompts", *TABLES, "--pass-rates", "--expert-reward")


def inputs_from(
    law: Law, problem_options: ProblemOptions, numbers: Mapping[str, str | None], values: Iterable[str]
) -> dict[str, Any]:
    """Every input that was typed, by its name. `numbers` are the options `--rl-time` and the like, by input.

    Raises RecipeError for an unknown or repeated name, and whatever reading a value raises.
    """
    typed = {f"--{name.replace('_', '-')}": text for name, text in numbers.items() if text is not None}
    _check_options(law, {**problem_options.given, **typed})
    problem = problem_from(problem_options)
    inputs: dict[str, Any] = {} if problem is None else {"problem": problem}
    if problem is None and problem_options.expert_reward is not None:
        inputs["expert_reward"] = number_of("--expert-reward", problem_options.expert_reward)
    inputs |= {_name(option): number_of(option, text) for option, text in typed.items()}
    for word in values:
        name, value = _named(law, word)
        if name in inputs:
            raise RecipeError(f"{name} must be given once. Got it again as {word!r}. Keep one of the two.")
        inputs[name] = _typed(name, value, problem)
    return inputs


def _name(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _check_options(law: Law, options: Mapping[str, str]) -> None:
    """Raises RecipeError for an option that says nothing about the law."""
    known = known_inputs(law)
    for option, text in options.items():
        if _name(option) not in known and not (option in OF_PROBLEM and "problem" in known):
            takes = f"{law.label} takes {', '.join(known)}"
            raise RecipeError(f"{option} must be left out for {law.label}. Got {text!r}. {takes}.")
    if list(options) == ["--expert-reward"] and "expert_reward" not in known:
        raise RecipeError("--pass-rates must be given with --expert-reward. Got none. Write --pass-rates 0.2,0.7, say.")


def _named(law: Law, word: str) -> tuple[str, str]:
    """NAME and VALUE. Raises RecipeError unless the law has such an input, which stands in no option."""
    name, equals, value = word.partition("=")
    name = name.strip().replace("-", "_")
    known = known_inputs(law)
    if not equals:
        raise RecipeError(f"an input must be NAME=VALUE. Got {word!r}. {law.label} takes {', '.join(known)}.")
    if name not in known:
        raise RecipeError(f"{unknown_name(f'an input of {law.label}', name, known)} {_other_way(name)}")
    if name == "problem":
        raise RecipeError(f"problem must be given by options. Got {word!r}. Use --pass-rates, or {', '.join(TABLES)}.")
    return name, value


def _other_way(name: str) -> str:
    """What to do about a name that no law's input has: it may be one of the problem's tables."""
    if f"--{name}" in OF_PROBLEM:
        return f"Write --{name} for the problem's."
    return "Correct it, or leave it out."


def _typed(name: str, text: str, problem: Any) -> Any:
    """A value as its input's kind asks for it; the problem's own tables by their names."""
    kind = INPUTS[name].kind
    if kind in ("policy", "table") and problem is not None and f"--{text}" in TABLES:
        return getattr(problem, text)
    value = text.strip() if kind == "word" else value_of(name, text)
    if isinstance(value, str) and kind not in ("word", "truth"):
        raise RecipeError(f"{name} must be {_form(kind)}. Got {text!r}. It is {INPUTS[name].sentence}.")
    return value


def _form(kind: str) -> str:
    files = "inline JSON, or a .json or .csv file"
    number = {"number": "a number", "whole": "a number", "numbers": f"a number, {files}", "samples": files}
    return number.get(kind, f"reference, expert, {files}")
