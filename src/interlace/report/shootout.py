"""The shoot-out on the page: arms from one start at equal compute, as tables and in the plane with the front (D9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interlace.analysis.shootout import (
    Knob,
    Pair,
    Shootout,
    ShootoutRow,
    Standing,
    shootout_sentences,
    standings,
)
from interlace.analysis.shootout.compute import SHORT
from interlace.analysis.shootout.words import COUNTED
from interlace.errors import DataError
from interlace.estimate import Estimate
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.methods import KNOW_EXPERT
from interlace.report.formatting import Cell, Notes, compact, weights_name
from interlace.report.plots.base import Chart, Key, Spec, crosses, label, line, plot_text, tips
from interlace.report.plots.plane import NARROW, plane_layout
from interlace.report.tables import Table, words
from interlace.theory.frontier import Front
from interlace.wording import counted

COLUMNS = ("Arm", "Weights", "Place", "Step", "Compute", "Imitated", "SFT loss", "Reward", "Over the front",
           "Change of R \u2212 \u03bbL", "Lead over {}", "Better")  # fmt: skip
BY_TOKENS = ("Arm", "Weights", "Place", "Step", "Compute", "SFT loss", "Reward", "Change of R \u2212 \u03bbL")
BESIDE = ("Arm", "Weights", "Behind the best", "Part of what is to be had", "Hypervolume",
          "Change of SFT loss on right responses", "pass@8")  # fmt: skip
KNOBS = ("Method", "Weights", "Best", "Worst", "Best less worst", "Chosen", "Its lead over {}")
STANDINGS = ("Arm", "Weights", "Mean place", "Part of what is to be had", "P(better than {})")
COLOURS = {RAW: "@rl", AVERAGED: "@averaged", LINE: "@line"}
ROOM = 0.16, 0.05
"""What a label takes of the plane, as shares of the range of reward and of SFT loss."""
SYMBOLS = {RAW: "circle", AVERAGED: "diamond", LINE: "square-open"}


@dataclass(frozen=True)
class Compared:
    """The shoot-outs of one recipe's runs, by each way of counting."""

    found: tuple[Shootout, ...]

    @property
    def sentences(self) -> list[str]:
        """What they say, by FLOPs."""
        return [
            sentence for each in self.found if each.by == "flops" for sentence in shootout_sentences(each, KNOW_EXPERT)
        ]

    @property
    def tables(self) -> list[Table]:
        """By FLOPs what it comes to, what stands beside it and what options do, by tokens the places; of each pair of
        tasks."""
        made = []
        for each in self.found:
            for pair in each.pairs:
                if each.by == "flops":
                    made += [_table(each, pair), _beside(each, pair), *_knobs(each, pair)]
                else:
                    made.append(_by_tokens(each, pair))
        return made

    @property
    def charts(self) -> list[Chart]:
        """The plane of each pair of tasks by FLOPs: a cross an arm and kind of weights, over the front."""
        made = [(each, pair) for each in self.found if each.by == "flops" for pair in each.pairs]
        charts = [_chart(each, pair, place) for place, (each, pair) in enumerate(made)]
        return [chart for chart in charts if chart is not None]


def compared(shootouts: Sequence[Shootout]) -> list[Compared]:
    """Those of each recipe together."""
    recipes = dict.fromkeys(each.rows[0].recipe for each in shootouts if each.rows)
    return [Compared(tuple(each for each in shootouts if each.rows and each.rows[0].recipe == recipe))
            for recipe in recipes]  # fmt: skip


def _rows(found: Shootout, pair: Pair) -> list[ShootoutRow]:
    return [row for row in found.rows if row.pair == pair]


def _title(found: Shootout, pair: Pair) -> str:
    rows = _rows(found, pair)
    seeds = counted(max(row.num_seeds for row in rows), "seed")
    spent = [row.compute for row in rows if not row.is_short] or [row.compute for row in rows]
    span = f"{compact(min(spent))} to {compact(max(spent))}"
    return f"{pair.name}, from {found.started_from}, at equal {COUNTED[found.by]} ({span}), {seeds}"


def _table(found: Shootout, pair: Pair) -> Table:
    notes = Notes()
    columns = tuple(column.format(found.against) for column in COLUMNS)
    rows = tuple(_cells(row, notes) for row in _rows(found, pair))
    remark = (
        f"\u03bb = {found.exchange_rate:g} reward units a nat. Best first within each kind of weights. \u2020: no "
        "other arm has both more reward and less SFT loss, by the means. Place: by the change of R \u2212 \u03bbL "
        "among rows of the same weights, and which others it may be. Compute: per parameter. Imitated: mean weight of "
        "imitation in the updates. Over the front: SFT loss beyond the least that any policy can have at that reward "
        "(D9). On the line: the best place between start and end, chosen on half of the prompts, told on the others. "
        "Better: in which share of runs its value is above, with the exact interval of so few. \u2021: ended with less "
        f"than {SHORT:.0%} of the median arm\u2019s compute and is told where it ended.{_told(_rows(found, pair))}"
    )
    return Table(f"Shoot-out on {_title(found, pair)}", columns, rows, 2, tuple(notes.reasons), remark)


