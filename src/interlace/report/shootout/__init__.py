"""The shoot-out on the page: arms from one start at equal compute, as tables and in the plane with the front (D9).

`tables` are of one recipe, `columns` what stands in them, `told` what arms know under them, `standings` a table of
several recipes, `chart` the plane, `labels` the names in it that have room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interlace.analysis.shootout import Shootout, shootout_sentences
from interlace.methods import KNOW_EXPERT
from interlace.report.plots.base import Chart
from interlace.report.shootout.chart import plane_chart
from interlace.report.shootout.standings import standings_table
from interlace.report.shootout.tables import flops_tables, tokens_table
from interlace.report.tables import Table

__all__ = ["Compared", "compared", "standings_tables"]


@dataclass(frozen=True)
class Compared:
    """The shoot-outs of one recipe's runs, by each way of counting."""

    found: tuple[Shootout, ...]

    @property
    def by_flops(self) -> list[Shootout]:
        """Those at equal FLOPs: at most one."""
        return [each for each in self.found if each.by == "flops"]

    @property
    def sentences(self) -> list[str]:
        """What they say, by FLOPs."""
        return [sentence for each in self.by_flops for sentence in shootout_sentences(each, KNOW_EXPERT)]

    @property
    def tables(self) -> list[Table]:
        """By FLOPs what it comes to, secondary metrics and what options do, by tokens the places; of each pair of
        tasks."""
        made = []
        for each in self.found:
            for pair in each.pairs:
                made += flops_tables(each, pair) if each.by == "flops" else [tokens_table(each, pair)]
        return made

    @property
    def charts(self) -> list[Chart]:
        """The plane of each pair of tasks by FLOPs: a cross an arm and kind of weights, over the front."""
        made = [(each, pair) for each in self.by_flops for pair in each.pairs]
        charts = [plane_chart(each, pair, number) for number, (each, pair) in enumerate(made)]
        return [chart for chart in charts if chart is not None]


def compared(shootouts: Sequence[Shootout]) -> list[Compared]:
    """Those of each recipe together."""
    recipes = dict.fromkeys(each.rows[0].recipe for each in shootouts if each.rows)
    return [Compared(tuple(each for each in shootouts if each.rows and each.rows[0].recipe == recipe))
            for recipe in recipes]  # fmt: skip


def standings_tables(recipes: Sequence[Compared]) -> list[Table]:
    """Of several recipes one table: their arms in common, or why there are none."""
    found = [each for recipe in recipes for each in recipe.by_flops]
    return [standings_table(found)] if len(found) > 1 else []
