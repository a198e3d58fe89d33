"""The verbs in Python: what `import interlace` offers and what the command line calls.

What trains imports torch and TRL (6 s), so it is imported where it is called: reading a run back stays quick.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from interlace.analysis import RunSummary
from interlace.errors import RecipeError
from interlace.observer import Observer
from interlace.options import Options, parse_options
from interlace.readback import Outcome, report_on
from interlace.recipe import ForksConfig, Recipe, RecipeLike, load_recipe
from interlace.tasks import Task

if TYPE_CHECKING:
    from interlace.analysis.summary import ForkSummary
    from interlace.checkpoints import Measured
    from interlace.checkpoints.asked import TaskLike
    from interlace.checkpoints.found import PathLike
    from interlace.checkpoints.measure import Note
    from interlace.dumps import RolloutPlan
    from interlace.pipeline.fork_run import ForkRun
    from interlace.planning import Plan
    from interlace.theory.laws.reading import Reading

BY_STAGE = "by_stage"
"""The placebo of forks that nobody named: strict where the stage has true rewards, else none."""


def run(
    recipe: RecipeLike,
    out: str | Path | None = None,
    *,
    tasks: Mapping[str, Task] | None = None,
    overrides: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    profile: str | None = None,
    only: Sequence[str] = (),
    observer: Observer | None = None,
    fresh: bool = False,
) -> RunSummary | list[RunSummary]:
    """Train and measure a recipe; called again with the same arguments it continues a killed run.

    Args:
        recipe: a shipped name, the path of a YAML file, what such a file holds, or a `Recipe`.
        out: the run folder; by default ``runs/RECIPE``. Several seeds get a folder each below it.
        tasks: tasks made in Python, by the names that the stages know them by; they need not stand in the recipe.
        overrides: ``KEY=VALUE`` as of ``--set``, such as ``stages.rl.max_steps=50``.
        seeds: in place of the recipe's.
        profile: ``tiny`` for a run that only shows that everything works, ``third-rate`` for one whose stages learn at
            a third of their rate after the first start.
        only: names of stages: these alone, and those that they begin with, merge or are like.
        observer: told of progress.
        fresh: begin a new folder beside one that is there.

    Returns:
        The summary of the run; a list of them, in order of seeds, if there are several.
    """
    given = _named(tasks or {})
    resolved = load_recipe(recipe, overrides, seeds=seeds, profile=profile, only=only, given=given)
    outcome = execute(resolved, Path(out) if out else None, observer, fresh, given)
    return outcome.summaries[0] if len(outcome.summaries) == 1 else list(outcome.summaries)


def execute(
    recipe: Recipe,
    out: Path | None,
    observer: Observer | None,
    fresh: bool,
    tasks: Mapping[str, Task] | None = None,
) -> Outcome:
    """Run every seed of `recipe`, with `tasks` in place of its own, then summarise the runs and write their report."""
    from interlace.pipeline import run_recipe

    return report_on(run_recipe(recipe, out, observer, fresh, tasks=tasks))


def _named(tasks: Mapping[str, Any]) -> dict[str, Task]:
    """Each task under the name that the recipe has for it, in its records too."""
    for name, task in tasks.items():
        if not isinstance(task, Task):
            found = f"{type(task).__name__} for {name!r}"
            raise RecipeError(f"tasks must hold interlace.Task. Got {found}. Make one with Task.from_rows.")
    return {name: replace(task, name=name) for name, task in tasks.items()}


def fork(
    run: str | Path,
    stage: str | None = None,
    *,
    count: int = 6,
    steps: int | None = None,
    from_step: int = 0,
    placebo: str | None = BY_STAGE,
    mirrored: bool = False,
    tasks: Mapping[str, Task] | None = None,
    observer: Observer | None = None,
) -> ForkSummary:
    """Train copies of a finished stage beside the run: what of its change is drift, and what diffusion (B8, C9, C10).

    ``fork("runs/quickstart", "rl").parts["sft_loss"]["diffusion"]``. The run's weights, figures and checkpoints stay as
    they are; what the forks showed is added to its folder when the last of them was measured. Broken off, the same call
    goes on with the forks that are done; forks that were all made before are only read back.

    Args:
        run: the folder of one run that `interlace.run` trained.
        stage: its name; by default the first RL stage, or the first of all.
        count: forks of each arm, at least 4; of few, intervals are wide.
        steps: optimizer steps of a fork; by default the stage's own from `from_step` on.
        from_step: 0 (the stage's start) or the step of a checkpoint that was kept; its optimizer's second moments are
            taken over, its momentum is not, so that it is not compared with the run's own steps there.
        placebo: the rewards of the second arm: permuted within groups, ``strict``, which refuses settings under which
            they would still pull, or ``as_configured``; or ``bernoulli``, drawn at random. None: no such arm. By
            default strict for an RL stage; other stages have no rewards, and none.
        mirrored: a third arm, strict placebos with every advantage's sign turned.
        tasks: the tasks that the run was given in Python, by name.
        observer: told of progress.

    Raises:
        RunFolderError: no run folder, one that another process writes to, or data that have changed.
        RecipeError: an unknown stage, or settings that cannot be forked.
        MachineError: a disk without room for the forks' weights.
        TrainingError: a fork whose weights are no longer finite.
        Interrupted: after Ctrl-C, in the main thread; what is done is kept.
    """
    asked = {"count": count, "steps": steps, "placebo": placebo, "mirrored": mirrored}
    return fork_request(run, stage, from_step, asked, tasks, observer).make()


def fork_request(
    run: str | Path,
    stage: str | None,
    from_step: int,
    asked: Mapping[str, Any],
    tasks: Mapping[str, Task] | None = None,
    observer: Observer | None = None,
) -> ForkRun:
    """What `fork` makes: `make()` trains, `plan()` only says what that would take. Raises RecipeError for options."""
    from interlace.pipeline.fork_run import ForkRun

    named = {name: value for name, value in asked.items() if (name, value) != ("placebo", BY_STAGE)}
    options = parse_options(ForksConfig, named, "forks")
    return ForkRun(Path(run), stage, options, from_step, _named(tasks or {}), observer or Observer())


def read_law(label: str, /, **inputs: Any) -> Reading:
    """What a law says of given inputs: its value, what stands beside it, its conditions, and what that means.

    ``read_law("A5", problem=problem, rl_time=2.0)``. Inputs go by the names of the law's functions' parameters; lists
    may stand for arrays. `policy` is by default the RL path at `rl_time`, or else the reference; `assumed` says so.

    Raises RecipeError for an unknown label or input, or if inputs are missing; DataError for one that breaks its rule.
    """
    from interlace.theory.laws.reading import find_law
    from interlace.theory.laws.reading import read_law as read

    return read(find_law(label), inputs)


def measure(
    checkpoints: PathLike | Sequence[PathLike],
    task: TaskLike | Sequence[TaskLike] | None = None,
    *,
    between: int | None = None,
    budget: float | None = None,
    exchange_rate: float | None = None,
    write: str | Path | None = None,
    base: str | Path | None = None,
    prompts: int | None = None,
    completions: int = 8,
    seed: int = 0,
    dtype: str = "float32",
    preset: str = "standard",
    least_loss: float | Mapping[str, float] | None = None,
    note: Note | None = None,
) -> Measured:
    """SFT loss, reward and KL of checkpoints that any trainer wrote, and which of them to keep.

    ``measure(["checkpoints/a", "checkpoints/b"], task).recommend()``. Nothing of a checkpoint is executed or unpickled,
    and no network is used.

    Args:
        checkpoints: folders of models or adapters, .gguf files, folders of ``checkpoint-N``, stages, runs; the first
            one is what KL and differences are taken from. ``NAME=PATH`` names one.
        task: a Task, words as of ``--task`` (``addition:digits=2``, ``quickstart/sums``, ``rows.jsonl``), a mapping of
            kind and options, or several of them; None: the tasks of the run that the first checkpoint lies in.
        between: with two checkpoints, how many blends of their weights are measured between them (`Measured.line`).
        budget: nats/response that SFT loss may rise above the first checkpoint's, by the upper end of the rise's
            interval; a rule of `Measured.recommend`.
        exchange_rate: reward units that a nat of SFT loss is worth; the other rule.
        write: a new folder for the weights of the line's choice.
        base: the model under adapters; None: what they name.
        prompts: held-out prompts measured of each task; None: all.
        completions: sampled a prompt where the reward cannot be enumerated; with 1, rewards of 0 and 1 are compared
            exactly (McNemar).
        seed: draws splits, and the samples, which are drawn alike for every checkpoint.
        dtype: of the weights.
        preset: light (SFT loss and reward), standard (KL too) or full: every probe of a run that needs no trainer,
            gradients and curvature included, as `Measured.figures`. Cost of full: a forward and backward over each
            task's held-out responses, and some dozen of them for second derivatives, at each checkpoint.
        least_loss: with full, the SFT loss that the best model reaches, nats/response (by task where there are
            several), for PL constants where the expert is not known.
        note: told what is looked at next.

    Raises:
        RecipeError: arguments that do not go together, a task that is not known.
        MissingFileError, ModelError: a checkpoint that is not there, or must not or cannot be loaded.
        DataError: what a task or a reward breaks; a rule that makes no sense.
    """
    from interlace.checkpoints.session import Session

    session = Session(between, budget, exchange_rate, Path(write) if write else None, prompts, completions, seed, dtype,
                      preset, _in_words(least_loss))  # fmt: skip
    paths = [checkpoints] if isinstance(checkpoints, str | Path) else list(checkpoints)
    return session.measure(paths, _asked(task), base, note)


@overload
def plan(
    checkpoint: PathLike,
    tasks: TaskLike | Sequence[TaskLike] | None = None,
    *,
    exchange_rate: float | None = None,
    group_size: int = 8,
    kl_coefficient: float = 0.0,
    base: PathLike | None = None,
    prompts: int | None = None,
    completions: int = 8,
    gradients: bool | None = None,
    path_models: Sequence[str] = ("systematic", "natural", "group_normalised"),
    learning_rate: float | None = None,
    batch: int | None = None,
    pilot_steps: int = 20,
    seed: int = 0,
    note: Note | None = None,
) -> Plan: ...


@overload
def plan(
    *,
    rollouts: str | Path,
    expert_reward: float | None = None,
    expert_scores: str | Path | None = None,
    logprobs: str | Path | None = None,
    exchange_rate: float | None = None,
    columns: str | Mapping[str, str] | None = None,
    reward: str | None = None,
    seed: int = 0,
) -> RolloutPlan: ...


def plan(
    checkpoint: PathLike | None = None,
    tasks: TaskLike | Sequence[TaskLike] | None = None,
    *,
    rollouts: str | Path | None = None,
    **how: Any,
) -> Plan | RolloutPlan:
    """What RL will cost in SFT loss and when it should stop: before it begins, or from the rollouts that it dumped.

    ``interlace.plan("out/sft", task).stop(exchange_rate=0.5)`` forecasts RL from a checkpoint along every path model;
    ``interlace.plan(rollouts="out/completions", expert_reward=0.78).parity`` reads one that was begun, without torch.

    Args:
        checkpoint: that RL would start from, as `interlace.measure` takes it.
        tasks: the tasks that RL could train on, as there; by default those of the run that the checkpoint lies in.
        rollouts: in place of both: a folder or file that TRL, verl, prime-rl or NeMo-RL dumped, or any JSONL, JSON or
            Parquet rows of prompt, reward and step (gzip too); ``example``: those that come with the package.
        how: `exchange_rate` (reward units that a nat of SFT loss is worth) and `seed` for both. For a checkpoint:
            `group_size` and `kl_coefficient` of the stage, `base` under an adapter, `prompts` and `completions` to
            measure on, `gradients` (D15 for every pair of tasks; by default with several), `path_models` by name,
            `note`; with `learning_rate` and `batch` (completions a step) of the stage also how many optimizer steps
            each reward takes (`Plan.paces`), by 4 pilots of `pilot_steps` steps, which are trained and let go. For
            rollouts:
            `expert_reward` R_D, or `expert_scores`, a file of SFT data with a prompt and a score a row; `logprobs`,
            rows of
            step, prompt (or id) and logprob of an expert response, nats; `columns`, role to column where it is not
            found; `reward`, the reward's columns as ``NAME=WEIGHT,...``.

    Raises:
        MissingFileError: a file or folder that is not there.
        ModelError: a checkpoint that does not load, or would run code of its own.
        DataError: rows of no or of several trainers, or none with a reward.
        RecipeError: columns that are not there, an argument of another type or out of its range, or neither checkpoint
            nor rollouts.
    """
    if (checkpoint is None) == (rollouts is None):
        raise RecipeError(
            "plan must be given a checkpoint or rollouts, one of the two. Say plan(CKPT, task), or rollouts=."
        )
    if rollouts is not None:
        from interlace.dumps import plan_rollouts
        from interlace.dumps.arguments import RolloutArguments

        return plan_rollouts(**_given(RolloutArguments, {"rollouts": rollouts, **how}))
    from interlace.planning import Session
    from interlace.planning.arguments import PlanArguments

    if not isinstance(checkpoint, str | Path):
        raise RecipeError(
            f"plan must start from one checkpoint, named as text or a Path. Got {type(checkpoint).__name__}. "
            'Say plan("out/sft", task).'
        )
    given = _given(PlanArguments, how)
    base, note = given.pop("base", None), given.pop("note", None)
    return Session(**given).plan(checkpoint, _asked(tasks), base, note)


def _given(arguments: type[Options], how: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, each of its type. Raises RecipeError about the first that is not, or is not known."""
    found = parse_options(arguments, how, "plan")
    return {name: getattr(found, name) for name in found.model_fields_set}


def _asked(tasks: Any) -> list[TaskLike] | None:
    """The tasks as a list. Raises RecipeError for what stands for none."""
    if tasks is None:
        return None
    several = isinstance(tasks, Iterable) and not isinstance(tasks, str | Mapping | Task)
    asked: list[Any] = list(tasks) if several else [tasks]
    for task in asked:
        if not isinstance(task, str | Mapping | Task):
            raise RecipeError(
                "a task must be an interlace.Task, words as of --task, or a mapping of kind and options. Got "
                f"{type(task).__name__}. Make one with Task.from_rows, or name one: quickstart/sums."
            )
    return asked


def _in_words(least_loss: float | Mapping[str, float] | None) -> tuple[str, ...]:
    """As of ``--least-loss``."""
    if isinstance(least_loss, Mapping):
        return tuple(f"{task}={value}" for task, value in least_loss.items())
    return () if least_loss is None else (str(least_loss),)
