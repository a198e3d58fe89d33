"""`interlace measure CKPT...`: both objectives on checkpoints that exist already, and which of them to keep."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.status import Status

from interlace.cli.files import check_files
from interlace.cli.output import JsonOption, complain, print_json, stderr, stdout
from interlace.cli.stopping import stoppable

if TYPE_CHECKING:
    from interlace.checkpoints import Measured

FAILED = 4
"""Exit code of a condition that is met."""


Checkpoints: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="CKPT...",
        help="Folders of models, adapters, checkpoint-N series, stages or runs, .gguf files, smollm2-135m-instruct; "
        "the first is what the others are compared with. NAME=CKPT names one.",
    ),
]
Tasks: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        metavar="TASK",
        help="addition:digits=2,expert_error=0.5 | quickstart/sums | RUN/sums | rows.jsonl:prompt=question. "
        "Repeatable; NAME=TASK names one. By default the tasks of the run that CKPT lies in.",
    ),
]
Between: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="Measure N blends of two checkpoints' weights too.")
]
Budget: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="NATS",
        help="Recommend the largest reward at an SFT loss that rises by no more (by its interval).",
    ),
]
ExchangeRate: TypeAlias = Annotated[
    float | None,
    typer.Option(metavar="REWARD", help="Recommend, of what is measured, by the reward that a nat is worth."),
]
Write: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Save the recommended blend (with --between).")
]
FailOn: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CONDITION",
        help="Exit with 4 if it is met or open: 'sft_loss.increase > 0.02'. Repeatable.",
    ),
]
Base: TypeAlias = Annotated[Path | None, typer.Option(help="The model under adapters; by default what they name.")]
Prompts: TypeAlias = Annotated[int | None, typer.Option(help="Held-out prompts a task; by default all.")]
Completions: TypeAlias = Annotated[int, typer.Option(help="Sampled a prompt where rewards cannot be enumerated.")]
SeedOption: TypeAlias = Annotated[int, typer.Option(help="Draws splits and samples.")]
Dtype: TypeAlias = Annotated[str, typer.Option(help="Of the weights.")]
Preset: TypeAlias = Annotated[
    str,
    typer.Option(help="light (no KL), standard, or full: gradients, D15's price of every pair of tasks, curvature."),
]
LeastLoss: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NATS", help="SFT loss of the best model, for PL constants (with full); TASK=NATS, repeatable."
    ),
]
Html: TypeAlias = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with figures and tables.")]
Csv: TypeAlias = Annotated[Path | None, typer.Option(metavar="FILE", help="Write every figure, one a row.")]


def measure(
    checkpoints: Checkpoints,
    tasks: Tasks = None,
    between: Between = None,
    budget: Budget = None,
    exchange_rate: ExchangeRate = None,
    write: Write = None,
    fail_on: FailOn = None,
    base: Base = None,
    prompts: Prompts = None,
    completions: Completions = 8,
    seed: SeedOption = 0,
    dtype: Dtype = "float32",
    preset: Preset = "standard",
    least_loss: LeastLoss = None,
    html: Html = None,
    csv: Csv = None,
    json: JsonOption = False,
) -> None:
    """Measure SFT loss, reward and KL of checkpoints that any trainer wrote, compare them, and say which to keep."""
    check_files({"--html": (html, ".html"), "--csv": (csv, ".csv")})
    with redirect_stdout(sys.stderr), stderr().status("looking at the checkpoints") as status:
        from interlace.checkpoints.conditions import failures, same_weights
        from interlace.checkpoints.session import Session

        session = Session(between, budget, exchange_rate, write, prompts, completions, seed, dtype, preset,
                          least_loss or (), fail_on or ())  # fmt: skip
        with stoppable() as check:
            measured = session.measure(checkpoints, tasks, base, lambda what: _told(status, what, check))
        failed = failures(measured, session.conditions)
    if tasks is None:
        _say_whose_tasks(measured)
    _show(measured, html, csv, json)
    if (same := same_weights(measured, session.conditions)) is not None:
        _say("Gate", same)
    for sentence in failed:
        complain(sentence, label="Failed")
    if failed:
        raise typer.Exit(FAILED)


def _told(status: Status, what: str, check: Callable[[], None]) -> None:
    check()
    status.update(f"measuring {what}")


def _say_whose_tasks(measured: Measured) -> None:
    """Checkpoints of several runs, or of a run and others, are all measured on the tasks of the first one's run."""
    from interlace.checkpoints.asked import run_around

    runs = [run_around(item.path) for item in measured.checkpoints]
    if len(set(runs)) > 1:
        _say(
            "Tasks", f"all on {', '.join(measured.tasks)} of {runs[0]}, the first checkpoint's run; --task names others"
        )


def _show(measured: Measured, html: Path | None, csv: Path | None, json: bool) -> None:
    """The result on stdout, files where they are asked for, and where those are on stderr."""
    from interlace.cli.measured import print_measured
    from interlace.store.checkpoints import write_text_atomically

    if json:
        print_json(measured)
    else:
        print_measured(stdout(), measured)
    if html is not None:
        from interlace.report.checkpoints import write_checkpoints_page

        _say("Page", write_checkpoints_page(measured, html))
    if csv is not None:
        write_text_atomically(csv, measured.to_csv())
        _say("Figures", csv)
    if measured.line is not None and measured.line.written is not None:
        _say("Blend", measured.line.written)


def _say(what: str, path: str | Path) -> None:
    stderr().print(f"{what}: {path}", markup=False, soft_wrap=True)
