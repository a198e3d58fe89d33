"""Whether a budget of SFT loss was kept over a stage, on the held-out prompts that did not steer it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlace.analysis.kept_rises import judged_rises
from interlace.analysis.trajectory import SFT_LOSS
from interlace.estimate import Estimate, Figure, figure_text

if TYPE_CHECKING:
    from interlace.analysis.trajectory import Trajectory


def budget_sentence(trajectory: Trajectory, budget: float) -> str:
    """At how many looks the rise since the start was within `budget` (nats/token) or not resolved from it, and how the
    last one stands; each interval by itself."""
    asked = f"the budget of {budget:g} nats/token"
    missing = trajectory.gap(SFT_LOSS)
    if missing is not None:
        return f"whether {asked} was kept cannot be told: {missing}"
    rises = judged_rises(trajectory)
    read = [rise for rise in rises if isinstance(rise, Estimate)]
    if not read:
        return f"whether {asked} was kept cannot be told: {rises[-1]}"
    above, within = sum(rise.lower > budget for rise in read), sum(rise.upper <= budget for rise in read)
    unread = f" ({len(rises) - len(read)} more could not be read)" if len(read) < len(rises) else ""
    return (
        f"on held-out prompts that did not steer, the rise of SFT loss was within {asked}, or not resolved from it, at "
        f"{len(read) - above} of {len(read)} looks (resolved within it at {within}){unread}; at the last it was "
        f"{figure_text(rises[-1], signed=True)}, {_beside(rises[-1], budget)}"
    )


def _beside(rise: Figure, budget: float) -> str:
    if not isinstance(rise, Estimate):
        return "which says nothing of the budget"
    if rise.lower > budget:
        return "above the budget"
    return "within the budget" if rise.upper <= budget else "not resolved from the budget"
