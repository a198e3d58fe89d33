"""`interlace plan`: what an RL stage will cost or has cost, and when to stop it, without training anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from interlace.cli.files import check_files
from interlace.cli.output import JsonOption, print_json, stderr, stdout
from interlace.errors import RecipeError

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
    Path | None, typer.Option(metavar="FILE", help="In its place, SFT data with a prompt and a score a row.")
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


def plan(
    rollouts: RolloutsOption = None,
    expert_reward: ExpertReward = None,
    expert_scores: ExpertScores = None,
    logprobs: Logprobs = None,
    exchange_rate: ExchangeRate = None,
    columns: Columns = None,
    reward: Reward = None,
    html: Html = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Read the rollouts of an RL run, finished or not, and say what it costs in SFT loss and when it should stop: from
    rewards alone, without weights. Try `interlace plan --rollouts example --exchange-rate 0.5 --html plan.html`.
    """
    check_files({"--html": (html, ".html")})
    if rollouts is None:
        raise RecipeError("plan must be told what to plan from. Got nothing. Say --rollouts FOLDER, or example.")
    from interlace.cli.planned import print_rollouts
    from interlace.dumps import plan_rollouts

    with stderr().status("reading the rollouts"):
        found = plan_rollouts(rollouts, expert_reward, expert_scores, logprobs, exchange_rate, columns, reward, seed)
    if json:
        print_json(found)
    else:
        print_rollouts(stdout(), found)
    if html is not None:
        from interlace.report.dumps import write_rollouts_page

        stderr().print(f"Page: {write_rollouts_page(found, html)}", markup=False, soft_wrap=True)
