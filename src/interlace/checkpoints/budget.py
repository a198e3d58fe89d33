"""The rule of a budget: the largest reward whose SFT loss rises by no more than is allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping

from interlace.checkpoints.compared import against, largest_rise, level_together, measured_words, upper_end
from interlace.checkpoints.profile import BUDGET, Profile, Recommendation
from interlace.errors import DataError


def largest_rises(profiles: Mapping[str, Profile]) -> dict[str, float]:
    """`largest_rise` of each from the first, nats/response, at the level at which all hold together."""
    first, *others = profiles.values()
    level = level_together(first, others)
    return {name: largest_rise(first, profile, level) for name, profile in profiles.items()}


def within_budget(profiles: Mapping[str, Profile], budget: float) -> Recommendation:
    """The largest reward within `budget` nats/response of the first checkpoint; see `choice.recommend`.

    Raises DataError if the first one's SFT loss is not finite.
    """
    first, *others = profiles.values()
    if not all(map(math.isfinite, first.losses.values())):
        raise DataError(f"{first.called} must have finite figures for a budget. It has not. Put another first.")
    level, rises = level_together(first, others), largest_rises(profiles)
    allowed = [profile for name, profile in profiles.items() if rises[name] <= budget]
    best = max(allowed, key=lambda profile: (profile.reward, -profile.loss))
    within = f"within {budget:g} nats/response of {first.called} {upper_end(level, len(others))}"
    if best is first:
        reason = "no blend meets the budget: " if first.kind else ""
        reason += f"none of the {measured_words(profiles)} has more reward and keeps its SFT loss {within}"
    else:
        reason = f"of the {measured_words(profiles)} the largest reward whose SFT loss stays {within}: "
        reason += against(first, best, level)
    return Recommendation(best.name, BUDGET, reason + _by_the_mean_alone(profiles, best, budget))


def _by_the_mean_alone(profiles: Mapping[str, Profile], best: Profile, budget: float) -> str:
    """What has more reward than `best` and would be within the budget if its interval were narrower."""
    first = next(iter(profiles.values()))
    more = [profile for profile in profiles.values() if profile.reward > best.reward]
    named = [profile.called for profile in more if _mean_rise(first, profile) <= budget]
    return f"; more reward ({', '.join(named)}) is within it by the mean alone: measure more prompts" if named else ""


def _mean_rise(first: Profile, other: Profile) -> float:
    """By how much the mean SFT loss is above the first's, on the task where most; inf where it is not finite."""
    rises = (other.losses[task] - loss for task, loss in first.losses.items())
    return max(rise if math.isfinite(rise) else math.inf for rise in rises)
