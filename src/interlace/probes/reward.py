"""Expected reward on held-out prompts: enumerated where every rewarded response can be listed, else sampled."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interlace.measurement import PromptScores
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.statistics.bounded import reward_interval
from interlace.statistics.intervals import mean_interval


class Reward:
    """R(pi) = E_{x, y~pi}[r] and V(pi) = E_x Var(r), reward units.

    Enumerated: the probability of every rewarded response by teacher forcing, in its canonical tokens up to
    end-of-sequence; other spellings in tokens of the same text are left out (a lower bound by their mass). Sampled: a
    group of completions a prompt. Intervals: prompts as clusters; the reward's stays in its range (`reward_interval`),
    the variance's is Student t with their skewness taken off.
    """

    name = "reward"
    sentence = "expected reward and its within-prompt variance on held-out prompts, enumerated or sampled in groups"
    source = "A4, A6"
    cost: Price = "forward"
    needs: tuple[str, ...] = ("logprobs", "completions")

    def applies(self, context: ProbeContext) -> bool:
        """Where the task has a reward."""
        return context.target.task.reward is not None

    def measure(self, context: ProbeContext) -> Reading:
        """Enumerate or sample the reward."""
        is_exact = context.target.rewarded is not None
        values, probabilities = _enumerated(context) if is_exact else _sampled(context)
        scores = PromptScores(None, values, probabilities, is_exact)
        variance = scores.reward_variance()
        figures = {
            "reward": reward_interval(scores.mean_reward(), values, is_exact=is_exact, level=context.level),
            "reward_variance": mean_interval(variance, level=context.level, unit="reward units^2", least=0.0),
        }
        fields = {"reward_values": values, "reward_probabilities": probabilities, "reward_is_exact": is_exact}
        return Reading(figures, fields)


def start_law(context: ProbeContext) -> PromptScores:
    """The law of the reward under the stage's start: recorded there, or measured now."""
    recorded = context.start_scores
    if recorded is not None and recorded.reward_values is not None:
        return recorded
    if context.is_at_start:
        return PromptScores(**context.reading(Reward()).scores)
    there = ProbeContext(context.start, context.start, context.target, context.completions_per_prompt, context.seed)
    return PromptScores(**Reward().measure(there).scores)


def _enumerated(context: ProbeContext) -> tuple[Float[np.ndarray, "prompt atom"], Float[np.ndarray, "prompt atom"]]:
    """Per prompt the rewards that can be earned and their probabilities; the last atom is everything else, reward 0."""
    rewarded = context.target.rewarded
    assert rewarded is not None
    atoms = max(len(row) for row in rewarded)
    values, probabilities = np.zeros((len(rewarded), atoms + 1)), np.zeros((len(rewarded), atoms + 1))
    for i, row in enumerate(rewarded):
        for j, (response, reward) in enumerate(row):
            generated = context.target.responses[response].generated
            values[i, j], probabilities[i, j] = reward, np.exp(context.logprobs[response][:generated].sum())
    probabilities[:, -1] = np.clip(1.0 - probabilities.sum(axis=1), 0.0, 1.0)
    return values, probabilities


def _sampled(context: ProbeContext) -> tuple[Float[np.ndarray, "prompt atom"], Float[np.ndarray, "prompt atom"]]:
    rewards = context.sampled_rewards
    return rewards, np.full_like(rewards, 1.0 / rewards.shape[1])
