"""`interlace theory LAW`: what a law says of given numbers, under which conditions, and what that means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interlace.cli.output import JsonOption, print_json, stderr, stdout
from interlace.errors import RecipeError

if TYPE_CHECKING:
    from interlace.theory.laws.reading import Reading

PROBLEM = "A finite problem, by its tables"
BINARY = "A finite problem of two responses a prompt, right and wrong"


def _table(what: str) -> typer.models.OptionInfo:
    return typer.Option(metavar="TABLE", help=f"{what} Inline JSON, a .json or a .csv file.", rich_help_panel=PROBLEM)


def theory(
    law: Annotated[
        str | None, typer.Argument(metavar="LAW", help="A label, such as A5 (`interlace list laws`).")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Any other input of the law: a number, JSON, or a file."),
    ] = None,
    pass_rates: Annotated[
        str | None, typer.Option(metavar="0.2,0.7", help="The reference's, one a prompt.", rich_help_panel=BINARY)
    ] = None,
    expert_reward: Annotated[
        str | None,
        typer.Option(
            metavar="0.75", help="The expert's pass rate, one for all or one a prompt.", rich_help_panel=BINARY
        ),
    ] = None,
    prompts: Annotated[str | None, _table("Weights of the prompts, by default equal.")] = None,
    reference: Annotated[str | None, _table("The policy at the start of RL, a row a prompt.")] = None,
    expert: Annotated[str | None, _table("The expert's responses (SFT data), a row a prompt.")] = None,
    reward: Annotated[str | None, _table("The reward of each response, a row a prompt.")] = None,
    rl_time: Annotated[str | None, typer.Option(metavar="TIME", help="How far RL goes, 1/(KL coefficient).")] = None,
    exchange_rate: Annotated[
        str | None, typer.Option(metavar="RATE", help="Reward that a nat of SFT loss is worth.")
    ] = None,
    kl_coefficient: Annotated[
        str | None, typer.Option(metavar="BETA", help="Weight of RL's KL term, reward per nat.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Draw it into one HTML file.")] = None,
    json: JsonOption = False,
) -> None:
    """Read a law on numbers: its value, its conditions, and what that means for a run.

    The policy that is asked about is by default the RL path at --rl-time, or the reference.
    """
    if law is None:
        raise RecipeError("LAW must be given. Got none. `interlace list laws` shows them.")
    from interlace.cli.theory.inputs import inputs_from
    from interlace.cli.theory.problem import ProblemOptions
    from interlace.theory.laws.reading import find_law, read_law

    found = find_law(law)
    if plot is not None:
        from interlace.report.laws import check_plot

        check_plot(found, plot)
    tables = ProblemOptions(prompts, reference, expert, reward, pass_rates, expert_reward)
    numbers = {"rl_time": rl_time, "exchange_rate": exchange_rate, "kl_coefficient": kl_coefficient}
    reading = read_law(found, inputs_from(found, tables, numbers, values or ()))
    if plot is not None:
        from interlace.report.laws import write_law_plot

        write_law_plot(reading, plot)
        stderr().print(f"Plot: {plot}", markup=False, soft_wrap=True)
    _print(reading, json)


def _print(reading: Reading, json: bool) -> None:
    """The reading on stdout; what was assumed stands in its table, or else on stderr."""
    if not json:
        from interlace.cli.theory.tables import print_reading

        print_reading(stdout(), reading)
        return
    from interlace.analysis.summary import SCHEMA_VERSION

    for name, sentence in reading.assumed.items():
        stderr().print(f"{name} was not given: {sentence}", markup=False, soft_wrap=True)
    print_json({"schema_version": SCHEMA_VERSION, **reading.to_json()})
