"""`interlace report RUN...`: one self-contained HTML page about runs that are done or still going."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interlace.cli.output import JsonOption, stderr


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or a folder of seeds.")],
    out: Annotated[Path | None, typer.Option(help="The HTML file; by default report.html in the run's folder.")] = None,
    json: JsonOption = False,
) -> None:
    """Write a report of runs and print their summary."""
    from interlace.cli.tables import print_outcome
    from interlace.readback import report_on, run_folders_in

    folders = [folder for run in runs for folder in run_folders_in(run)]
    outcome = report_on(folders, out)
    for folder in folders:
        if folder not in outcome.folders:
            stderr().print(f"{folder}: nothing is measured yet", markup=False, soft_wrap=True)
    print_outcome(outcome, json)
