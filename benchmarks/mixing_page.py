"""What finished shoot-outs say, as a page: their tables in Markdown, made from the runs alone.

    python benchmarks/mixing_page.py RUNS... --bound runs/front-addition
    python benchmarks/mixing_page.py runs/rivals-addition --averaging runs/rivals-addition --title "What averages gain"

RUNS may be of several recipes. For each: what it says in sentences, all arms at equal FLOPs and their places at equal
tokens, what options do, what adapting is worth, how far from the front arms come (`distance`), and what budgets kept
(`budgets`); over recipes the standings; of `--averaging` what averaged weights gain (`averaging`). The page is written
to the output.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import get_args

import averaging
import budgets
import distance
from rich.table import Table
from shootout_tables import of_rich, says_mistakes

from interlace.analysis.exclusion import exclusion
from interlace.analysis.shootout import By, NoShootout, Shootout, shootout
from interlace.analysis.shootout.arms import arms_of, pairs_of, rl_alone
from interlace.analysis.shootout.averaging import NO_MERGE, splits_of
from interlace.analysis.shootout.budgets import budgets_kept
from interlace.analysis.shootout.missing import begun_and_not
from interlace.errors import DataError
from interlace.measurement import AVERAGED, LINE
from interlace.readback import every_run, kept_runs
from interlace.recipe import PROFILES, load_recipe, shipped_recipes
from interlace.report.formatting import Cell
from interlace.report.shootout import compared, standings_tables
from interlace.report.tables import Table as PageTable
from interlace.store import RunRecord

REWARDS = (0.80, 0.85, 0.90, 0.95)
MADE = (
    "Made from the runs alone by `{command}`. Intervals are at 95 %: over seeds, each row by itself, unless a "
    "sentence or a remark says that they hold together. Rewards are in reward units, SFT loss in nats a response; "
    "lambda is {rate:g} reward units a nat. What marks mean stands below each table."
)
BUDGETS = "Budgets of SFT loss"
SECONDARY = "Secondary metrics"
"""Begins the name of a table that stands in the reports alone."""


@says_mistakes
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--bound", help="runs of front-addition, for recipes with its start")
    parser.add_argument("--averaging", nargs="*", default=[], help="runs of rivals-addition")
    parser.add_argument("--title", default="Mixing SFT and RL at equal compute")
    parser.add_argument("--exchange-rate", type=float, default=0.5)
    given = parser.parse_args()
    recipes = by_recipe(every_run(*given.runs))
    rate = given.exchange_rate
    found = [contests(records, rate) for records in recipes]
    bounds = kept_runs(given.bound) if given.bound else []
    averages = [each for path in given.averaging for each in by_recipe(kept_runs(path))]
    print(f"# {given.title}\n")
    print(MADE.format(rate=rate, command=command_of_page(recipes, bounds, averages)) + "\n")
    for records, contest in zip(recipes, found, strict=True):
        print("\n\n".join([f"## {records[0].recipe}", *of_recipe(records, contest, bounds)]) + "\n")
    held = [each for contest in found if not isinstance(contest, NoShootout) for each in contest]
    for table in standings_tables(compared(held)):
        print(of_page(table) + "\n")
    for records in averages:
        print("\n\n".join(of_averaging(records)) + "\n")


def command_of_page(
    recipes: Sequence[Sequence[RunRecord]], bounds: Sequence[RunRecord], averages: Sequence[Sequence[RunRecord]]
) -> str:
    """With each recipe's runs where `interlace run` puts them."""
    parts = ["python benchmarks/mixing_page.py", *(places(records) for records in recipes)]
    parts += [f"--bound {places(bounds)}"] if bounds else []
    parts += ["--averaging", *(places(records) for records in averages)] if averages else []
    return " ".join(parts)


def places(records: Sequence[RunRecord]) -> str:
    return f"runs/{records[0].recipe}"


def command_of(runs: Sequence[RunRecord]) -> str:
    """What trains such runs: the recipe, or its file by name, its profile, the files of its tasks, and its stages where
    these are not all that a shipped one has."""
    recipe, seeds = runs[0].recipe, ",".join(str(record.seed) for record in runs)
    profile = next((each for each in PROFILES if recipe.endswith(f"-{each}")), None)
    name = recipe.removesuffix(f"-{profile}")
    tasks = (runs[0].resolved.get("tasks") or {}).items()
    files = [f"tasks.{task}.path={Path(options['path']).name}" for task, options in tasks if options.get("path")]
    parts = ["interlace run", name if name in shipped_recipes() else f"{name}.yaml"]
    parts += [f"--profile {profile}"] * bool(profile) + [f"--set {file}" for file in files]
    if name in shipped_recipes():
        trained = [next(iter(stage.values()))["name"] for stage in runs[0].resolved["stages"]]
        whole = [stage.name for stage in load_recipe(name, files).stages]
        parts += [f"--only {','.join(trained)}"] * (len(trained) < len(whole))
    return " ".join([*parts, f"--seeds {seeds}"])