def _told(rows: Sequence[ShootoutRow]) -> str:
    arms = dict.fromkeys(row.arm for row in rows if row.method in KNOW_EXPERT)
    return f" Told the expert\u2019s distribution, where others see draws: {', '.join(arms)}." if arms else ""


def _cells(row: ShootoutRow, notes: Notes) -> tuple[Cell, ...]:
    return (
        *_begin(row, notes),
        Cell("\u2013" if row.imitation is None else f"{row.imitation:.2f}"),
        notes.figure(row.sft_loss),
        notes.figure(row.reward),
        notes.figure(row.excess),
        notes.figure(row.value, signed=True),
        notes.figure(row.lead, signed=True),
        notes.figure(row.better),
    )


def _begin(row: ShootoutRow, notes: Notes) -> tuple[Cell, ...]:
    mark = "\u2020" if row.on_pareto else ""
    arm = Cell(f"{row.arm}{mark}", interval="" if row.method == row.arm else row.method, tone="stage")
    short = "\u2021" if row.is_short else ""
    spent = Cell(f"{compact(row.compute)}{short}", title="per parameter, mean over seeds")
    return arm, *words(weights_name(row.weights)), _place(row, notes), Cell(f"{row.step:.0f}"), spent


def _place(row: ShootoutRow | Standing, notes: Notes) -> Cell:
    if not isinstance(row.rank, Estimate):
        return notes.figure(row.rank)
    ends = f"{row.rank.lower:.2g}\u2013{row.rank.upper:.2g}"
    return Cell(f"{row.rank.value:.2g}", interval=ends, title=row.rank.method)


def _by_tokens(found: Shootout, pair: Pair) -> Table:
    notes = Notes()
    rows = tuple(
        (
            *_begin(row, notes),
            notes.figure(row.sft_loss),
            notes.figure(row.reward),
            notes.figure(row.value, signed=True),
        )
        for row in _rows(found, pair)
    )
    remark = "Tokens sampled and trained on. Schedules of arms that take more of them are cut off at that step."
    return Table(f"Shoot-out on {_title(found, pair)}", BY_TOKENS, rows, 2, tuple(notes.reasons), remark)


def _beside(found: Shootout, pair: Pair) -> Table:
    rows, notes = _rows(found, pair), Notes()
    tasks = list(dict.fromkeys(task for row in rows for task in row.elsewhere))
    columns = (*BESIDE, *(f"Change of reward on {task}" for task in tasks))
    cells = tuple(
        (
            Cell(row.arm, tone="stage"),
            *words(weights_name(row.weights)),
            notes.figure(row.behind, signed=True),
            notes.figure(row.gain_share, signed=True),
            notes.figure(row.area),
            notes.figure(row.sft_loss_right_change, signed=True),
            notes.figure(row.pass_at_8),
            *(notes.figure(row.elsewhere[task], signed=True) if task in row.elsewhere else Cell("") for task in tasks),
        )
        for row in rows
    )
    remark = (
        "Part of what is to be had: the change of R \u2212 \u03bbL over the greatest that any policy could have made "
        "from the start (D9). Hypervolume: the area of reward and SFT loss that an arm\u2019s looks dominate, over the "
        "front\u2019s. Other held-out tasks are in nobody\u2019s training."
    )
    name = f"Beside it, {pair.name}"
    return Table(name, columns, cells, 2, tuple(notes.reasons), remark)


def _knobs(found: Shootout, pair: Pair) -> list[Table]:
    knobs, notes = [each for each in found.knobs if each.pair == pair], Notes()
    if not knobs:
        return []
    columns = tuple(column.format(found.against) for column in KNOBS)
    rows = tuple(_knob_cells(knob, notes) for knob in knobs)
    remark = (
        "Arms that differ in their method\u2019s options alone, by R \u2212 \u03bbL. Best less worst: the interval "
        "holds for all pairs of settings together. Chosen: the setting that half of the held-out prompts prefer, over "
        "all runs, is judged on the other half: what tuning comes to, at as many times an arm\u2019s compute as there "
        "are settings."
    )
    return [
        Table(f"What a method\u2019s options do, {_title(found, pair)}", columns, rows, 2, tuple(notes.reasons), remark)
    ]


def _knob_cells(knob: Knob, notes: Notes) -> tuple[Cell, ...]:
    best, worst = knob.settings[0], knob.settings[-1]
    count = f"{len(knob.settings)} settings"
    return (
        Cell(knob.method, interval=count, tone="stage"),
        *words(weights_name(knob.weights)),
        *(Cell(each.text, interval=each.arm) for each in (best, worst)),
        notes.figure(knob.spread),
        Cell(knob.chosen.text, interval=knob.chosen.arm),
        notes.figure(knob.lead, signed=True),
    )


