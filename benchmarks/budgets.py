"""What arms with a budget of SFT loss kept, and what it left them, in runs of a shoot-out.

    python benchmarks/budgets.py runs/shootout-addition [--by tokens] [--exchange-rate 0.5]

Of every arm with a budget (guarded, guarded_frontier), on the held-out prompts that did not steer it: at how many looks
the rise of SFT loss was within the budget (whole interval / by the mean alone / above by the mean alone / above with
the whole interval), for the weights that it guards; under raw and averaged weights the share of plain RL's gain of
reward that it has at the common compute, and in which share of runs its R - lambda L is above SFT -> RL's and above the
best published method's. Which that is, is chosen for each run on the other ones. Intervals are over runs. How it is
read stands in `interlace.analysis.shootout.budgets`.
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table
from shootout_tables import cell, contest_of, says_mistakes, with_reasons

from interlace.analysis.shootout.arms import pairs_of, rl_alone
from interlace.analysis.shootout.budgets import BudgetKept, budgets_kept
from interlace.errors import DataError
from interlace.methods import METHODS
from interlace.report.formatting import Notes

PUBLISHED = {name for name, method in METHODS.items() if method.published}

LEGEND = (
    "Budget: nats/token that SFT loss may rise. Looks, of all runs after the start, on the prompts that did not steer, "
    "under the weights that are guarded: rise within the budget with its whole interval / by its mean alone / above by "
    "its mean alone / with its whole interval. Within: share of looks with the mean within, mean over runs. Ended "
    "within: share of runs whose last look is so. RL's gain kept: rise of reward over RL alone's, at the common "
    "compute. Over RL, over published: share of runs with R - lambda L above that of RL alone, and of the published "
    "arm that is best in the other runs (named). Intervals at 95 %, over runs."
)


@says_mistakes
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--by", choices=("flops", "tokens"), default="flops")
    parser.add_argument("--against", help="the arm of RL alone, by name, where it is not found")
    parser.add_argument("--exchange-rate", type=float, default=0.5)
    given = parser.parse_args()
    kept, arms = contest_of(*given.runs)
    named = next((arm for arm in arms if arm.name == given.against), None)
    plain = named if given.against else rl_alone(kept, arms)
    if plain is None:
        raise DataError(
            f"RUNS must have {given.against or 'an arm of RL alone'}, which the others are held against. They have "
            f"{', '.join(arm.name for arm in arms)}. Name one by --against."
        )
    for pair in pairs_of(kept[0], arms):
        rows = budgets_kept(kept, arms, pair, plain, PUBLISHED, by=given.by, exchange_rate=given.exchange_rate)
        Console(width=170).print(table(rows, pair.name) if rows else f"{pair.name}: no arm has a budget.")


def table(rows: list[BudgetKept], title: str) -> Table:
    looked, compared = ("looks", "within", "ended within"), ("RL's gain kept", "over RL", "over published")
    notes = Notes()
    made = Table("arm", "weights", "budget", *looked, *compared, title=title)
    for row in rows:
        of_looks = looks(row, notes) if row.weights == row.guarded else [""] * len(looked)
        told = [cell(figure, notes) for figure in (row.gain_kept, row.over_rl, row.over_published)]
        told[-1] = " ".join([told[-1], ", ".join(dict.fromkeys(row.rivals))]).strip()
        made.add_row(row.arm, row.weights, f"{row.budget:g}", *of_looks, *told)
    return with_reasons(made, notes, LEGEND)


def looks(row: BudgetKept, notes: Notes) -> list[str]:
    found = row.looks
    counts = f"{found.within}/{found.probably_within}/{found.probably_above}/{found.above}"
    unread = f" ({found.unread} unread)" if found.unread else ""
    return [counts + unread, cell(found.share, notes), cell(found.ended, notes)]


if __name__ == "__main__":
    main()
