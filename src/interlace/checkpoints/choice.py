"""Which checkpoint: the Pareto set in every objective, and a recommendation that says its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping

from interlace.checkpoints.budget import within_budget
from interlace.checkpoints.compared import against, change, level_together, level_words, upper_end
from interlace.checkpoints.exchange import best_exchange
from interlace.checkpoints.profile import NO_WORSE, Profile, Recommendation
from interlace.errors import RecipeError
from interlace.estimate import Estimate

ABOVE, OPEN = "above", "open"
"""How an SFT loss may stand to the least, besides no worse."""
TOLERANCE = 0.05
"""A checkpoint is no worse than the one with the least SFT loss if the upper end of its rise is at most this share of
that loss, on every task, and the rise itself is not resolved."""


def recommend(
    profiles: Mapping[str, Profile], *, budget: float | None = None, exchange_rate: float | None = None
) -> Recommendation:
    """One of the Pareto set.

    `budget` (nats/response, >= 0): the largest reward at which no task's SFT loss is more than that above the first
    checkpoint's by the upper end of the paired change's interval, at the level at which those of all checkpoints hold
    together (`level_together`), so that the best of many tries on the prompts that choose does not pass for a low
    loss; what keeps within it by its mean alone is said, and not taken. `exchange_rate` (reward units a nat of SFT loss
    is worth, >= 0): the largest mean of reward - exchange_rate x SFT loss (A6), with its paired lead over the next and
    what it is not told apart from. Neither: the largest reward among what is no worse in SFT loss than the least
    (`TOLERANCE`, at such a level), on every task; more reward at an SFT loss that is not resolved is said, and not
    taken. Over several tasks reward and SFT loss are averaged.

    Without a reward the least SFT loss is recommended, without SFT loss the largest reward.

    Raises RecipeError as `check_rules` does.
    """
    assert profiles, "a recommendation needs a checkpoint"
    check_rules(budget, exchange_rate)
    first = next(iter(profiles.values()))
    if not first.rewards:
        best = min(profiles.values(), key=lambda profile: profile.loss)
        reason = f"the least SFT loss, {level_words(best, 'sft_loss')}; there is no reward to weigh"
        return Recommendation(best.name, NO_WORSE, reason)
    if not first.losses:
        best = max(profiles.values(), key=lambda profile: profile.reward)
        reason = f"the largest reward, {level_words(best, 'reward')}; there is no SFT loss to weigh"
        return Recommendation(best.name, NO_WORSE, reason)
    if budget is not None:
        return within_budget(profiles, budget)
    return _no_worse(profiles) if exchange_rate is None else best_exchange(profiles, exchange_rate)


def _no_worse(profiles: Mapping[str, Profile]) -> Recommendation:
    least = min(profiles.values(), key=lambda profile: _or_worst(profile.loss))
    others = [profile for profile in profiles.values() if profile is not least]
    level = level_together(least, others)
    standing = {name: _standing(least, profile, level) for name, profile in profiles.items()}
    kept = [profile for name, profile in profiles.items() if standing[name] == NO_WORSE]
    best = max(kept, key=lambda profile: (profile.reward, -profile.loss))
    if best is least:
        reason = f"the least SFT loss, {level_words(best, 'sft_loss')}"
    else:
        within = f"within {TOLERANCE:.0%} of the least {upper_end(level, len(others))}"
        reason = f"the largest reward whose SFT loss is no worse ({within}): {against(least, best, level)}"
    more = {name: profile for name, profile in profiles.items() if profile.reward > best.reward}
    return Recommendation(best.name, NO_WORSE, reason + _passed_over(more, standing))


def _passed_over(more: Mapping[str, Profile], standing: Mapping[str, str]) -> str:
    """Which checkpoints have more reward, and why they are not recommended."""
    if not more:
        return ", and no less reward"
    words = {
        ABOVE: "more reward ({}) only at an SFT loss resolved above it",
        OPEN: f"more reward ({{}}) at an SFT loss that is not known to be no worse (it may be over {TOLERANCE:.0%} "
        "above the least: measure more prompts, or give a budget)",
    }
    said = {kind: [profile.called for name, profile in more.items() if standing[name] == kind] for kind in words}
    return "".join(f"; {words[kind].format(', '.join(names))}" for kind, names in said.items() if names)


def _standing(least: Profile, other: Profile, level: float) -> str:
    """Whether the SFT loss is no worse than the least's on every task, resolved above it on one, or open."""
    if other is least:
        return NO_WORSE
    rises = {task: change(least, other, task, "sft_loss", level) for task in least.losses}
    if any(rise.sign > 0 for rise in rises.values()) or not math.isfinite(other.loss):
        return ABOVE
    known = (
        isinstance(rise, Estimate) and rise.upper <= TOLERANCE * least.losses[task] for task, rise in rises.items()
    )
    return NO_WORSE if all(known) else OPEN


def _or_worst(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf


def check_rules(budget: float | None, exchange_rate: float | None) -> None:
    """Raise RecipeError for both rules at once, or one that is negative or not finite."""
    if budget is not None and exchange_rate is not None:
        raise RecipeError("--budget and --exchange-rate must not stand together: each is a rule. Got both. Drop one.")
    for name, value in (("--budget", budget), ("--exchange-rate", exchange_rate)):
        if value is not None and not (math.isfinite(value) and value >= 0.0):
            raise RecipeError(f"{name} must be finite and at least 0. Got {value}. Give another.")
