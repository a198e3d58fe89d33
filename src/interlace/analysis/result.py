"""What ``run --json`` and ``report --json`` print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interlace.analysis.coupling import coupling_table
from interlace.analysis.seeds import across_seeds, figures_across_seeds
from interlace.analysis.shootout import NoShootout, Shootout
from interlace.analysis.summary import SCHEMA_VERSION, RunSummary


def result_json(
    summaries: Sequence[RunSummary], shootouts: Sequence[Shootout] = (), no_shootouts: Sequence[NoShootout] = ()
) -> dict[str, Any]:
    """Every run by itself, then what is over seeds, and the shoot-outs of recipes that mix, or why there is none."""
    return {
        "schema_version": SCHEMA_VERSION,
        "runs": [summary.to_json() for summary in summaries],
        "across_seeds": [item.to_json() for item in across_seeds(summaries)],
        "figures_across_seeds": [item.to_json() for item in figures_across_seeds(summaries)],
        "coupling_table": [row.to_json() for row in coupling_table(summaries)],
        "shootouts": [each.to_json() for each in shootouts],
        "no_shootouts": [each.to_json() for each in no_shootouts],
    }
