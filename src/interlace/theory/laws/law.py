"""What a law is: a statement with a label, a function that computes it, and the conditions under which it holds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["law", "self-check"]
"""A law can fail on a real run; a self-check is a theorem that holds for any policy: if it fails, an estimator is at
fault."""

PAPER = "after Niu, Bai, Han, Zhang, arXiv 2601.07389; proved by test here"
OURS = "interlace; proved by test"


@dataclass(frozen=True)
class Condition:
    """What a law needs. `holds` decides it from the law's inputs, which it takes by name (`problem`, `policy`, ...).

    None: it must be measured on the run itself.
    """

    sentence: str
    holds: Callable[..., bool] | None = None

    def check(self, inputs: Mapping[str, Any]) -> bool | None:
        """Whether `inputs` meet it; None if they cannot tell."""
        if self.holds is None:
            return None
        names = inspect.signature(self.holds).parameters
        return self.holds(**{name: inputs[name] for name in names}) if names.keys() <= inputs.keys() else None

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class Law:
    """One statement of the theory, in a sentence; `details` are what follows from it and where it ends.

    `function` computes it; `also` are the functions that answer questions about it.
    """

    label: str
    name: str
    statement: str
    conditions: tuple[Condition, ...]
    unit: str
    function: Callable[..., Any]
    source: str
    kind: Kind = "law"
    also: tuple[Callable[..., Any], ...] = ()
    details: str = ""

    @property
    def whole(self) -> str:
        """The statement with its details."""
        return f"{self.statement} {self.details}".strip()
