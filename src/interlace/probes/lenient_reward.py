"""The reward again, read by a lenient parser, on completions that are sampled anyway."""

from __future__ import annotations

from interlace.measurement import PromptScores
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.statistics.bounded import reward_interval


class LenientReward:
    """`reward_lenient`: what the task's lenient reward gives the policy's completions, reward units.

    Where it is above the training reward of the same completions (kept beside it), format costs reward; a rise of the
    reward that it does not share is one of format. Read where completions are at hand: groups for every prompt where
    the reward is sampled; where it is enumerated one for each of the first prompts, those that `divergence` draws, and
    at a stage's start, where there is no divergence, drawn for this. Interval: as the reward's (`reward_interval`).

    Cost: reading text; at a stage's start at most 64 completions.
    """

    name = "lenient_reward"
    sentence = "the reward of sampled completions by a lenient parser, which forgives their format"
    source = "the strict and the flexible extraction of evaluation harnesses"
    cost: Price = "forward"
    needs: tuple[str, ...] = ("completions",)

    def applies(self, context: ProbeContext) -> bool:
        """Where the task has both rewards, and completions are at hand or this is the stage's start."""
        task = context.target.task
        both = task.reward is not None and task.lenient_reward is not None
        return both and (context.has_completions or context.is_at_start)

    def measure(self, context: ProbeContext) -> Reading:
        """Score the completions by both rewards."""
        task, is_enumerated = context.target.task, context.target.rewarded is not None
        assert task.reward is not None and task.lenient_reward is not None
        lenient = context.scored(task.lenient_reward)
        strict = context.scored(task.reward) if is_enumerated else context.sampled_rewards
        means = PromptScores.sampled(lenient).mean_reward()
        figure = reward_interval(means, lenient, is_exact=False, level=context.level)
        return Reading({"reward_lenient": figure}, {"lenient_rewards": lenient, "strict_rewards": strict})
