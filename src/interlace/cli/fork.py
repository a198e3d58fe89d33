"""`interlace fork RUN`: train copies of a finished stage beside the run, and say what its change is made of."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from interlace.cli.output import JsonOption, stderr


class Placebo(StrEnum):
    """What the rewards of the placebo arm are (C9)."""

    strict = "strict"
    as_configured = "as_configured"
    bernoulli = "bernoulli"
    none = "none"


def fork(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of one run that `interlace run` trained.")],
    stage: Annotated[str | None, typer.Option(help="The stage; by default the first RL stage.")] = None,
    forks: Annotated[int, typer.Option(help="Forks of each arm, at least 4; more make the intervals narrower.")] = 6,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Optimizer steps of a fork: one of those after which the run was looked at (`measure.every`; another "
            "number is answered with those that there are). By default all that are left of the stage."
        ),
    ] = None,
    from_step: Annotated[int, typer.Option(help="Where to begin: 0, or the step of a kept checkpoint.")] = 0,
    placebo: Annotated[
        Placebo | None,
        typer.Option(
            help="Rewards of a second arm. strict: permuted, settings refused under which they would still pull; "
            "as_configured: permuted, your settings; bernoulli: drawn at random. By default strict for RL, else none."
        ),
    ] = None,
    mirrored: Annotated[bool, typer.Option("--mirrored", help="A third arm: placebos with turned advantages.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what is left and what it would take, train nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Split a stage's change of SFT loss and reward into drift by reward, reward-free drift, diffusion and the rest.

    Copies of the stage are trained from one state with other seeds, and again with rewards that say nothing. What the
    mean of their weights changes is drift, what each adds to it is diffusion. It costs the stage again, as often as
    there are forks in all arms; the run itself stays as it is. After Ctrl-C or a kill the same command goes on. The
    report is written anew.
    """
    from interlace.api import BY_STAGE

    mode = BY_STAGE if placebo is None else None if placebo is Placebo.none else placebo.value
    asked = {"count": forks, "steps": steps, "placebo": mode, "mirrored": mirrored}
    (_plan if dry_run else _make)(run, stage, from_step, asked, json)


def _plan(run: Path, stage: str | None, from_step: int, asked: Mapping[str, Any], json: bool) -> None:
    from interlace.api import fork_request
    from interlace.cli.forks import print_plan

    with redirect_stdout(sys.stderr):
        plan = fork_request(run, stage, from_step, asked).plan()
    print_plan(plan, json)


def _make(run: Path, stage: str | None, from_step: int, asked: Mapping[str, Any], json: bool) -> None:
    from interlace.api import fork_request
    from interlace.cli.forks import print_forks
    from interlace.cli.progress import TerminalObserver
    from interlace.readback import report_on

    with redirect_stdout(sys.stderr), TerminalObserver(stderr()) as observer:
        summary = fork_request(run, stage, from_step, asked, observer=observer).make()
        outcome = report_on([run])
    print_forks(summary, json)
    stderr().print(f"Report: {outcome.report}", soft_wrap=True, markup=False)
