"""The finite problem that the options of `interlace theory` describe: by pass rates, or by its four tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from interlace.cli.theory.values import list_of
from interlace.errors import DataError, RecipeError
from interlace.theory.finite import FiniteProblem, binary_problem
from interlace.theory.laws.checked import as_array

EXAMPLES = {"--prompts": "0.5,0.5", "--pass-rates": "0.2,0.7", "--expert-reward": "0.75"}
"""Lists as they are typed; what is not among them is a table."""

TABLES = ("--reference", "--expert", "--reward")


@dataclass(frozen=True)
class ProblemOptions:
    """The options as typed; None: not given."""

    prompts: str | None = None
    reference: str | None = None
    expert: str | None = None
    reward: str | None = None
    pass_rates: str | None = None
    expert_reward: str | None = None

    @property
    def given(self) -> Mapping[str, str]:
        """Those that were given, as they are typed."""
        texts = {
            "--prompts": self.prompts,
            "--reference": self.reference,
            "--expert": self.expert,
            "--reward": self.reward,
            "--pass-rates": self.pass_rates,
            "--expert-reward": self.expert_reward,
        }
        return {name: text for name, text in texts.items() if text is not None}


def problem_from(options: ProblemOptions) -> FiniteProblem | None:
    """The problem; None if no option speaks of one (`--expert-reward` alone does not).

    Raises RecipeError for options that do not go together, DataError for values that make no problem.
    """
    given = options.given
    tables = [name for name in TABLES if name in given]
    if "--pass-rates" in given:
        return _binary(given, tables)
    if tables or "--prompts" in given:
        return _from_tables(given, tables)
    return None


def _binary(given: Mapping[str, str], tables: list[str]) -> FiniteProblem:
    """Two responses a prompt, right (reward 1) and wrong (reward 0)."""
    if tables:
        raise RecipeError(f"--pass-rates must stand without {tables[0]}. Got both. Keep one of the two.")
    if "--expert-reward" not in given:
        raise RecipeError(
            "--expert-reward must be given with --pass-rates. Got none. Say what the expert earns, such as 0.75."
        )
    rates = _shares("--pass-rates", given["--pass-rates"])
    earned = _shares("--expert-reward", given["--expert-reward"])
    if earned.size not in (1, rates.size):
        raise DataError(
            f"--expert-reward must be one number, or one a pass rate ({rates.size}). Got {earned.size}. Give one."
        )
    return binary_problem(rates, np.broadcast_to(earned, rates.shape), _prompts(given, rates.size))


def _from_tables(given: Mapping[str, str], tables: list[str]) -> FiniteProblem:
    missing = [name for name in TABLES if name not in given]
    if missing:
        raise RecipeError(
            f"{missing[0]} must be given with {', '.join([*tables, *_others(given)])}. Got none. "
            "Give all of --reference, --expert and --reward, or --pass-rates and --expert-reward."
        )
    if "--expert-reward" in given:
        raise RecipeError("--expert-reward must stand with --pass-rates. Got it with --expert. Leave it out.")
    reference, expert, reward = (_table(name, given[name]) for name in TABLES)
    for name, table in zip(TABLES, (reference, expert, reward), strict=True):
        if table.shape != reference.shape:
            shapes = f"{reference.shape}. Got {table.shape}"
            raise DataError(
                f"{name} must have the shape of --reference, {shapes}. Pad slots that a prompt lacks with 0."
            )
    return FiniteProblem(_prompts(given, len(reference)), reference, expert, reward)


def _table(name: str, text: str) -> np.ndarray:
    """A row a prompt; one row may stand alone."""
    table = _numbers(name, text)
    if table.ndim > 2 or table.size == 1:
        raise DataError(f"{name} must be a table. Got {text!r}. Give a row a prompt, such as [[0.4, 0.6]].")
    return np.atleast_2d(table)


def _others(given: Mapping[str, str]) -> list[str]:
    return [name for name in given if name not in TABLES]


def _prompts(given: Mapping[str, str], count: int) -> np.ndarray:
    """The weights; equal ones by default."""
    if "--prompts" not in given:
        return np.full(count, 1.0 / count)
    weights = _numbers("--prompts", given["--prompts"])
    if weights.shape != (count,):
        raise DataError(
            f"--prompts must have one weight a prompt ({count}). Got {weights.size}. Give one for each row."
        )
    total = float(weights.sum())
    return weights / total if 0.0 < total < float("inf") else weights


def _shares(name: str, text: str) -> np.ndarray:
    """Numbers in [0, 1]."""
    shares = _numbers(name, text)
    outside = shares[~((shares >= 0.0) & (shares <= 1.0))]
    if shares.ndim != 1 or outside.size:
        found = f"{outside.flat[0].item()!r}" if outside.size else f"a table of shape {shares.shape}"
        raise DataError(f"{name} must be numbers between 0 and 1. Got {found}. Write 20 % as 0.2.")
    return shares


def _numbers(name: str, text: str) -> np.ndarray:
    return as_array(name, list_of(name, text, EXAMPLES.get(name, "[[0.4, 0.6]]")))
