"""The plane of reward and SFT loss with every arm of a shoot-out as a cross, over the front of all policies (D9)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace.analysis.shootout import Pair, Shootout, ShootoutRow
from interlace.analysis.shootout.words import COUNTED
from interlace.estimate import Estimate
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.report.formatting import weights_name
from interlace.report.plots.base import Chart, Key, Spec, crosses, label, line, plot_text, tips
from interlace.report.plots.plane import NARROW, plane_layout
from interlace.report.shootout.tables import rows_of
from interlace.theory.frontier import Front

COLOURS = {RAW: "@rl", AVERAGED: "@averaged", LINE: "@line"}
ROOM = 0.16, 0.05
"""What a label takes of the plane, as shares of the range of reward and of SFT loss."""
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
    return Chart(
        name=f"shootout-{number}",
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


def _ends(figure: object) -> tuple[float, ...]:
    return (figure.lower, figure.upper) if isinstance(figure, Estimate) else ()


def _labelled(rows: Sequence[ShootoutRow]) -> list[ShootoutRow]:
    """What no other row is better than in both, then the others by value, as far as there is room."""
    places = [_centre(row) for row in rows]
    wide, high = (float(np.ptp([place[axis] for place in places])) or 1.0 for axis in (0, 1))
    shown: list[ShootoutRow] = []
    for row in sorted(rows, key=lambda row: (not row.on_pareto, -sum(row.values))):
        reward, loss = _centre(row)
        others = map(_centre, shown)
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
