"""`interlace run RECIPE`: train a pipeline of stages with both objectives tracked through all of them."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interlace.cli.output import JsonOption, stderr
from interlace.errors import RecipeError

if TYPE_CHECKING:
    from interlace.recipe import Recipe


def run(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A shipped recipe (`interlace list recipes`) or a YAML file.")
    ],
    out: Annotated[Path | None, typer.Option(help="The run folder; by default runs/RECIPE.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe, e.g. stages.rl.max_steps=50. Repeatable."),
    ] = None,
    seeds: Annotated[str | None, typer.Option(metavar="0,1,...", help="Seeds in place of the recipe's.")] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="tiny: a few small steps a stage, to see that it runs; third-rate: a third of the learning rate after "
            "the first start, to see what findings owe to it."
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="These stages alone, and those that they begin with, merge or are like."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin a new folder beside one that is there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, train nothing, show the plan.")] = False,
    json: JsonOption = False,
) -> None:
    """Train a recipe's stages and measure SFT loss and reward through all of them.

    The same command on a killed run continues it; on a finished one it prints the summary.
    """
    given = _parse_seeds(seeds)
    from interlace.recipe import load_recipe

    with stderr().status("checking the recipe"):
        resolved = load_recipe(recipe, overrides or (), seeds=given, profile=profile, only=_names(only))
    if dry_run:
        _plan(resolved, out, fresh, json)
    else:
        _train(resolved, out, fresh, json)


def _names(text: str | None) -> list[str]:
    """The names in ``rl,joint``. Raises RecipeError for none: the whole recipe was not asked for."""
    if text is None:
        return []
    names = [name for part in text.split(",") if (name := part.strip())]
    if not names:
        raise RecipeError(f"--only must name stages with commas, such as rl,joint. Got {text!r}.")
    return names


def _plan(recipe: Recipe, out: Path | None, fresh: bool, json: bool) -> None:
    from interlace.cli.dry_run import print_plan
    from interlace.dry_run import plan_recipe

    with redirect_stdout(sys.stderr):
        plan = plan_recipe(recipe, out, fresh)
    print_plan(plan, json)


def _train(recipe: Recipe, out: Path | None, fresh: bool, json: bool) -> None:
    from interlace.api import execute
    from interlace.cli.progress import TerminalObserver
    from interlace.cli.tables import print_outcome

    # Libraries print as they like; stdout is for the result alone.
    with redirect_stdout(sys.stderr), TerminalObserver(stderr()) as observer:
        outcome = execute(recipe, out, observer, fresh)
    print_outcome(outcome, json)


def _parse_seeds(text: str | None) -> list[int] | None:
    """The seeds in ``0,1,2``. Raises RecipeError for anything else."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise RecipeError(f"--seeds must be whole numbers with commas, such as 0,1,2. Got {text!r}.") from None
