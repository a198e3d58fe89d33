"""How far each arm of a shoot-out is from the front that no policy passes (D9), and from what its network can attain.

    python benchmarks/distance.py runs/shootout-addition --rewards .80 .85 .90 .95 --bound runs/front-addition

For every arm, its own weights, their average and the straight line from start to end: the SFT loss where the arm first
comes to a reward, over the least that any policy can have there, nats a response, and beside it over a bound from above
on what the same network can attain: where it ends from the same start when one method trains it straight to joint
optima, at one rate for so many steps. The last column is the mean over the rewards that were asked, of the runs that
come to all of them. How it is read stands in `interlace.analysis.shootout.distance`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from interlace.analysis.shootout.arms import Arm, Pair, arms_of, pairs_of
from interlace.analysis.shootout.distance import Distance, distances
from interlace.estimate import Unresolved, figure_text
from interlace.readback import kept_runs
from interlace.store import RunRecord


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--rewards", type=float, nargs="+", default=[0.80, 0.85, 0.90, 0.95])
    parser.add_argument("--bound", help="runs of front-addition")
    given = parser.parse_args()
    kept = kept_runs(*given.runs)
    straight = {record.seed: record for record in kept_runs(given.bound)} if given.bound else {}
    arms = arms_of(kept).arms
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
    for item in distances(runs, arms, pair, rewards, straight):
        rows.setdefault((item.arm, item.weights), []).append(cell(item, bool(straight)))
    for (arm, weights), cells in rows.items():
        if any(cells):
            table.add_row(arm, weights, *cells)
    if not table.row_count:
        table.caption = "No arm comes to these rewards where a front of both objectives is known."
    return table


def cell(item: Distance, with_bound: bool) -> str:
    if not item.reached:
        return ""
    shown = [item.over_front, *([item.over_bound] if with_bound else [])]
    texts = ["not told" if isinstance(each, Unresolved) else figure_text(each, unit=False) for each in shown]
    return f"{' / '.join(texts)} ({item.reached} of {item.runs})"


if __name__ == "__main__":
    main()