def by_recipe(records: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """Runs of each recipe, in its name's order."""
    ordered = sorted(records, key=lambda record: (record.recipe, record.seed))
    return [list(each) for _, each in groupby(ordered, key=lambda record: record.recipe)]


def contests(records: Sequence[RunRecord], rate: float) -> list[Shootout] | NoShootout:
    """By FLOPs and by tokens, where there is one."""
    try:
        found = [shootout(records, by=by, exchange_rate=rate) for by in get_args(By)]
    except DataError as error:
        return NoShootout(records[0].recipe, str(error))
    return [each for each in found if each.rows] or NoShootout(records[0].recipe, found[0].why_empty)


def of_recipe(
    runs: Sequence[RunRecord], found: list[Shootout] | NoShootout, bounds: Sequence[RunRecord]
) -> Iterator[str]:
    """What the runs of one recipe come to: those that its shoot-outs have."""
    if isinstance(found, NoShootout):
        yield found.sentence.rstrip(".") + "."
        return
    ruled_out = {f"seed {record.seed}": why for record in runs if (why := exclusion(record)) is not None}
    records = [record for record in runs if record.seed in found[0].seeds and exclusion(record) is None]
    rate = found[0].exchange_rate
    packages = records[0].manifest["packages"]
    made = ", ".join(f"{name} {packages[name]}" for name in ("interlace", "torch", "transformers", "trl"))
    yield f"`{command_of([record for record in runs if record in records or exclusion(record)])}` ({made})."
    if ruled_out:
        reasons = "; ".join(f"{seed}, as {why}" for seed, why in ruled_out.items())
        yield f"Left out by the recipe's own rule, written down before it ran: {reasons}."
    for those in compared(found):
        yield "\n".join(f"- {sentence}" for sentence in those.sentences)
        yield from (of_page(table) for table in those.tables if not table.name.startswith(SECONDARY))
    arms = arms_of(records).arms
    same_start = {each.seed: each for each in bounds if starts_alike(each, records[0])}
    for pair in pairs_of(records[0], arms):
        yield of_rich(distance.table_of(records, arms, pair, REWARDS, same_start), "SFT loss over the front")
        plain = rl_alone(records, arms)
        if plain is None:
            yield f"### {BUDGETS}, {pair.name}\n\nNot told: no arm is RL alone, which the others are held against."
            continue
        rows = budgets_kept(records, arms, pair, plain, budgets.PUBLISHED, by="flops", exchange_rate=rate)
        yield of_rich(budgets.table(rows, pair.name), BUDGETS) if rows else f"### {BUDGETS}\n\nNo arm has one."


def starts_alike(one: RunRecord, other: RunRecord) -> bool:
    """Whether a bound from one is a bound for the other."""
    return all(one.resolved.get(part) == other.resolved.get(part) for part in ("model", "model_options", "tasks")) and (
        one.resolved["stages"][0] == other.resolved["stages"][0]
    )


def of_averaging(runs: Sequence[RunRecord]) -> Iterator[str]:
    """What averaged weights and the line have over a run's own, of the runs of one recipe."""
    records, waiting = begun_and_not(runs)
    name, arms = f"Averaged weights, {records[0].recipe}", arms_of(records).arms
    plain = rl_alone(records, arms)
    for pair in pairs_of(records[0], arms):
        found = splits_of(records, pair)
        yield (
            of_rich(averaging.table(found, pair.name), name)
            if found
            else f"### {name}\n\nNo referee of noise: {NO_MERGE.reason}."
        )
        for weights in (AVERAGED, LINE) if plain is not None else ():
            table = distance.apart_table(records, arms, pair, REWARDS[:3], plain.name, weights)
            yield of_rich(table, f"SFT loss beyond that of {plain.name}, {weights}, at equal reward")
    if waiting:
        yield "\n".join(f"- {seed} is left out: {reason}." for seed, reason in waiting.items())


def of_page(table: PageTable) -> str:
    """A table of the report, its remark, and the reasons of its dashes."""
    made = Table(*table.columns)
    for row in table.rows:
        made.add_row(*map(cell, row))
    notes = "\n".join(f"{number}. {note}" for number, note in enumerate(table.notes, 1))
    return "\n\n".join(part for part in (of_rich(made, table.name), table.remark, notes) if part)


def cell(each: Cell) -> str:
    note = "" if each.note is None else f"({each.note})"
    return " ".join(part for part in (each.text, each.interval, note) if part)


if __name__ == "__main__":
    main()