def standings_tables(recipes: Sequence[Compared]) -> list[Table]:
    """Arms that several recipes have in common; none where there are none."""
    found = [each for recipe in recipes for each in recipe.found if each.by == "flops"]
    try:
        rows, notes = standings(found), Notes()
    except DataError:
        return []
    cells = tuple(
        (
            Cell(row.arm, tone="stage"),
            *words(weights_name(row.weights)),
            _place(row, notes),
            notes.figure(row.gain_share, signed=True),
            notes.figure(row.better),
        )
        for row in rows
    )
    columns = tuple(column.format(rows[0].against) for column in STANDINGS)
    title = f"Standings over {rows[0].tasks} recipes at equal FLOPs, {counted(rows[0].num_seeds, 'seed')} of each"
    remark = (
        "Arms that all recipes have. Part of what is to be had: interquartile mean over all runs; intervals draw runs "
        "anew within each recipe."
    )
    return [Table(title, columns, cells, 2, tuple(notes.reasons), remark)]


def _chart(found: Shootout, pair: Pair, place: int) -> Chart | None:
    rows = [row for row in _rows(found, pair) if _ends(row.reward) and _ends(row.sft_loss)]
    if not rows:
        return None
    reward = [end for row in rows for end in _ends(row.reward)]
    loss = [end for row in rows for end in _ends(row.sft_loss)]
    front = found.fronts.get(pair)
    if front is not None:
        loss += [float(least) for r, least in zip(front.reward, front.sft_loss, strict=True) if r <= max(reward)]
    kinds = list(dict.fromkeys(row.weights for row in rows))
    return Chart(
        name=f"shootout-{place}",
        title=f"Arms on {pair.name} at equal {COUNTED[found.by]}",
        description="SFT loss against reward of every arm at equal compute, over the front of all policies.",
        data=[*([] if front is None else [_front(front)]), *map(_point, rows)],
        layout=plane_layout(reward, loss, [_label(row) for row in _labelled(rows)], None),
        narrow=NARROW,
        keys=(
            *(KEYS[kind] for kind in kinds),
            *(() if front is None else (Key("the front of all policies (D9)", "ink"),)),
        ),
    )


KEYS = {
    RAW: Key("an arm\u2019s own weights", "rl", "cross"),
    AVERAGED: Key("its averaged weights", "averaged", "cross"),
    LINE: Key("the best place between start and end", "line", "cross"),
}


def _ends(figure: object) -> tuple[float, ...]:
    return (figure.lower, figure.upper) if isinstance(figure, Estimate) else ()


def _labelled(rows: Sequence[ShootoutRow]) -> list[ShootoutRow]:
    """What nothing on the plane beats, then the others by value, as far as there is
    room."""
    places = {id(row): _centre(row) for row in rows}
    wide, high = (float(np.ptp([place[axis] for place in places.values()])) or 1.0 for axis in (0, 1))

    def beaten(row: ShootoutRow) -> bool:
        reward, loss = places[id(row)]
        return any(r >= reward and least <= loss and (r, least) != (reward, loss) for r, least in places.values())

    shown: list[ShootoutRow] = []
    for row in sorted(rows, key=lambda row: (beaten(row), -sum(row.values))):
        reward, loss = places[id(row)]
        others = (places[id(other)] for other in shown)
        if all(abs(reward - r) > ROOM[0] * wide or abs(loss - least) > ROOM[1] * high for r, least in others):
            shown.append(row)
    return shown


def _centre(row: ShootoutRow) -> tuple[float, float]:
    assert isinstance(row.reward, Estimate) and isinstance(row.sft_loss, Estimate)
    return row.reward.value, row.sft_loss.value


def _front(front: Front) -> Spec:
    return line(front.reward.tolist(), front.sft_loss.tolist(), "@ink", width=1.4, hoverinfo="skip")


def _point(row: ShootoutRow) -> Spec:
    head = f"{plot_text(row.arm)}, {weights_name(row.weights)}, step {row.step:.0f}"
    hover = tips(head, (("reward", row.reward), ("SFT loss", row.sft_loss), ("over the front", row.excess)))
    marker: Spec = {"size": 7, "color": COLOURS[row.weights], "symbol": SYMBOLS[row.weights]}
    return crosses([row.reward], [row.sft_loss], COLOURS[row.weights], **marker) | {
        "hoverinfo": "text",
        "hovertext": [hover],
    }


def _label(row: ShootoutRow) -> Spec:
    where: Spec = {"xanchor": "left", "yanchor": "bottom", "xshift": 5, "yshift": 2}
    return label(*_centre(row), plot_text(row.arm), COLOURS[row.weights], **where)
