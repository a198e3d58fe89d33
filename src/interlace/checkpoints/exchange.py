"""The rule of an exchange rate: the largest reward - rate x SFT loss, and from what it is not told apart."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from interlace.analysis.words import signed
from interlace.checkpoints.compared import against, measured_words
from interlace.checkpoints.profile import EXCHANGE_RATE, Profile, Recommendation
from interlace.estimate import Figure
from interlace.statistics.intervals import change_interval, refusal_of_change


def best_exchange(profiles: Mapping[str, Profile], rate: float) -> Recommendation:
    """The largest mean worth, with what it is worth more than the next; see `choice.recommend`."""
    best, *others = sorted(profiles.values(), key=lambda profile: _worth(profile, rate), reverse=True)
    reason = f"of the {measured_words(profiles)} the largest reward \u2212 {rate:g} \u00d7 SFT loss"
    leads = {other.called: lead(best, other, rate) for other in others if math.isfinite(_worth(other, rate))}
    if leads:
        following = others[0]
        reason += f", {signed(leads[following.called])} more than {following.called}: {against(following, best)}"
    open_to = [name for name, figure in leads.items() if figure.sign == 0]
    reason += f"; not told apart from {', '.join(open_to)}: measure more prompts" if open_to else ""
    return Recommendation(best.name, EXCHANGE_RATE, reason)


def lead(best: Profile, other: Profile, rate: float) -> Figure:
    """Reward - `rate` x SFT loss (A6) of `best` minus that of `other`, reward units, paired prompt by prompt.

    Over several tasks both objectives are averaged, each over the tasks that have it; the prompts of different tasks
    are independent.
    """
    gains = [_gains(best, other, task, rate) for task in best.tasks]
    for gain in gains:
        refusal = refusal_of_change(gain)
        if refusal is not None:
            return refusal
    count = sum(gain.size for gain in gains)
    value = float(sum(gain.mean() for gain in gains))
    influence = np.concatenate([(gain - gain.mean()) * (count / gain.size) for gain in gains])
    method = "paired Student t over prompts of both objectives together"
    return change_interval(value, influence, unit="reward units", method=method)


def _gains(best: Profile, other: Profile, task: str, rate: float) -> Float[np.ndarray, "prompt"]:
    """What each prompt of a task adds to the difference in worth: its mean over prompts, summed over tasks."""
    now, was = best.tasks[task], other.tasks[task]
    gain = np.zeros(now.held.num_prompts)
    if task in best.rewards:
        gain = gain + (now.reward - was.reward) / len(best.rewards)
    if task in best.losses:
        gain = gain - rate * (now.loss - was.loss) / len(best.losses)
    return gain


def _worth(profile: Profile, rate: float) -> float:
    worth = profile.reward - rate * profile.loss
    return worth if math.isfinite(worth) else -math.inf
