"""How far each arm of a shoot-out is from the front that no policy passes (D9), and from what its network attains.

    python benchmarks/distance.py runs/shootout-addition --rewards .80 .85 .90 .95 --bound runs/front-addition
    python benchmarks/distance.py runs/rivals-addition --than rl averaged

For every arm, its own weights, their average and the straight line from start to end: the SFT loss where the arm first
comes to a reward, over the least that any policy can have there, nats a response, and beside it over a bound from above
on what the same network, or a coin between two of its trainings, can attain: where it ends from the same start when one
method trains it straight to joint optima, at one rate for so many steps, and between two such ends what the coin has. A
cell is empty where no run comes to the reward. The last column is the mean over the rewards that were asked, of the
runs that come to all of them. With `--than ARM WEIGHTS` how much more each has there than that one, paired. How it is
read stands in `interlace.analysis.shootout.distance`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from shootout_tables import cell, contest_of, says_mistakes, with_reasons

from interlace.analysis.shootout.arms import Arm, Pair, pairs_of
from interlace.analysis.shootout.distance import Distance, apart_at, distances
from interlace.errors import RecipeError, unknown_name
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.readback import kept_runs
from interlace.report.formatting import Notes
from interlace.store import RunRecord

OVER_FRONT = "A cell: SFT loss over the least that any policy can have at that reward (D9)"
OVER_BOUND = "; after the slash over a bound on what the network, or a coin between two of its trainings, can attain"
LEGEND = (
    "; nats/response, means with 95 % intervals over the runs that come to the reward (of one run, over its prompts); "
    "in brackets how many of all runs do. Mean of them: over all these rewards, of runs that come to each. Empty: no "
    "run does."
)

THAN = (
    "A cell: SFT loss over the front at that reward less that of {arm}, {weights}, prompt by prompt, nats/response; "
    "means with 95 % intervals over the runs in which both come to it (of one run, over its prompts), and how many of "
    "all do."
)


@says_mistakes
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--rewards", type=float, nargs="+", default=[0.80, 0.85, 0.90, 0.95])
    parser.add_argument("--bound", help="runs of front-addition")
    parser.add_argument("--than", nargs=2, metavar=("ARM", "WEIGHTS"), help="weights: raw, averaged or line")
    given = parser.parse_args()
    kept, arms = contest_of(*given.runs)
    straight = {record.seed: record for record in kept_runs(given.bound)} if given.bound else {}
    for pair in pairs_of(kept[0], arms):
        table = (
            apart_table(kept, arms, pair, given.rewards, *given.than)
            if given.than
            else table_of(kept, arms, pair, given.rewards, straight)
        )
        Console(width=60 + 34 * len(table.columns[2:])).print(table)


def table_of(
    runs: Sequence[RunRecord],
    arms: Sequence[Arm],
    pair: Pair,
    rewards: Sequence[float],
    straight: Mapping[int, RunRecord],
) -> Table:
    columns = ["arm", "weights", *(f"at {reward:.2f}" for reward in rewards), "mean of them"]
    table = Table(*columns, title=pair.name)
    rows: dict[tuple[str, str], list[str]] = {}
    notes = Notes()
    for item in distances(runs, arms, pair, rewards, straight):
        rows.setdefault((item.arm, item.weights), []).append(over(item, bool(straight), notes))
    for (arm, weights), cells in rows.items():
        if any(cells):
            table.add_row(arm, weights, *cells)
    none = "No arm comes to these rewards where a front of both objectives is known."
    legend = OVER_FRONT + OVER_BOUND * bool(straight) + LEGEND
    return with_reasons(table, notes, legend if table.row_count else none)


def apart_table(
    runs: Sequence[RunRecord], arms: Sequence[Arm], pair: Pair, rewards: Sequence[float], than: str, weights: str
) -> Table:
    """Raises RecipeError for an arm, or a kind of weights, that is none."""
    named = {arm.name: arm for arm in arms}
    for word, what, known in ((than, "ARM", named), (weights, "WEIGHTS", (RAW, AVERAGED, LINE))):
        if word not in known:
            raise RecipeError(unknown_name(f"--than {what}", word, known))
    table = Table("arm", "weights", *(f"at {reward:.2f}" for reward in rewards), title=pair.name)
    rows: dict[tuple[str, str], list[str]] = {}
    notes = Notes()
    for item in apart_at(runs, arms, pair, rewards, (named[than], weights)):
        shown = f"{cell(item.more, notes, signed=True)} ({item.reached} of {item.runs})" if item.reached else ""
        rows.setdefault((item.arm, item.weights), []).append(shown)
    for key, cells in rows.items():
        if any(cells):
            table.add_row(*key, *cells)
    return with_reasons(table, notes, THAN.format(arm=than, weights=weights))


def over(item: Distance, with_bound: bool, notes: Notes) -> str:
    """Over the front and over the bound, and how many runs come to the reward; nothing where none does."""
    if not item.reached:
        return ""
    shown = [item.over_front, *([item.over_bound] if with_bound else [])]
    return f"{' / '.join(cell(each, notes) for each in shown)} ({item.reached} of {item.runs})"


if __name__ == "__main__":
    main()
