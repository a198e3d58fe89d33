"""The program `interlace`: its verbs, and how a failure ends it."""

from __future__ import annotations

import shlex
import sys
import traceback
from typing import Annotated

import typer

from interlace import __version__
from interlace.cli import output
from interlace.cli.doctor import doctor
from interlace.cli.fork import fork
from interlace.cli.list import list_registered
from interlace.cli.measure import measure
from interlace.cli.plan import plan
from interlace.cli.report import report
from interlace.cli.run import run
from interlace.cli.theory import theory
from interlace.errors import InterlaceError, Interrupted

EXIT_CODES = (
    "Exit codes: 0 done, 1 internal, 2 usage or recipe, 3 data, model or environment, 4 a gate that failed "
    "(--fail-on), 130 Ctrl-C, 143 SIGTERM."
)

app = typer.Typer(
    name="interlace",
    epilog=EXIT_CODES,
    help="Measures and predicts how SFT and RL undo each other while a language model is post-trained.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
app.command()(run)
app.command()(fork)
app.command()(measure)
app.command()(plan)
app.command()(report)
app.command()(theory)
app.command("list")(list_registered)
app.command()(doctor)


def _print_version(asked: bool) -> bool:
    if asked:
        typer.echo(__version__)
        raise typer.Exit
    return asked


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of a failure.")] = False,
) -> None:
    """What stands before the verb; `--debug` is read where failures end (`main`)."""


def main() -> None:
    """Run the command line. Every failure ends with one sentence on stderr and its exit code."""
    try:
        app()
    except Interrupted as stop:
        output.complain(str(stop), label="Interrupted")
        sys.exit(stop.exit_code)
    except InterlaceError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"files and folders must be readable and writable. {where}{error.strerror or error}. Check the path.", 3)
    except Exception as error:  # noqa: BLE001 -- the last resort: nothing reaches a user as a bare traceback
        again = shlex.join(["interlace", "--debug", *(item for item in sys.argv[1:] if item != "--debug")])
        said = f"{type(error).__name__}: {error}".rstrip(".: ")
        _fail(f"interlace failed: {said}. For the traceback: {again}", 1)


def _fail(sentence: str, exit_code: int) -> None:
    if "--debug" in sys.argv:
        traceback.print_exc()
    output.complain(sentence)
    sys.exit(exit_code)
