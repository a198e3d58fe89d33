"""Which points of a plane can be named so that no name covers another one, however wide the figure is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

LETTER, LINE = 7.5, 18.0
"""What a letter of a label takes across, and a label upwards, px: as of a wide sans at 12 px."""
ACROSS, UP = 5.0, 2.0
"""How far off its point a label begins, px."""


class Named(NamedTuple):
    """A point, as shares of the plot's width and height from its lower left corner, and its name."""

    x: float
    y: float
    name: str


@dataclass(frozen=True, slots=True)
class Box:
    """What a label covers, px; `anchor`: across, of its point."""

    anchor: float
    left: float
    right: float
    bottom: float
    top: float

    def is_clear_of(self, other: Box) -> bool:
        """Whether they stay apart in a wider figure too: what keeps points in order across moves labels apart."""
        first, second = sorted((self, other), key=lambda box: box.anchor)
        return self.bottom >= other.top or other.bottom >= self.top or first.right <= second.left


def fitting(points: Sequence[Named], width: float, height: float, corner: str) -> Iterator[tuple[int, bool]]:
    """Of `points`, those of most weight first, the number of each whose label is clear of all before it in a plot of
    so many px or wider, and whether it stands on the right of its point: on the left where it would run out of the
    plot. `corner`: what stands in the lower right one."""
    taken = [Box(width, width - len(corner) * LETTER, width, 0.0, LINE + 2.0 * UP)]
    for number, point in enumerate(points):
        on_right = point.x * width + ACROSS + len(point.name) * LETTER <= width
        box = _box(point, width, height, on_right)
        if box.left >= 0.0 and all(map(box.is_clear_of, taken)):
            taken.append(box)
            yield number, on_right


def _box(point: Named, width: float, height: float, on_right: bool) -> Box:
    anchor, bottom, size = point.x * width, point.y * height + UP, len(point.name) * LETTER
    left = anchor + ACROSS if on_right else anchor - ACROSS - size
    return Box(anchor, left, left + size, bottom, bottom + LINE)
