"""`interlace plan`: what an RL stage will cost or has cost, and when to stop it, without training anything."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from interlace.cli.files import check_files
from interlace.cli.output import JsonOption, print_json, stderr, stdout
from interlace.cli.stopping import stoppable
from interlace.errors import RecipeError

if TYPE_CHECKING:
    from interlace.dumps import RolloutPlan
    from interlace.planning import Plan

Options: TypeAlias = dict[str, Any]
"""Options by their names in Python; None: not given."""

RolloutsOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Rollouts that a trainer dumped: TRL (log_completions), verl (rollout_data_dir), prime-rl, NeMo-RL, or "
        "any JSONL, JSON or Parquet rows of prompt, reward and step; a file will do. `example`: those that come along.",
    ),
]
ExpertReward: TypeAlias = Annotated[
    float | None, typer.Option(metavar="REWARD", help="What the SFT data earn on average, such as 0.78.")
]
ExpertScores: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="In its place, SFT data with a prompt of the rollouts and a score a row."),
]
Logprobs: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Log-probabilities of expert responses at some steps: rows of step, prompt and logprob (nats a response), "
        "num_tokens and reward if known. examples/export_logprobs_*.py write them.",
    ),
]
ExchangeRate: TypeAlias = Annotated[
    float | None,
    typer.Option(metavar="REWARD", help="The reward that a nat of SFT loss is worth: when to stop."),
]
Columns: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="ROLE=COLUMN,...", help="Where a column is not found: prompt=question,step=iteration,..."),
]
Reward: TypeAlias = Annotated[
    str | None, typer.Option(metavar="NAME[=WEIGHT],...", help="The reward's columns; by default TRL's are added up.")
]
Html: TypeAlias = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with figures and tables.")]
SeedOption: TypeAlias = Annotated[int, typer.Option(help="Draws the resamples behind the intervals.")]


CheckpointArgument: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CKPT",
        help="The checkpoint that RL would start from: a model's folder, an adapter, checkpoint-N, a stage or a run, a "
        ".gguf file. With --task, or in the run that it lies in. With --score, the runs.",
    ),
]
Tasks: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--task", metavar="TASK", help="As of `interlace measure`: rows.jsonl, quickstart/sums, RUN/sums ..."),
]
GroupSize: TypeAlias = Annotated[
    int, typer.Option("--group-size", "--num-generations", help="Completions a prompt in a group.")
]
LearningRate: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="RATE",
        help="RL's, with --batch: steps that each reward takes, by 4 pilots (trained, then let go).",
    ),
]
Batch: TypeAlias = Annotated[
    int | None,
    typer.Option("--batch", "--per-device-train-batch-size", metavar="COMPLETIONS", help="Completions a step."),
]
PilotSteps: TypeAlias = Annotated[
    int, typer.Option(metavar="STEPS", help="Steps of a pilot; steps are told up to three times as many.")
]
Beta: TypeAlias = Annotated[float, typer.Option(help="Coefficient of a KL term in RL's objective.")]
Base: TypeAlias = Annotated[Path | None, typer.Option(help="The model under an adapter; by default what it names.")]
Prompts: TypeAlias = Annotated[int | None, typer.Option(help="Held-out prompts a task; by default all.")]
Completions: TypeAlias = Annotated[int, typer.Option(help="Sampled a prompt where rewards cannot be enumerated.")]
PathModels: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--path-model", metavar="NAME", help="Repeatable; by default systematic, natural, group_normalised."),
]
Gradients: TypeAlias = Annotated[
    bool | None,
    typer.Option(help="What reward on each task costs on each other, to first order (D15); by default with several."),
]


Score: TypeAlias = Annotated[
    bool,
    typer.Option("--score", help="Judge the forecasts that finished runs kept of their own RL stages: --score RUN..."),
]


Whole: TypeAlias = Annotated[bool, typer.Option("--all", help="With --score: every forecast, bias, skill.")]
Again: TypeAlias = Annotated[
    bool,
    typer.Option("--again", help="With --score: what this version forecasts from the same looks, not what was kept."),
]


def plan(
    checkpoints: CheckpointArgument = None,
    tasks: Tasks = None,
    group_size: GroupSize = 8,
    beta: Beta = 0.0,
    base: Base = None,
    prompts: Prompts = None,
    completions: Completions = 8,
    gradients: Gradients = None,
    path_models: PathModels = None,
    learning_rate: LearningRate = None,
    batch: Batch = None,
    pilot_steps: PilotSteps = 20,
    rollouts: RolloutsOption = None,
    expert_reward: ExpertReward = None,
    expert_scores: ExpertScores = None,
    logprobs: Logprobs = None,
    exchange_rate: ExchangeRate = None,
    score: Score = False,
    whole: Whole = False,
    again: Again = False,
    columns: Columns = None,
    reward: Reward = None,
    html: Html = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Say what RL will cost in SFT loss and when it should stop. `interlace plan CKPT --task T` forecasts a stage
    before it begins; `interlace plan --rollouts FOLDER` reads one that was begun, from its rewards alone and without
    weights; `interlace plan --score RUN...` judges what runs forecast of themselves. Try
    `interlace plan --rollouts example --exchange-rate 0.5 --html plan.html`.
    """
    check_files({"--html": (html, ".html")})
    of_rollouts: Options = {"expert_reward": expert_reward, "expert_scores": expert_scores, "logprobs": logprobs,
                            "columns": columns, "reward": reward}  # fmt: skip
    of_checkpoints: Options = {"task": tasks, "base": base, "prompts": prompts, "gradients": gradients,
                               "path_model": path_models, "learning_rate": learning_rate, "batch": batch}  # fmt: skip
    if score:
        others = {"rollouts": rollouts, "html": html, "exchange_rate": exchange_rate}
        _refuse_beside_score(of_rollouts | of_checkpoints | others)
        _score(checkpoints or [], whole, again, json)
        return
    if whole or again:
        lone = "--all" if whole else "--again"
        raise RecipeError(f"{lone} goes with --score. Got it alone. Say interlace plan --score RUN... {lone}.")
    checkpoint = _one(checkpoints)
    _check_form(checkpoint, rollouts, of_checkpoints, of_rollouts)
    if rollouts is not None:
        _show_rollouts(_read(rollouts, of_rollouts | {"exchange_rate": exchange_rate, "seed": seed}), json, html)
        return
    how: Options = {"exchange_rate": exchange_rate, "group_size": group_size, "kl_coefficient": beta,
                    "prompts": prompts, "completions": completions, "seed": seed, "gradients": gradients,
                    "learning_rate": learning_rate, "batch": batch, "pilot_steps": pilot_steps}  # fmt: skip
    named: Options = {"path_models": path_models} if path_models else {}
    _show_forecast(_forecast(str(checkpoint), tasks, base, how | named), json, html)


