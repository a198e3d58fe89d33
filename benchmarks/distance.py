"""How far each arm of a shoot-out is from the front that no policy passes (D9), and from what its network attains.

    python benchmarks/distance.py runs/shootout-addition --rewards .80 .85 .90 .95 --bound runs/front-addition

For every arm, its own weights, their average and the straight line from start to end: the SFT loss where the arm first
comes to a reward, over the least that any policy can have there, nats a response, and beside it over a bound from above
on what the same network, or a coin between two of its trainings, can attain: where it ends from the same start when one
method trains it straight to joint optima, at one rate for so many steps, and between two such ends what the coin has. A
cell is empty where no run comes to the reward. The last column is the mean over the rewards that were asked, of the
runs that come to all of them. How it is read stands in `interlace.analysis.shootout.distance`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from shootout_tables import cell, contest_of, says_mistakes, with_reasons

from interlace.analysis.shootout.arms import Arm, Pair, pairs_of
from interlace.analysis.shootout.distance import Distance, distances
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


@says_mistakes
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--rewards", type=float, nargs="+", default=[0.80, 0.85, 0.90, 0.95])
    parser.add_argument("--bound", help="runs of front-addition")
    given = parser.parse_args()
    kept, arms = contest_of(*given.runs)
    straight = {record.seed: record for record in kept_runs(given.bound)} if given.bound else {}
    for pair in pairs_of(kept[0], arms):
        Console(width=60 + 34 * (1 + len(given.rewards))).print(table_of(kept, arms, pair, given.rewards, straight))


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


def over(item: Distance, with_bound: bool, notes: Notes) -> str:
    """Over the front and over the bound, and how many runs come to the reward; nothing where none does."""
    if not item.reached:
        return ""
    shown = [item.over_front, *([item.over_bound] if with_bound else [])]
    return f"{' / '.join(cell(each, notes) for each in shown)} ({item.reached} of {item.runs})"


if __name__ == "__main__":
    main()
