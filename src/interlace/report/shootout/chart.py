"""The plane of reward and SFT loss with every arm of a shoot-out as a cross, over the front of all policies (D9)."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.analysis.shootout import Pair, Shootout, ShootoutRow
from interlace.analysis.shootout.words import COUNTED
from interlace.estimate import Estimate
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.report.formatting import weights_name
from interlace.report.plots.base import Chart, Key, Spec, crosses, label, line, plot_text, tips
from interlace.report.plots.plane import BETTER, NARROW, plane_layout
from interlace.report.shootout.labels import ACROSS, UP, Named, fitting
from interlace.report.shootout.tables import rows_of
from interlace.theory.frontier import Front

COLOURS = {RAW: "@rl", AVERAGED: "@averaged", LINE: "@line"}
WIDTHS = 500.0, 220.0
"""Px across that a plot has at least: in a wide figure, and on a phone."""
SYMBOLS = {RAW: "circle", AVERAGED: "diamond", LINE: "square-open"}
KEYS = {
    RAW: Key("an arm\u2019s own weights", "rl", "cross"),
    AVERAGED: Key("its averaged weights", "averaged", "cross"),
    LINE: Key("the best place between start and end", "line", "cross"),
}


def plane_chart(found: Shootout, pair: Pair, number: int) -> Chart | None:
    """The plane of a pair of tasks, the front drawn under it where it is known; None where no place is."""
    rows = [row for row in rows_of(found, pair) if _ends(row.reward) and _ends(row.sft_loss)]
    if not rows:
        return None
    reward = [end for row in rows for end in _ends(row.reward)]
    loss = [end for row in rows for end in _ends(row.sft_loss)]
    front = found.fronts.get(pair)
    if front is not None:
        loss += [float(least) for r, least in zip(front.reward, front.sft_loss, strict=True) if r <= max(reward)]
    kinds = list(dict.fromkeys(row.weights for row in rows))
    wide = plane_layout(reward, loss, [], None)
    narrow = NARROW | {"annotations": [*wide["annotations"], *_labels(rows, wide | NARROW, WIDTHS[1])]}
    wide["annotations"] += _labels(rows, wide, WIDTHS[0])
    return Chart(
        name=f"shootout-{number}",
        title=f"Arms on {pair.name} at equal {COUNTED[found.by]}",
        description="SFT loss against reward of every arm at equal compute, over the front of all policies.",
        data=[*([] if front is None else [_front(front)]), *map(_point, rows)],
        layout=wide,
        narrow=narrow,
        keys=(
            *(KEYS[kind] for kind in kinds),
            *(() if front is None else (Key("the front of all policies (D9)", "ink"),)),
        ),
    )


def _ends(figure: object) -> tuple[float, ...]:
    return (figure.lower, figure.upper) if isinstance(figure, Estimate) else ()


def _labels(rows: Sequence[ShootoutRow], layout: Spec, width: float) -> list[Spec]:
    """What no other row is better than in both, then the others by value, as far as labels stay clear of each other in
    a plot of so many px or wider; all are named under the pointer."""
    ordered = sorted(rows, key=lambda row: (not row.on_pareto, -sum(row.values)))
    height = layout["height"] - layout["margin"]["t"] - layout["margin"]["b"]
    ranges = [layout[axis]["range"] for axis in ("xaxis", "yaxis")]
    points = []
    for row in ordered:
        x, y = ((at - low) / (high - low) for at, (low, high) in zip(_centre(row), ranges, strict=True))
        points.append(Named(x, y, row.arm))
    return [_label(ordered[at], on_right) for at, on_right in fitting(points, width, height, BETTER)]


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


def _label(row: ShootoutRow, on_right: bool) -> Spec:
    across: Spec = {"xanchor": "left", "xshift": ACROSS} if on_right else {"xanchor": "right", "xshift": -ACROSS}
    return label(*_centre(row), plot_text(row.arm), COLOURS[row.weights], yanchor="bottom", yshift=UP, **across)
