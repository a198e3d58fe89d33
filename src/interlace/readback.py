"""Runs read back: their summaries, their report, and what several of them show together. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any, get_args

from interlace.analysis import CouplingRow, RunSummary
from interlace.analysis import coupling_table as rows_over_seeds
from interlace.analysis import summarise as summarise_record
from interlace.analysis.exclusion import exclusion
from interlace.analysis.forecast_scores import ForecastScores, pilots_of, scored_forecasts, silence, tallies
from interlace.analysis.foreseen_again import foreseen_again
from interlace.analysis.shootout import By, NoShootout, Shootout, Standing, is_contest
from interlace.analysis.shootout import shootout as shootout_of
from interlace.analysis.shootout import standings as standings_of
from interlace.analysis.tally import TallyRow
from interlace.analysis.tally import verdict_tally as tally_of
from interlace.errors import DataError, MissingFileError, RecipeError, RunFolderError
from interlace.store import RunRecord, read_run
from interlace.store.run_store import EVENTS, MANIFEST

REPORT, COMPARED = "report.html", "compared.html"


@dataclass(frozen=True)
class Outcome:
    """What runs left: a folder and a summary each, one report of all of them, the shoot-outs of their recipes, and
    where a recipe that mixes has none, why."""

    folders: tuple[Path, ...]
    summaries: tuple[RunSummary, ...]
    report: Path
    shootouts: tuple[Shootout, ...] = ()
    no_shootouts: tuple[NoShootout, ...] = ()


def report_on(
    folders: Sequence[Path], out: Path | None = None, *, against: str | None = None, exchange_rate: float = 0.5
) -> Outcome:
    """Summarise the runs in which anything is measured and write one report of them; see `write_report` for where.
    `against`, `exchange_rate`: of their shoot-outs.

    Raises DataError if nothing is measured in any.
    """
    from interlace.report import write_report as write  # plotly takes half a second

    records = [record for record in map(read_run, folders) if any(stage.measurements for stage in record.stages)]
    if not records:
        named = ", ".join(map(str, folders))
        raise DataError(f"RUN must hold measurements. Got {named}, where none is made yet. Wait for the first.")
    summaries = [summarise_record(record) for record in records]
    path = report_place(folders, out)
    shootouts, refused = _shootouts(records, against, exchange_rate)
    write(list(zip(records, summaries, strict=True)), path, shootouts, refused)
    return Outcome(tuple(record.folder for record in records), tuple(summaries), path, shootouts, refused)


def _shootouts(
    records: Sequence[RunRecord], against: str | None, exchange_rate: float
) -> tuple[tuple[Shootout, ...], tuple[NoShootout, ...]]:
    """Of each recipe whose arms can be held against each other, by FLOPs and by tokens; and why others have none.

    Where an arm to be held against is asked for, what cannot be done is an error.
    """
    found: list[Shootout] = []
    refused: list[NoShootout] = []
    for group in filter(is_contest, by_recipe(records)):
        try:
            made = [shootout_of(group, by=by, against=against, exchange_rate=exchange_rate) for by in get_args(By)]
        except DataError as error:
            if against:
                raise
            refused.append(NoShootout(group[0].recipe, str(error)))
        else:
            found += [each for each in made if each.rows]
            refused += [NoShootout(group[0].recipe, each.why_empty) for each in made[:1] if not each.rows]
    return tuple(found), tuple(refused)


def by_recipe(records: Iterable[RunRecord]) -> list[list[RunRecord]]:
    """The runs of each recipe, in the order they came."""
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(record.recipe, []).append(record)
    return list(groups.values())


def report_place(folders: Sequence[Path], out: Path | None = None, named: Sequence[str | Path] = ()) -> Path:
    """Where the report of runs goes: `out`, or report.html in it; else in the run's folder, for several runs in the
    folder around the first. Of several `named` (runs, folders of runs) compared.html beside the first: each keeps the
    report that it has."""
    if out is None and len(named) > 1:
        return Path(named[0]).parent / COMPARED
    around = folders[0] if len(folders) == 1 else folders[0].parent
    path = out or around / REPORT
    return path / REPORT if path.is_dir() else path


def summarise(run: str | Path) -> RunSummary:
    """What the run in a folder did, stage by stage. Raises RunFolderError if the folder is no run folder, RecipeError
    for what is no path."""
    return summarise_record(read_run(_folder(run)))


def write_report(*runs: str | Path, out: str | Path | None = None) -> Path:
    """One self-contained HTML page about one run, or about several side by side; its path.

    A folder of run folders, one a seed, stands for all of them. By default the page is report.html in the folder that
    is named, of several compared.html beside the first.
    """
    folders = [folder for run in runs for folder in run_folders_in(run)]
    return report_on(folders, report_place(folders, Path(out) if out else None, runs)).report


def run_folders_in(path: str | Path) -> list[Path]:
    """`path` if it is a run folder, else the run folders directly in it (one a seed), in order of name.

    Raises MissingFileError if there is neither, RunFolderError for a run that has lost its manifest, RecipeError for
    what is no path.
    """
    folder = _folder(path)
    if (folder / MANIFEST).exists():
        return [folder]
    _refuse_lost_manifests([folder, *sorted(item.parent for item in folder.glob(f"*/{EVENTS}"))])
    inside = sorted(item.parent for item in folder.glob(f"*/{MANIFEST}"))
    if not inside:
        raise MissingFileError(
            f"RUN must be a run folder (`interlace run` makes them) or a folder of run folders. Got {folder}. Check it."
        )
    return inside


def _refuse_lost_manifests(folders: Iterable[Path]) -> None:
    """Raise RunFolderError for events without a manifest: left out in silence, the runs beside them would be all. A run
    that is just being begun has an empty file of events."""
    for folder in folders:
        events = folder / EVENTS
        if events.is_file() and events.stat().st_size and not (folder / MANIFEST).exists():
            raise RunFolderError(
                f"{folder} must have a {MANIFEST}, as every run has. It holds {EVENTS} without one. Restore the file, "
                "or move the folder away."
            )


def _folder(run: Any) -> Path:
    if not isinstance(run, str | PathLike):
        raise RecipeError(f"RUN must be a path, each run by itself. Got {type(run).__name__}. Write *runs for a list.")
    return Path(run)


def coupling_table(*runs: str | Path) -> list[CouplingRow]:
    """What every stage of some runs did to SFT loss and to reward, over the seeds of each recipe; a row an arm.

    ``coupling_table("runs/coupling-addition")[0].sft_loss_change``. A folder of run folders, one a seed, stands for all
    of them. Seeds that the recipe's `exclude_seeds` leaves out are counted in each row.
    """
    return rows_over_seeds([summarise(folder) for run in runs for folder in run_folders_in(run)])


def shootout(*runs: str | Path, by: By = "flops", against: str | None = None, exchange_rate: float = 0.5) -> Shootout:
    """Compare mixing methods: stages that begin with one stage's weights, at the compute that half of them reached.

    ``shootout("runs/shootout-addition").rows[0].arm``. `runs`: those of one recipe's seeds, or a folder of them. `by`:
    what compute is counted in. `exchange_rate`: lambda of the value R - lambda L, reward units a nat. `against`: the
    arm that others are held against; None: RL alone, which after the SFT they begin with is the two-stage baseline.

    Raises MissingFileError and RunFolderError for what is no run, RecipeError for arguments that cannot be, DataError
    where there is nothing to compare.
    """
    records = _compared(runs, against, exchange_rate)
    return shootout_of(records, by=by, against=against, exchange_rate=exchange_rate)


def standings(
    *runs: str | Path, by: By = "flops", against: str | None = None, exchange_rate: float = 0.5
) -> list[Standing]:
    """The arms that the shoot-outs of several recipes have in common, over all their tasks and seeds.

    ``standings("runs/shootout-addition", "runs/shootout-styles")[0].arm``. Arguments as of `shootout`; runs of one
    recipe make one shoot-out.

    Raises MissingFileError and RunFolderError for what is no run, RecipeError for arguments that cannot be, DataError
    for fewer than two recipes, or no arm that all of them have.
    """
    groups = by_recipe(_compared(runs, against, exchange_rate))
    return standings_of([shootout_of(each, by=by, against=against, exchange_rate=exchange_rate) for each in groups])


def _compared(runs: Sequence[Any], against: Any, exchange_rate: Any) -> list[RunRecord]:
    """The runs to compare, each once. Raises RecipeError for none of them, and for arguments of another type."""
    if not runs:
        raise RecipeError('RUN must be named to be compared. Got none. Say shootout("runs/shootout-addition").')
    if against is not None and not isinstance(against, str):
        raise RecipeError(f"against must be an arm's name, or None. Got {type(against).__name__}. Change it.")
    if isinstance(exchange_rate, bool) or not isinstance(exchange_rate, Real):
        raise RecipeError(f"exchange_rate must be a number. Got {type(exchange_rate).__name__}. Change it.")
    folders = dict.fromkeys(folder.resolve() for run in runs for folder in run_folders_in(run))
    return [read_run(folder) for folder in folders]


def every_run(*runs: str | Path) -> list[RunRecord]:
    """Each once; a folder of run folders stands for all of them.

    Raises MissingFileError and RunFolderError for what is no run.
    """
    return [read_run(folder) for folder in dict.fromkeys(one.resolve() for run in runs for one in run_folders_in(run))]


def kept_runs(*runs: str | Path) -> list[RunRecord]:
    """The runs that no recipe's `exclude_seeds` leaves out, each once; a folder of run folders stands for all of them.

    Raises MissingFileError and RunFolderError for what is no run, DataError where none is left.
    """
    kept = [record for record in every_run(*runs) if exclusion(record) is None]
    if not kept:
        named = ", ".join(map(str, runs))
        raise DataError(f"RUNS must hold one that its recipe's rule does not leave out. Got {named}. Run more seeds.")
    return kept


def verdict_tally(*runs: str | Path) -> list[TallyRow]:
    """How often each law held, was contradicted, was not resolved or did not apply, over every stage of some runs.

    ``verdict_tally("runs/coupling-addition")[0].counts``. A folder of run folders stands for all of them.
    """
    return tally_of([summarise(folder) for run in runs for folder in run_folders_in(run)])


def score_forecasts(*runs: str | Path, again: bool = False) -> ForecastScores:
    """Judge the forecasts that runs kept of their own RL stages, against what came and against baselines.

    `runs`: run folders, or folders of them. Every finished stage counts whose run kept forecasts. `again`: those that
    this version makes from the same looks, in place of the kept ones.

    A folder that is named twice counts once; a run that its recipe's `exclude_seeds` leaves out does not count.

    Raises RecipeError without runs, RunFolderError for what is none, DataError where no forecast was kept.
    """
    if not runs:
        raise RecipeError("--score must be told which runs. Got none. Say interlace plan --score runs/quickstart.")
    folders = dict.fromkeys(folder.resolve() for run in runs for folder in run_folders_in(run))
    read = {folder: read_run(folder) for folder in folders}
    left_out = {folder: reason for folder, record in read.items() if (reason := exclusion(record)) is not None}
    records = {folder: record for folder, record in read.items() if folder not in left_out}
    if again:
        records = {folder: foreseen_again(record) for folder, record in records.items()}
    pilots = dict(zip(records, pilots_of(list(records.values())), strict=True))
    found = {folder: scored_forecasts(record, pilots[folder]) for folder, record in records.items()}
    silent = {str(folder): f"its recipe's rule: {reason}" for folder, reason in left_out.items()}
    silent |= {str(folder): silence(records[folder]) for folder, scored in found.items() if not scored}
    scored = tuple(each for judged in found.values() for each in judged)
    if not scored:
        told = "; ".join(f"{folder}: {reason}" for folder, reason in silent.items())
        raise DataError(f"a run to score must have a finished RL stage that kept forecasts. Got {told}.")
    return ForecastScores(scored, tuple(tallies(scored)), silent, again)