def _read(rollouts: Path, how: Options) -> RolloutPlan:
    from interlace.dumps import plan_rollouts

    with stderr().status("reading the rollouts"):
        return plan_rollouts(rollouts, **how)


def _forecast(checkpoint: str, tasks: Sequence[str] | None, base: Path | None, how: Options) -> Plan:
    with redirect_stdout(sys.stderr), stderr().status("looking at the checkpoint") as status:
        from interlace.planning import Session

        session = Session(**how)
        with stoppable():
            return session.plan(checkpoint, tasks, base, status.update)


def _astray(options: Options) -> str | None:
    """The first option that was given, as it is typed."""
    name = next((name for name, value in options.items() if value is not None), None)
    return None if name is None else f"--{name.replace('_', '-')}"


def _refuse_beside_score(others: Options) -> None:
    """Raises RecipeError for an option that says nothing to finished runs."""
    astray = _astray(others)
    if astray is not None:
        raise RecipeError(
            f"--score takes runs, --all, --again and --json alone. Got {astray}. Leave it out; "
            "`interlace report` draws."
        )


def _score(runs: Sequence[str], whole: bool, again: bool, json: bool) -> None:
    from interlace.cli.scored import print_scores
    from interlace.readback import score_forecasts

    with stderr().status("judging forecasts"):
        found = score_forecasts(*runs, again=again)
    if json:
        print_json(found)
    else:
        print_scores(stdout(), found, whole)


def _one(checkpoints: Sequence[str] | None) -> str | None:
    """The checkpoint that was named, if one was. Raises RecipeError for several."""
    if checkpoints is not None and len(checkpoints) > 1:
        raise RecipeError(
            f"plan starts from one checkpoint. Got {len(checkpoints)}: {', '.join(checkpoints)}. Name the one that RL "
            "will start from; `--score` takes several runs."
        )
    return checkpoints[0] if checkpoints else None


def _check_form(
    checkpoint: str | None,
    rollouts: Path | None,
    of_checkpoints: Options,
    of_rollouts: Options,
) -> None:
    """Either a checkpoint or rollouts, each with its own options. Raises RecipeError for anything else."""
    if (rollouts is None) == (checkpoint is None):
        found = "neither" if rollouts is None else f"both {checkpoint} and {rollouts}"
        raise RecipeError(
            f"plan must be told what to plan from: a checkpoint, or --rollouts. Got {found}. "
            "Say interlace plan CKPT --task T, or interlace plan --rollouts example."
        )
    others, word = (of_checkpoints, "a checkpoint") if checkpoint is None else (of_rollouts, "--rollouts")
    astray = _astray(others)
    if astray is not None:
        raise RecipeError(f"{astray} must stand with {word}. Got none. Leave it out, or give {word}.")


def _show_rollouts(found: RolloutPlan, json: bool, html: Path | None) -> None:
    from interlace.cli.planned import print_rollouts

    if json:
        print_json(found)
    else:
        print_rollouts(stdout(), found)
    if html is not None:
        from interlace.report.dumps import write_rollouts_page

        _say_page(write_rollouts_page(found, html))


def _show_forecast(found: Plan, json: bool, html: Path | None) -> None:
    from interlace.cli.forecast import print_forecast

    if json:
        print_json(found)
    else:
        print_forecast(stdout(), found)
    if html is not None:
        from interlace.report.planning import write_plan_page

        _say_page(write_plan_page(found, html))


def _say_page(path: Path) -> None:
    stderr().print(f"Page: {path}", markup=False, soft_wrap=True)
