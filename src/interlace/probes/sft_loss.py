"""Held-out SFT loss: the expert's mean negative log-probability, over all, right and wrong responses."""

from __future__ import annotations

import numpy as np

from interlace.estimate import Figure
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.statistics.intervals import mean_interval, ratio_interval


class SftLoss:
    """L(pi) = E_{x, y~p_D}[-log pi(y | x)], nats a response, and the same a token; A11's two means beside it.

    Exact over the expert's distribution where that is known, else over the observed responses. Intervals: Student t
    with prompts as clusters and their skewness taken off, from 12 prompts on.
    Cost: one forward over the held-out expert responses.
    """

    name = "sft_loss"
    sentence = "the expert's negative log-probability on held-out prompts, in all and on right and wrong responses"
    source = "A4, A11"
    cost: Price = "forward"
    needs: tuple[str, ...] = ("logprobs",)

    def applies(self, context: ProbeContext) -> bool:
        """Where the task has an expert."""
        return bool(len(context.target.expert))

    def measure(self, context: ProbeContext) -> Reading:
        """Score the expert's responses."""
        heldout, level = context.target.heldout, context.level
        logprobs = np.array([context.logprobs[row].sum() for row in context.target.expert])
        loss = heldout.per_prompt(-logprobs)
        tokens = heldout.per_prompt(heldout.num_tokens.astype(np.float64))
        figures: dict[str, Figure] = {
            "sft_loss": mean_interval(loss, level=level, unit="nats/response", least=0.0),
            "sft_loss_per_token": ratio_interval(loss, tokens, level=level, unit="nats/token", least=0.0),
        }
        if heldout.reward_is_binary:
            for side, chosen in (("right", heldout.is_right), ("wrong", ~heldout.is_right)):
                part, mass = heldout.per_prompt(-logprobs * chosen), heldout.per_prompt(chosen.astype(np.float64))
                figures[f"sft_loss_{side}"] = ratio_interval(part, mass, level=level, unit="nats/response", least=0.0)
        return Reading(figures, {"expert_logprobs": logprobs})
