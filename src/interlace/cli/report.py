"""`interlace report RUN...`: one self-contained HTML page about runs that are done or still going."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from interlace.cli.output import JsonOption, stderr
from interlace.errors import RecipeError


def _rate(exchange_rate: float) -> float:
    if not 0.0 < exchange_rate < math.inf:
        raise RecipeError(
            f"--exchange-rate must be the reward that one nat of SFT loss is worth, above 0. Got {exchange_rate}. Say "
            "--exchange-rate 0.5."
        )
    return exchange_rate


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or a folder of seeds.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The HTML file; by default report.html in the folder named, of several compared.html beside the first."
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="ARM", help="Of a shoot-out: the arm that others are held against; RL alone.")
    ] = None,
    exchange_rate: Annotated[
        float, typer.Option(callback=_rate, help="Of a shoot-out: lambda of R - lambda L, reward units a nat.")
    ] = 0.5,
    json: JsonOption = False,
) -> None:
    """Write a report of runs and print their summary."""
    from interlace.cli.tables import print_outcome
    from interlace.readback import report_on, report_place

    folders = _folders(runs)
    place = report_place(folders, out, runs)
    if len(folders) > 1 and out is None:
        _say(f"{len(folders)} runs: one report of all goes to {place.absolute()}; --out names a place")
    outcome = report_on(folders, place, against=against, exchange_rate=exchange_rate)
    for folder in folders:
        if folder not in outcome.folders:
            _say(f"{folder}: nothing is measured yet")
    print_outcome(outcome, json)


def _folders(runs: Sequence[Path]) -> list[Path]:
    """The run folders. Raises RecipeError for a word that is a stage of a run named before it, as users try."""
    from interlace.readback import run_folders_in
    from interlace.store import read_run

    found: list[Path] = []
    for run in runs:
        others = () if run.exists() else found
        around = next((folder for folder in others if str(run) in {s.name for s in read_run(folder).stages}), None)
        if around is not None:
            raise RecipeError(
                f"report takes whole runs and shows all of their stages. Got {run}, a stage of {around}. Leave it out."
            )
        found += run_folders_in(run)
    return found


def _say(sentence: str) -> None:
    stderr().print(sentence, markup=False, soft_wrap=True)
