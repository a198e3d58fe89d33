"""`interlace fork RUN`: train copies of a finished stage beside the run, and say what its change is made of."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from interlace.cli.output import JsonOption, stderr


class Placebo(StrEnum):
    """How the placebo arm's rewards are permuted (C9)."""

    strict = "strict"
    as_configured = "as_configured"
    none = "none"


def fork(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of one run that `interlace run` trained.")],
    stage: Annotated[str | None, typer.Option(help="The stage; by default the first RL stage.")] = None,
    forks: Annotated[int, typer.Option(help="Forks of each arm, at least 4; more make the intervals narrower.")] = 6,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps of a fork; by default the stage's own.")] = None,
    from_step: Annotated[int, typer.Option(help="Where to begin: 0, or the step of a kept checkpoint.")] = 0,
    placebo: Annotated[
        Placebo, typer.Option(help="strict refuses settings under which permuted rewards still pull.")
    ] = Placebo.strict,
    mirrored: Annotated[bool, typer.Option("--mirrored", help="A third arm: placebos with turned advantages.")] = False,
    json: JsonOption = False,
) -> None:
    """Split a stage's change of SFT loss into drift by reward, reward-free drift, diffusion and the rest.

    Copies of the stage are trained from one state with other seeds, and again with their rewards permuted within each
    group. What the mean of their weights changes is drift, what each adds to it is diffusion. It costs the stage again,
    as often as there are forks in all arms; the run itself stays as it is. The report is written anew.
    """
    from interlace.api import fork as fork_run
    from interlace.api import report_on
    from interlace.cli.forks import print_forks
    from interlace.cli.progress import TerminalObserver

    with redirect_stdout(sys.stderr), TerminalObserver(stderr()) as observer:
        mode = None if placebo is Placebo.none else placebo.value
        summary = fork_run(run, stage, count=forks, steps=steps, from_step=from_step, placebo=mode, mirrored=mirrored,
                           observer=observer)  # fmt: skip
        outcome = report_on([run])
    print_forks(summary, json)
    stderr().print(f"Report: {outcome.report}", soft_wrap=True, markup=False)
