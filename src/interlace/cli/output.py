"""Where words go: results to stdout, everything else to stderr, and nothing but JSON to stdout with `--json`."""

from __future__ import annotations

import sys
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console
from rich.text import Text

from interlace.encoding import dumps

JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON on stdout; messages stay on stderr.")]


def stdout() -> Console:
    """The console of results."""
    return Console(highlight=False)


def stderr() -> Console:
    """The console of progress and messages."""
    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """One JSON document on stdout, every float encoded."""
    sys.stdout.write(dumps(value, indent=2) + "\n")


def complain(sentence: str, label: str = "Error") -> None:
    """What ended the program, on stderr; nothing in it is read as markup."""
    stderr().print(Text(f"{label}: ", style="bold red"), Text(sentence), sep="", soft_wrap=True)
