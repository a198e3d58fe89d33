"""interlace measures and predicts how SFT and RL undo each other while a language model is post-trained.

Names are imported when they are first used, so that `import interlace` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interlace.api import fork, measure, plan, read_law, run
    from interlace.attachment import CouplingCallback, attach
    from interlace.errors import InterlaceError
    from interlace.estimate import Estimate, Unresolved
    from interlace.readback import (
        coupling_table,
        score_forecasts,
        shootout,
        standings,
        summarise,
        verdict_tally,
        write_report,
    )
    from interlace.recipe import Recipe, load_recipe
    from interlace.tasks import Task
    from interlace.theory.finite import FiniteProblem
    from interlace.theory.laws import LAWS

__version__ = "0.1.0"

__all__ = [
    # The verbs
    "run",
    "fork",
    "measure",
    "plan",
    "summarise",
    "coupling_table",
    "score_forecasts",
    "shootout",
    "standings",
    "verdict_tally",
    "write_report",
    "read_law",
    # In a trainer of your own
    "attach",
    "CouplingCallback",
    # What they take
    "Recipe",
    "Task",
    "load_recipe",
    # What they give
    "Estimate",
    "Unresolved",
    "InterlaceError",
    # The theory
    "LAWS",
    "FiniteProblem",
    "__version__",
]

_HOMES = {
    "run": "interlace.api",
    "fork": "interlace.api",
    "measure": "interlace.api",
    "plan": "interlace.api",
    "summarise": "interlace.readback",
    "coupling_table": "interlace.readback",
    "shootout": "interlace.readback",
    "standings": "interlace.readback",
    "score_forecasts": "interlace.readback",
    "verdict_tally": "interlace.readback",
    "write_report": "interlace.readback",
    "read_law": "interlace.api",
    "attach": "interlace.attachment",
    "CouplingCallback": "interlace.attachment",
    "Recipe": "interlace.recipe",
    "Task": "interlace.tasks",
    "load_recipe": "interlace.recipe",
    "Estimate": "interlace.estimate",
    "Unresolved": "interlace.estimate",
    "InterlaceError": "interlace.errors",
    "LAWS": "interlace.theory.laws",
    "FiniteProblem": "interlace.theory.finite",
}
"""Public name: the module that defines it."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
