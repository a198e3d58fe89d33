"""How far along the RL path the policy went, and how much of its way is on it: log-ratios against rewards."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interlace.estimate import Figure, Unresolved
from interlace.policies import EncodedResponse, Policy, response_logprobs
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.statistics import jackknife_interval, left_out_weights, ratio_interval
from interlace.statistics.unbiased import clipped
from interlace.theory.paths import within_prompt_sums


class RlPath:
    """D5: the pooled within-prompt regression of log(pi / start) on the reward, over completions of the policy.

    `rl_time`: the slope, per reward unit; `on_path_share`: its R^2, 1 exactly on the path pi_tau of the start, near 0
    where the policy moved for other reasons than this reward (it is at least about 1 / completions by chance). Groups
    of completions are sampled for the first 64 prompts even where rewards are enumerated: the listed responses say
    nothing of how the policy moved among the others.

    Cost: a group of completions a prompt, and one forward of each policy over them.
    """

    name = "rl_path"
    sentence = (
        "RL time and on-path share: how the policy's log-ratio to the start follows the reward within prompts "
        "(negative: against it, perhaps noise if the interval holds 0; so train_rl_time of what a trainer samples)"
    )
    source = "D5"
    cost: Price = "forward"
    needs: tuple[str, ...] = ("sampled_groups",)

    def applies(self, context: ProbeContext) -> bool:
        """Where the task has a reward, groups are sampled and the policy is not at the start."""
        sampled = context.target.task.reward is not None and context.completions_per_prompt > 1
        return sampled and not context.is_at_start

    def measure(self, context: ProbeContext) -> Reading:
        """Score the policy's completions under both policies."""
        completions, rewards = context.sampled_groups
        items = [item for group in completions for item in group]
        ratios = (_scored(context.policy, items) - _scored(context.start, items)).reshape(rewards.shape)
        return Reading(regression(ratios, rewards, level=context.level))


def regression(
    log_ratios: Float[np.ndarray, "prompt sample"], rewards: Float[np.ndarray, "prompt sample"], *, level: float
) -> dict[str, Figure]:
    """D5's two figures, with intervals over prompts; Unresolved where rewards or log-ratios do not vary."""
    shared, spread, moved = within_prompt_sums(log_ratios, rewards)
    if not spread.sum() > 0.0:
        refusal = Unresolved("in every sampled group all completions earn the same, so nothing tells the RL time")
        return {"rl_time": refusal, "on_path_share": refusal}
    slope = ratio_interval(shared, spread, unit="per reward unit", level=level)
    if not moved.sum() > 0.0:
        return {"rl_time": slope, "on_path_share": Unresolved("the policy's log-ratios do not vary: it has not moved")}
    weights = left_out_weights(len(shared))
    with np.errstate(divide="ignore", invalid="ignore"):
        left_out = (weights @ shared) ** 2 / ((weights @ spread) * (weights @ moved))
    point = float(shared.sum() ** 2 / (spread.sum() * moved.sum()))
    share = jackknife_interval(
        point, [left_out], unit="fraction", method="within-prompt regression, jackknife", level=level
    )
    return {"rl_time": slope, "on_path_share": clipped(share, 0.0, 1.0)}


def _scored(policy: Policy, items: list[EncodedResponse]) -> Float[np.ndarray, "completion"]:
    return np.array([values.sum() for values in response_logprobs(policy, items)])
