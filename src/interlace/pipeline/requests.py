"""What a recipe asks of each stage, checked as a whole before a run folder is taken."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase

from interlace.controllers import refuse_task
from interlace.errors import DataError, InterlaceError, RecipeError, RunFolderError
from interlace.options import KeyPath
from interlace.pipeline.weights import EMBEDDED
from interlace.policies import refuse_long_responses, source_of
from interlace.policies.embedded import character_tokenizer, embedded_config
from interlace.recipe import Recipe, StageConfig
from interlace.stages import load_stage
from interlace.stages.base import StageRequest
from interlace.store.run_store import STAGES, read_manifest
from interlace.tasks import build_task
from interlace.tasks.base import Task


def stage_folders(recipe: Recipe) -> list[tuple[str, StageConfig]]:
    """The stages with their folder names: ``01-sft``, ``02-rl`` ..."""
    return [(f"{number:02d}-{config.name}", config) for number, config in enumerate(recipe.stages, start=1)]


def stage_request(
    stage: str, config: StageConfig, tasks: Mapping[str, Task], run_folder: Path, seed: int, bf16: bool
) -> StageRequest:
    """The request that a stage's config stands for."""
    folder = run_folder / STAGES / stage
    mixed = tuple((tasks[name], share) for name, share in config.mix.items())
    imitate = tasks[config.imitate] if config.imitate is not None else None
    return StageRequest(
        stage=stage,
        task=tasks[config.task],
        options=config.options,
        folder=folder,
        seed=seed_of(seed, config.replicate),
        bf16=bf16,
        placebo=config.placebo,
        mixed=mixed,
        method=config.method,
        imitate=imitate,
        how=config.how,
    )


def seed_of(seed: int, replicate: int) -> int:
    """The seed that a stage's trainer is given in the run of `seed`: that one itself for replicate 0."""
    return zlib.crc32(f"{seed}/replicate/{replicate}".encode()) if replicate else seed


def build_tasks(recipe: Recipe, seed: int, given: Mapping[str, Task] | None = None) -> dict[str, Task]:
    """The recipe's tasks in the run of `seed`, those `given` in place of its own.

    Raises what a task's data refuse, with the recipe's line.
    """
    tasks = dict(given or {})
    for name, config in recipe.tasks.items():
        if name not in tasks:
            with _said_with_its_line(recipe, ("tasks", name)):
                tasks[name] = build_task(name, config, seed)
    return {name: tasks[name] for name in recipe.tasks}


def remarks(tasks: Mapping[str, Task]) -> list[str]:
    """What of the tasks' data may not be meant, a sentence each."""
    return [sentence for task in tasks.values() if (sentence := _of_empty_responses(task))]


def _of_empty_responses(task: Task) -> str:
    examples = (*task.train, *task.heldout)
    empty = sum(not all(response.text.strip() for response in example.responses) for example in examples)
    if not empty:
        return ""
    return (
        f"task {task.name}: the expert's response to {empty:,} of {len(examples):,} prompts is empty, which teaches a "
        "policy to say nothing; if it is not meant, leave such rows out (in a task of files by exclude: {empty: true})"
    )


def refuse_what_cannot_run(recipe: Recipe, tasks: dict[str, Task], run_folder: Path, seed: int) -> None:
    """Raise for everything that can be known wrong of stages, model and data before anything is written.

    Raises RecipeError for options that TRL or we refuse, DataError for a task that lacks what its stage needs or an
    expert response that would be cut off, MachineError and MissingFileError for a model or an expert policy that is not
    there. A hub model is not asked for: that needs the network.
    """
    if recipe.measure.expert_policy is not None:
        source_of(recipe.measure.expert_policy)
    limits = dict.fromkeys(tasks, 2**31)
    for place, (stage, config) in enumerate(stage_folders(recipe)):
        with _said_with_its_line(recipe, ("stages", place)):
            arguments = _refuse_stage(recipe, config, stage_request(stage, config, tasks, run_folder, seed, False))
        if config.kind == "sft":
            for name in (config.task, *config.mix):
                limits[name] = min(limits[name], arguments.max_length or 2**31)
    found = _tokenizer_and_config(recipe, tasks)
    if found is not None:
        tokenizer, model_config = found
        context = int(getattr(model_config, "max_position_embeddings", 2**31))
        for name, task in tasks.items():
            pairs = [(e.prompt, r.text) for e in (*task.train, *task.heldout) for r in e.responses]
            refuse_long_responses(tokenizer, pairs, min(limits[name], context))


