"""The shoot-out on the page: arms from one start at equal compute, as tables and in the plane with the front (D9)."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.shootout import By, Shootout, ShootoutRow, shootout
from interlace.errors import DataError
from interlace.estimate import Estimate
from interlace.measurement import AVERAGED, RAW
from interlace.report.formatting import Cell, Notes, compact, weights_name
from interlace.report.plots.base import Chart, Key, Spec, crosses, label, line, plot_text, tips
from interlace.report.plots.plane import NARROW, plane_layout
from interlace.report.tables import Table, words
from interlace.store import RunRecord
from interlace.theory.frontier import Front
from interlace.wording import counted

COLUMNS = ("Arm", "Weights", "Step", "SFT loss", "Reward", "Over the front", "Change of R \u2212 \u03bbL",
           "Lead over {}", "P(better)")  # fmt: skip
COUNTED: dict[By, str] = {"flops": "FLOPs", "tokens": "tokens"}
COLOURS = {RAW: "@rl", AVERAGED: "@averaged"}


def shootout_of(records: Sequence[RunRecord], by: By = "flops") -> Shootout | None:
    """The comparison, where there are hybrid stages to compare."""
    if not any(stage.kind == "hybrid" for record in records for stage in record.stages):
        return None
    try:
        return shootout(records, by=by)
    except DataError:
        return None


def shootout_tables(records: Sequence[RunRecord]) -> list[Table]:
    """By FLOPs and by tokens, a table a task."""
    found = [comparison for by in COUNTED if (comparison := shootout_of(records, by)) is not None]
    return [_table(comparison, task) for comparison in found for task in dict.fromkeys(r.task for r in comparison.rows)]


def _table(found: Shootout, task: str) -> Table:
    rows, notes = [row for row in found.rows if row.task == task], Notes()
    seeds = counted(max(row.num_seeds for row in rows), "seed")
    title = f"Shoot-out on {task}, from {found.started_from}, at equal {COUNTED[found.by]}, {seeds}"
    columns = tuple(column.format(found.against) for column in COLUMNS)
    remark = (
        f"\u03bb = {found.exchange_rate:g} reward units a nat. Best first. \u2020: no other arm has both more reward "
        "and less SFT loss, by the means. Over the front: SFT loss beyond the least that any policy can have at that "
        "reward (D9)."
    )
    return Table(title, columns, tuple(_cells(row, notes) for row in rows), 2, tuple(notes.reasons), remark)


def _cells(row: ShootoutRow, notes: Notes) -> tuple[Cell, ...]:
    mark = "\u2020" if row.on_pareto else ""
    return (
        Cell(f"{row.arm}{mark}", interval="" if row.method == row.arm else row.method, tone="stage"),
        *words(weights_name(row.weights)),
        Cell(f"{row.step:.0f}", title=f"{compact(row.compute)} per parameter, mean over seeds"),
        notes.figure(row.sft_loss),
        notes.figure(row.reward),
        notes.figure(row.excess),
        notes.figure(row.value, signed=True),
        notes.figure(row.lead, signed=True),
        notes.figure(row.better),
    )


def shootout_charts(records: Sequence[RunRecord]) -> list[Chart]:
    """The plane of each task: a cross an arm and kind of weights, over the front."""
    found = shootout_of(records)
    if found is None:
        return []
    tasks = dict.fromkeys(row.task for row in found.rows)
    return [_chart(found, task, place) for place, task in enumerate(tasks)]


def _chart(found: Shootout, task: str, place: int) -> Chart:
    rows = [row for row in found.rows if row.task == task and isinstance(row.reward, Estimate)]
    ends = [(row.reward, row.sft_loss) for row in rows]
    reward = [end for r, _ in ends if isinstance(r, Estimate) for end in (r.lower, r.upper)]
    loss = [end for _, least in ends if isinstance(least, Estimate) for end in (least.lower, least.upper)]
    front = found.fronts.get(task)
    if front is not None:
        loss += [float(least) for r, least in zip(front.reward, front.sft_loss, strict=True) if r <= max(reward)]
    names = [_label(row) for row in rows if row.weights == RAW or row.on_pareto]
    return Chart(
        name=f"shootout-{place}",
        title=f"Arms on {task} at equal {COUNTED[found.by]}",
        description="SFT loss against reward of every arm at equal compute, over the front of all policies.",
        data=[*([] if front is None else [_front(front)]), *map(_point, rows)],
        layout=plane_layout(reward, loss, names, None),
        narrow=NARROW,
        keys=(
            Key("an arm\u2019s own weights", "rl", "cross"),
            Key("its averaged weights", "averaged", "cross"),
            *(() if front is None else (Key("the front of all policies (D9)", "ink"),)),
        ),
    )


def _front(front: Front) -> Spec:
    return line(front.reward.tolist(), front.sft_loss.tolist(), "@ink", width=1.4, hoverinfo="skip")


def _point(row: ShootoutRow) -> Spec:
    head = f"{plot_text(row.arm)}, {weights_name(row.weights)}, step {row.step:.0f}"
    hover = tips(head, (("reward", row.reward), ("SFT loss", row.sft_loss), ("over the front", row.excess)))
    marker: Spec = {"size": 7, "color": COLOURS[row.weights], "symbol": "circle" if row.weights == RAW else "diamond"}
    return crosses([row.reward], [row.sft_loss], COLOURS[row.weights], **marker) | {
        "hoverinfo": "text",
        "hovertext": [hover],
    }


def _label(row: ShootoutRow) -> Spec:
    assert isinstance(row.reward, Estimate) and isinstance(row.sft_loss, Estimate)
    where = {"xanchor": "left", "yanchor": "bottom", "xshift": 5, "yshift": 2}
    return label(row.reward.value, row.sft_loss.value, plot_text(row.arm), COLOURS[row.weights], **where)
