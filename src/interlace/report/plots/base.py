"""What every figure is made of: plain plotly dictionaries whose colours are names, painted by the page's own theme.

A colour such as ``@sft`` is the page's custom property ``--sft``; the page paints it for light, dark and print alike.
Text from models or data passes `plot_text`, because plotly reads a subset of HTML in its labels.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from interlace.estimate import Estimate, Figure, figure_text
from interlace.wording import Number

Spec = dict[str, Any]

SMALL, NORMAL = 12, 13
"""Sizes of text, px."""
TITLE_SHIFT = 36
"""Left margin, px: room for tick labels; a panel's title starts at its left edge, flush with the page's text."""


@dataclass(frozen=True, slots=True)
class Key:
    """One line of a figure's key: what it shows, its colour's name and its stroke (solid, dashed, dotted, band)."""

    text: str
    colour: str
    stroke: str = "solid"


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure: an identifier unique in its run, what it shows in words, and plotly's data and layout.

    `narrow` overrides layout entries on a phone.
    """

    name: str
    title: str
    description: str
    data: list[Spec]
    layout: Spec
    narrow: Spec
    keys: tuple[Key, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def spec(self) -> Spec:
        """What the page's script draws."""
        return {"data": self.data, "layout": self.layout, "narrow": self.narrow}


def plot_text(text: str) -> str:
    """`text` as plotly's label language will show it, letter by letter."""
    return html.escape(text, quote=False)


def finite(value: Number) -> Number | None:
    """`value`, or None (a gap) if it is not finite."""
    return float(value) if math.isfinite(value) else None


def value_of(figure: Figure) -> Number | None:
    """What to draw of a figure; None (a gap) where there is nothing finite."""
    return finite(figure.value) if isinstance(figure, Estimate) else None


def drawable(figure: Figure) -> bool:
    """Whether a figure has a finite value and a finite interval."""
    return isinstance(figure, Estimate) and all(map(math.isfinite, (figure.lower, figure.upper)))


def line(x: Sequence[Number | None], y: Sequence[Number | None], colour: str, **more: Any) -> Spec:
    """A thin line through points; None is a gap."""
    stroke = {"color": colour, "width": more.pop("width", 2), "dash": more.pop("dash", "solid")}
    return {"type": "scatter", "mode": "lines", "x": list(x), "y": list(y), "line": stroke, "connectgaps": False,
            "hoverinfo": "text", "showlegend": False, **more}  # fmt: skip


def ribbon(x: Sequence[Number], figures: Sequence[Figure], colour: str, **more: Any) -> Spec:
    """The intervals around a line, as one filled band for every stretch without a gap."""
    xs: list[Number | None] = []
    ys: list[Number | None] = []
    for stretch in _stretches(x, figures):
        forth, back = stretch, stretch[::-1]
        xs += [place for place, _ in forth] + [place for place, _ in back] + [None]
        ys += [item.lower for _, item in forth] + [item.upper for _, item in back] + [None]
    return {"type": "scatter", "mode": "lines", "x": xs, "y": ys, "fill": "toself", "fillcolor": colour,
            "line": {"width": 0, "color": colour}, "hoverinfo": "skip", "showlegend": False, **more}  # fmt: skip


def _stretches(x: Sequence[Number], figures: Sequence[Figure]) -> list[list[tuple[Number, Estimate]]]:
    stretches: list[list[tuple[Number, Estimate]]] = [[]]
    for place, figure in zip(x, figures, strict=True):
        if isinstance(figure, Estimate) and drawable(figure):
            stretches[-1].append((place, figure))
        else:
            stretches.append([])
    return [stretch for stretch in stretches if stretch]


def error_bars(figures: Sequence[Figure], colour: str) -> Spec:
    """Asymmetric error bars; none where there is no finite interval."""
    above = [item.upper - item.value if isinstance(item, Estimate) and drawable(item) else None for item in figures]
    below = [item.value - item.lower if isinstance(item, Estimate) and drawable(item) else None for item in figures]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": colour,
            "thickness": 1.5, "width": 0}  # fmt: skip


def crosses(x: Sequence[Figure], y: Sequence[Figure], colour: str, **marker: Any) -> Spec:
    """Points with both their intervals; `marker` is plotly's."""
    return {"type": "scatter", "mode": "markers", "x": list(map(value_of, x)), "y": list(map(value_of, y)),
            "marker": marker, "error_x": error_bars(x, colour), "error_y": error_bars(y, colour),
            "hoverinfo": "skip", "showlegend": False}  # fmt: skip


def label(x: Number, y: Number, text: str, colour: str = "@ink", **more: Any) -> Spec:
    """A direct label. `text` must have passed `plot_text` where it came from outside."""
    font = {"color": colour, "size": more.pop("size", SMALL)}
    return {"x": x, "y": y, "text": text, "font": font, "showarrow": False, "align": "left", **more}


def tips(head: str, figures: Iterable[tuple[str, Figure]]) -> str:
    """Hover text: a head line, then one line a figure."""
    lines = [f"{name}: {plot_text(figure_text(figure))}" for name, figure in figures]
    return "<br>".join([f"<b>{head}</b>", *lines])


def axis(**more: Any) -> Spec:
    """A quiet axis: hairline grid, no zoom, no spines."""
    return {"showgrid": True, "gridcolor": "@grid", "gridwidth": 1, "zeroline": False, "showline": False,
            "fixedrange": True, "ticks": "", "tickfont": {"color": "@muted", "size": SMALL},
            "nticks": 6, "tickformat": "~g", **more}  # fmt: skip


def layout(height: int, **more: Any) -> Spec:
    """What all figures share."""
    return {"height": height, "paper_bgcolor": "@paper", "plot_bgcolor": "@paper", "showlegend": False,
            "dragmode": False, "hovermode": "closest", "font": {"family": "@sans", "color": "@ink", "size": SMALL},
            "hoverlabel": {"bgcolor": "@tip", "bordercolor": "@rule", "align": "left",
                           "font": {"family": "@sans", "color": "@ink", "size": SMALL}},
            **more}  # fmt: skip


def padded(values: Iterable[Number | None], below: Number = 0.06, above: Number = 0.1) -> list[Number]:
    """A range around the finite `values`, with margins as fractions of its width; [0, 1] if there are none."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return [0.0, 1.0]
    low, high = min(known), max(known)
    width = (high - low) or max(abs(high), 1.0) * 0.2
    return [low - below * width, high + above * width]
