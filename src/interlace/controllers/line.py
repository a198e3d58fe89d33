"""Where on the straight line from a stage's start to its end its weights shall end: chosen by measurement.

One half of the held-out prompts chooses, the other half says what was chosen (`analysis.halves`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interlace.analysis.halves import CHOOSING, JUDGING, half_values
from interlace.analysis.trajectory import Snapshot
from interlace.controllers.base import look_level
from interlace.controllers.objectives import gain
from interlace.estimate import Estimate, Figure, figure_text
from interlace.statistics import paired_change
from interlace.wording import number


@dataclass(frozen=True, slots=True)
class Blended:
    """The place that was chosen, why, and what both objectives changed by there, on prompts that did not choose."""

    position: float
    reason: str
    sft_loss: Figure
    reward: Figure


def choose_on_line(
    start: Snapshot,
    places: Sequence[Snapshot],
    *,
    budget: float | None = None,
    exchange_rate: float | None = None,
    position: float | None = None,
) -> Blended:
    """One of `places` (each with its position) by one rule; the start where none of them is allowed.

    `budget`: the most reward whose SFT loss is at most that much above the start's, nats/response, by the upper end of
    the paired rise. `exchange_rate`: the most R - lambda L, lambda in reward units a nat. `position`: the nearest
    place.
    """
    if position is not None:
        chosen = min(places, key=lambda place: abs((place.position or 0.0) - position))
        reason = "as the recipe says"
    elif exchange_rate is not None:
        chosen = max(places, key=lambda place: float(half_values(gain(start, place, exchange_rate), CHOOSING).mean()))
        reason = f"the most R - {number(exchange_rate)} L of {len(places)} places"
    else:
        assert budget is not None
        chosen, reason = _within_budget(start, places, budget)
    loss = paired_change(half_values(start.loss, JUDGING), half_values(chosen.loss, JUDGING), unit="nats/response")
    reward = paired_change(half_values(start.reward, JUDGING), half_values(chosen.reward, JUDGING), unit="reward units")
    return Blended(float(chosen.position or 0.0), reason, loss, reward)


def _within_budget(start: Snapshot, places: Sequence[Snapshot], budget: float) -> tuple[Snapshot, str]:
    level = look_level(len(places))
    allowed = [place for place in places if not place.position or _largest_rise(start, place, level) <= budget]
    best = max(allowed, key=lambda place: float(half_values(place.reward, CHOOSING).mean()))
    within = f"within {number(budget)} nats/response of the start by the upper end at {level:.1%}"
    return best, f"of {len(places)} places the most reward {within}"


def _largest_rise(start: Snapshot, place: Snapshot, level: float) -> float:
    change = paired_change(
        half_values(start.loss, CHOOSING), half_values(place.loss, CHOOSING), unit="nats/response", level=level
    )
    return change.upper if isinstance(change, Estimate) else float("inf")


def blended_sentence(blended: Blended) -> str:
    """What the stage ends with."""
    where = {0.0: "the start", 1.0: "the end"}.get(blended.position, f"position {blended.position:g}")
    loss, reward = (figure_text(figure, signed=True) for figure in (blended.sft_loss, blended.reward))
    return (
        f"of the line from the stage's start to its end, the weights of {where} are kept: {blended.reason}. Since the "
        f"start, on prompts that did not choose: SFT loss {loss}, reward {reward}"
    )
