r"""Tasks as a user names them for checkpoints: a kind with options, a recipe's task, a file of rows, a Task itself.

``addition:digits=2,expert_error=0.5`` · ``quickstart/sums`` · ``runs/quickstart/sums`` · ``rows.jsonl`` ·
``rows.csv:prompt_template="{text}\nPositive:",labels={0: " no", 1: " yes"}``; ``NAME=`` before any of them names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from interlace.errors import RecipeError, unknown_name
from interlace.options import name_from
from interlace.recipe import load_recipe, shipped_recipes
from interlace.recipe.loading import SUFFIXES
from interlace.store.run_store import MANIFEST, RESOLVED, read_manifest, read_resolved
from interlace.tasks import TASKS, Task, build_task, is_data_file, written_out

TaskLike: TypeAlias = str | Mapping[str, Any] | Task
"""What stands for a task: words as of ``--task``, a recipe's mapping of kind and options, or the task itself."""

_NAMED = re.compile(r"([A-Za-z0-9][\w-]*)=(?=.)(.*)", re.DOTALL)
_CLOSED = {"{": "}", "[": "]", '"': '"', "'": "'"}


def build_tasks(asked: Sequence[TaskLike], seed: int = 0) -> tuple[Task, ...]:
    """The tasks, in order; `seed` draws their splits unless they (or the run that they come from) have one.

    Raises RecipeError for what names no task, and for two of one name; what a task's builder raises of its data.
    """
    tasks = tuple(_built(item, seed) for item in asked)
    names = [task.name for task in tasks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RecipeError(f"--task must name different tasks. Got {twice!r} twice. Name one: --task other={asked[-1]}.")
    return tasks


def tasks_of_run(folder: Path) -> tuple[Task, ...]:
    """Every task of a run, split as the run had it. Raises as `build_tasks` does."""
    configs, seed = _resolved(folder)
    return tuple(build_task(name, config, seed) for name, config in configs.items())


def run_around(path: str | Path) -> Path | None:
    """The run that a checkpoint lies in, or is; None if there is none."""
    place = Path(path).expanduser().absolute()
    return next((folder for folder in (place, *place.parents[:3]) if is_run(folder)), None)


def is_run(path: str | Path) -> bool:
    """Whether a run was begun in this folder."""
    return (Path(path) / MANIFEST).exists() and (Path(path) / RESOLVED).exists()


def _built(asked: TaskLike, seed: int) -> Task:
    if isinstance(asked, Task):
        return asked
    if isinstance(asked, Mapping):
        return build_task(str(asked.get("kind", "task")), asked, seed)
    named = _NAMED.fullmatch(asked)
    if named is None:
        return _from_words(asked, seed)
    return replace(_from_words(named[2], seed), name=named[1])


def _from_words(words: str, seed: int) -> Task:
    source, _, options = _split_options(words)
    if options:
        return build_task(_short_name(source), written_out(source) | _options(options, words), seed)
    holder, slash, name = source.rpartition("/")
    if slash and is_run(holder):
        return _of(*_resolved(Path(holder)), name, holder)
    if slash and (holder in shipped_recipes() or holder.endswith(SUFFIXES)):
        return _of(*_of_recipe(holder, seed), name, holder)
    if source not in TASKS and not is_data_file(source):
        raise RecipeError(unknown_name("--task", source, [*TASKS, "RECIPE/TASK", "RUN/TASK", "a file of rows"]))
    return build_task(_short_name(source), source, seed)


def _of(configs: Mapping[str, Any], seed: int, name: str, holder: str) -> Task:
    if name not in configs:
        raise RecipeError(unknown_name(f"the task of {holder}", name, configs))
    return build_task(name, configs[name], seed)


def _of_recipe(recipe: str, seed: int) -> tuple[Mapping[str, Any], int]:
    return load_recipe(recipe).tasks, seed


def _resolved(folder: Path) -> tuple[Mapping[str, Any], int]:
    """A run's tasks, as it had them, and its seed."""
    return read_resolved(folder)["tasks"], int(read_manifest(folder)["seed"])


def _split_options(words: str) -> tuple[str, str, str]:
    """``SOURCE:OPTIONS``; a colon belongs to the options only where one follows: ``name=``."""
    found = re.search(r":(?=[A-Za-z_]+=)", words)
    return (words, "", "") if found is None else (words[: found.start()], ":", words[found.end() :])


def _short_name(source: str) -> str:
    return name_from(Path(source).stem) if is_data_file(source) else source


def _options(text: str, words: str) -> dict[str, Any]:
    """``a=1,b={x: 2}`` as a mapping; values are YAML."""
    options: dict[str, Any] = {}
    for part in _parts(text):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise RecipeError(f"--task must read SOURCE:option=value,option=value. Got {words!r}. Write it so.")
        try:
            options[key.strip()] = YAML(typ="safe").load(value)
        except YAMLError:
            raise RecipeError(f"--task option {key} must have a value in YAML. Got {value!r}. Quote it.") from None
    return options


def _parts(text: str) -> list[str]:
    """`text` at its commas, but for those within brackets or quotes.

    >>> _parts('a=1,b={x: 1, y: 2},c="d,e"')
    ['a=1', 'b={x: 1, y: 2}', 'c="d,e"']
    """
    parts, open_marks = [""], list[str]()
    for letter in text:
        if letter == "," and not open_marks:
            parts.append("")
            continue
        if open_marks and letter == open_marks[-1]:
            open_marks.pop()
        elif letter in _CLOSED and (not open_marks or open_marks[-1] not in "\"'"):
            open_marks.append(_CLOSED[letter])
        parts[-1] += letter
    return parts