@contextmanager
def _said_with_its_line(recipe: Recipe, path: KeyPath) -> Iterator[None]:
    """What is refused of a stage or a task is said with the recipe's file and line, as its other mistakes are."""
    try:
        yield
    except InterlaceError as error:
        where = recipe.where((*path, *filter(None, [error.option])))
        if where:
            error.args = (f"{where}: {error}", *error.args[1:])
        raise


def _refuse_stage(recipe: Recipe, config: StageConfig, request: StageRequest) -> Any:
    """Raise for what can be known wrong of one stage and its task; TRL's config of it."""
    arguments = load_stage(config.kind).configure(request)
    _refuse_embedded_engine(recipe, config)
    _refuse_missing_optimizer(recipe, config)
    _refuse_leaking_forks(request, config)
    if config.stop is not None:
        refuse_task(config.stop, request.task)
    if config.blend is not None:
        _refuse_blind_blend(request.task)
    return arguments


def _refuse_embedded_engine(recipe: Recipe, config: StageConfig) -> None:
    """Its vocabulary of characters and its small heads are none that an engine of its own would serve."""
    if recipe.model == EMBEDDED and config.options.get("use_vllm"):
        raise RecipeError(
            f"use_vllm of stage {config.name!r} must be off for model: {EMBEDDED}, which Transformers samples from. "
            "Got true. Leave it out."
        ).about("use_vllm")


def _refuse_blind_blend(task: Task) -> None:
    """A blend is chosen by both objectives."""
    held = task.heldout[0].responses
    lacks = [name for name, has in (("a reward", task.reward), ("expert responses", held)) if not has]
    if lacks:
        raise DataError(
            f"task {task.name!r} must have {lacks[0]}, by which a blend is measured. It has not. Drop blend."
        ).about("blend")


def refuse_changed_data(folder: Path, tasks: Mapping[str, Task]) -> None:
    """Raise RunFolderError if the data of `tasks` are not those that the run in `folder` was begun with."""
    kept = read_manifest(folder, "data")["data"]
    changed = [name for name, task in tasks.items() if kept.get(name) != task.fingerprint()]
    if changed:
        raise RunFolderError(
            f"{folder} must be continued with the data that it was begun with. The data of "
            f"{', '.join(changed)} have changed since. Restore them, or choose another --out."
        )


def _refuse_leaking_forks(request: StageRequest, config: StageConfig) -> None:
    """A strict placebo of a stage asks of its settings what a placebo stage does (C9)."""
    if config.forks is not None and config.kind == "rl" and config.placebo is None:
        load_stage(config.kind).configure(replace(request, placebo=config.forks.placebo))


def _refuse_missing_optimizer(recipe: Recipe, config: StageConfig) -> None:
    """A stage can take over an optimizer only from a stage's own weights."""
    name, weights = recipe.start_of(config.name)
    if not config.fresh_optimizer and (name is None or weights != "raw"):
        raise RecipeError(
            f"stage {config.name!r} with fresh_optimizer: false must start from a stage's raw weights. It starts from "
            f"{'the model' if name is None else 'averaged weights'}. Set start_from, or drop fresh_optimizer."
        ).about("fresh_optimizer")


def _tokenizer_and_config(
    recipe: Recipe, tasks: dict[str, Task]
) -> tuple[PreTrainedTokenizerBase, PretrainedConfig] | None:
    """What says how long a response is and may be; None for a hub model, which is fetched when it is run."""
    if recipe.model == EMBEDDED:
        tokenizer = character_tokenizer("".join(task.alphabet for task in tasks.values()))
        return tokenizer, embedded_config(len(tokenizer), recipe.model_options)
    source = source_of(recipe.model)
    if not Path(source).is_dir():
        return None
    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    return tokenizer, AutoConfig.from_pretrained(source, trust_remote_code=False)
