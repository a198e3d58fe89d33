"""Tasks: what is trained on and measured on. The registered ones are built from a recipe by kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from interlace.errors import RecipeError, unknown_name
from interlace.options import Options, parse_options
from interlace.tasks.addition import AdditionOptions, build_addition
from interlace.tasks.base import Example, ExpertResponse, Prompt, Task
from interlace.tasks.cards import CardsOptions, build_cards
from interlace.tasks.countdown import CountdownOptions, build_countdown
from interlace.tasks.files import FilesOptions, build_files
from interlace.tasks.given import GivenOptions, build_given
from interlace.tasks.tables import FORMATS

__all__ = [
    # A task and its parts
    "Task",
    "Example",
    "ExpertResponse",
    "Prompt",
    # From a recipe
    "TASKS",
    "TaskKind",
    "build_task",
    "task_options",
    "is_data_file",
    "written_out",
]


@dataclass(frozen=True, slots=True)
class TaskKind:
    """A registered kind of task: what it is, where it comes from, what it costs, its options and its builder.

    `writing`: how its responses are to be read, where a reader would wonder.
    """

    name: str
    sentence: str
    source: str
    cost: str
    options: type[Options]
    build: Callable[..., Task]
    writing: str = ""


TASKS: dict[str, TaskKind] = {
    "addition": TaskKind(
        name="addition",
        sentence="Sums of numbers, answered by an expert who errs in a known way: its reward and entropy are known.",
        source="made here",
        cost="a second",
        options=AdditionOptions,
        build=build_addition,
        writing="sums are written last digit first, so 27+58=85 is answered 580",
    ),
    "cards": TaskKind(
        name="cards",
        sentence="A target to reach with all cards of a hand and + - * /; what face cards count may shift.",
        source="after GeneralPoints (arXiv 2501.17161)",
        cost="a second; ten with four cards",
        options=CardsOptions,
        build=build_cards,
        writing="cards stand as what they count: K,2>20= is answered 10*2 where K counts 10",
    ),
    "countdown": TaskKind(
        name="countdown",
        sentence="A target to reach with three numbers and + - *: several answers are right, the expert is known.",
        source="made here",
        cost="a second",
        options=CountdownOptions,
        build=build_countdown,
    ),
    "files": TaskKind(
        name="files",
        sentence="Rows of a JSONL, JSON, Parquet, CSV or TSV file, with columns, template and label words of your own.",
        source="your files",
        cost="reads the files",
        options=FilesOptions,
        build=build_files,
    ),
    "given": TaskKind(
        name="given",
        sentence="A task made in Python and handed over: interlace.run(recipe, tasks={name: task}).",
        source="your program",
        cost="none",
        options=GivenOptions,
        build=build_given,
    ),
}


def task_options(name: str, config: str | Mapping[str, Any]) -> tuple[TaskKind, Options]:
    """The kind and the validated options that `config` asks for, nothing read or built yet.

    `config` is a mapping of `kind` and options, or what is short for one (see `written_out`).

    Raises RecipeError for an unknown kind or option, or a value out of range.
    """
    options = written_out(config) if isinstance(config, str) else dict(config)
    kind = options.pop("kind", None)
    if not isinstance(kind, str):
        raise RecipeError(f"task {name!r} must have a kind. Got {config!r}. Add kind: {' | '.join(TASKS)}.")
    if kind not in TASKS:
        raise RecipeError(unknown_name(f"the kind of task {name!r}", kind, TASKS))
    return TASKS[kind], parse_options(TASKS[kind].options, options, f"task {name!r}")


def build_task(name: str, config: str | Mapping[str, Any], seed: int) -> Task:
    """The task `name` as `config` describes it (see `task_options`); `seed` draws its splits and its expert's errors.

    Raises RecipeError as `task_options` does, and what the kind's own builder raises about its data.

    >>> task = build_task("sums", {"kind": "addition", "digits": 1, "heldout": 50}, seed=0)
    >>> len(task.train), len(task.heldout), task.alphabet
    (50, 50, '+0123456789=')
    """
    kind, options = task_options(name, config)
    return kind.build(name, options, seed)


def written_out(short: str) -> dict[str, Any]:
    """The config that one word stands for: a data file's rows, or a kind with its defaults.

    >>> written_out("data/rows.csv"), written_out("addition")
    ({'kind': 'files', 'path': 'data/rows.csv'}, {'kind': 'addition'})
    """
    return {"kind": "files", "path": short} if is_data_file(short) else {"kind": short}


def is_data_file(word: str) -> bool:
    """Whether `word` can only be the path of a data file: it has a slash, or the suffix of a format that is read."""
    return "/" in word or word.lower().endswith(tuple(FORMATS))
