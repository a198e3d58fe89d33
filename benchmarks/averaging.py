"""What averaged weights, and the line back to the start, have over a run's own weights: lag, noise, and the rest.

    python benchmarks/averaging.py runs/rivals-addition

For runs of a recipe that merges the ends of equal runs linearly (rivals-addition: rl, rl-b, rl-c and merge-mean): how
much less SFT loss the average has at its end at the same step, which part of that is lag, and how much at equal reward;
of the latter, for the average and for the line, what noise explains by the seed average as referee, and the rest
(interpolation). What each part means stands in `interlace.analysis.shootout.averaging`. nats/response, intervals over
runs; a part whose interval holds 0 is not resolved, and said so.
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table
from shootout_tables import cell, contest_of, says_mistakes, with_reasons

from interlace.analysis.shootout.arms import pairs_of
from interlace.analysis.shootout.averaging import NO_MERGE, Split, splits_of
from interlace.errors import DataError
from interlace.estimate import Estimate, Figure
from interlace.report.formatting import Notes


@says_mistakes
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    given = parser.parse_args()
    kept, arms = contest_of(*given.runs)
    for pair in pairs_of(kept[0], arms):
        found = splits_of(kept, pair)
        if not found:
            raise DataError(
                f"RUNS must have a referee of noise. Got none: {NO_MERGE.reason}. See recipe rivals-addition."
            )
        Console(width=170).print(table(found, pair.name))


def table(found: list[Split], title: str) -> Table:
    made = Table("weights", "same step", "= lag", "+ at equal reward", "= noise", "+ rest", title=title)
    notes = Notes()
    for row in found:
        parts = (row.same_step, row.lag, row.equal_reward, row.noise, row.rest)
        made.add_row(row.weights, *(part(each, notes) for each in parts))
    all_noise = "Noise: all that is in a run's own weights; what is left of it in others is in the rest."
    return with_reasons(made, notes, *[all_noise] * any(row.noise_is_all for row in found))


def part(figure: Figure | None, notes: Notes) -> str:
    if figure is None:
        return ""
    is_open = isinstance(figure, Estimate) and not figure.sign
    return cell(figure, notes, signed=True) + " (not resolved)" * is_open


if __name__ == "__main__":
    main()
