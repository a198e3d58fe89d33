"""Parts: disjoint, equally large sets of held-out prompts, each with an objective whose gradient is the part's own.

Products of different parts carry no noise in common, which is what C2 needs. SFT loss and reward share no prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from interlace.policies import EncodedResponse
from interlace.policies.gradients import ResponseSum
from interlace.probes.target import MeasuredTask

MOST_PARTS = 12
"""Parts of one objective. More narrow the intervals little, and each costs a flat vector while a table is filled."""
LEAST_PARTS = 4
"""Three have a norm without its noise, a fourth spans (B7). Of a model of 135 million parameters four of each objective
take 2.2 GB in bfloat16."""
MAX_BYTES = 2**30
"""Memory that the vectors of a table may take before there are fewer, and before they are kept in bfloat16."""


@dataclass(frozen=True)
class Part:
    """The mean of an objective over some prompts, as a sum whose gradient is the objective's.

    `value` is the objective itself where the sum is not it: a policy-gradient estimate has the reward's gradient, not
    its value. None: the sum's own value.
    """

    prompts: Int[np.ndarray, "prompt"]
    total: ResponseSum
    value: float | None = None


def num_parts(dimension: int, num_objectives: int) -> int:
    """How many parts of each of `num_objectives` to keep vectors of: as many as fit `MAX_BYTES`, 4 to 12."""
    fitting = MAX_BYTES // max(1, 4 * dimension * num_objectives)
    return int(np.clip(fitting, LEAST_PARTS, MOST_PARTS))


def split_prompts(num_prompts: int, num_sets: int, most: int | None = None) -> tuple[Int[np.ndarray, "prompt"], ...]:
    """`num_sets` disjoint sets of equal size from the first `num_prompts` prompts, dealt like cards; the rest is left.

    `most`: how many prompts to use in all. Held-out prompts were drawn at random, so dealing is random enough and the
    same at every look.
    """
    size = min(num_prompts, most or num_prompts) // num_sets
    dealt = np.arange(size * num_sets).reshape(size, num_sets)
    return tuple(dealt[:, i] for i in range(num_sets))


def loss_parts(target: MeasuredTask, sets: Sequence[Int[np.ndarray, "prompt"]]) -> tuple[Part, ...]:
    """L of each set, nats/response: minus the expected log-probability of the expert's responses."""
    return tuple(Part(prompts, _loss_of(target, prompts)) for prompts in sets)


def enumerated_reward_parts(target: MeasuredTask, sets: Sequence[Int[np.ndarray, "prompt"]]) -> tuple[Part, ...]:
    """R of each set, reward units, exactly: the sum of r pi(y | x) over the responses that earn anything."""
    return tuple(Part(prompts, _reward_of(target, prompts)) for prompts in sets)


def sampled_reward_parts(
    completions: Sequence[Sequence[EncodedResponse]],
    rewards: Float[np.ndarray, "prompt completion"],
    sets: Sequence[Int[np.ndarray, "chosen"]],
) -> tuple[Part, ...]:
    """R of each set from sampled groups: (r - mean of the group's others) grad log pi(y), unbiased for grad R.

    Leave-one-out advantages; needs groups of at least 2.
    """
    return tuple(_policy_gradient(completions, rewards, prompts) for prompts in sets)


def merged(parts: Sequence[Part]) -> Part:
    """One part of all prompts of equally large `parts`."""
    return Part(
        np.concatenate([part.prompts for part in parts]),
        ResponseSum(
            tuple(item for part in parts for item in part.total.responses),
            np.concatenate([part.total.weights for part in parts]) / len(parts),
            parts[0].total.of_probability,
        ),
        None if parts[0].value is None else float(np.mean([part.value for part in parts])),
    )


def _loss_of(target: MeasuredTask, prompts: Int[np.ndarray, "prompt"]) -> ResponseSum:
    heldout = target.heldout
    rows = np.flatnonzero(np.isin(heldout.prompt, prompts))
    responses = tuple(target.responses[target.expert[row]] for row in rows)
    return ResponseSum(responses, -heldout.probability[rows] / len(prompts))


def _reward_of(target: MeasuredTask, prompts: Int[np.ndarray, "prompt"]) -> ResponseSum:
    assert target.rewarded is not None
    listed = [entry for prompt in prompts for entry in target.rewarded[prompt]]
    responses = tuple(_generated(target.responses[index]) for index, _ in listed)
    rewards = np.array([reward for _, reward in listed], dtype=np.float64)
    return ResponseSum(responses, rewards / len(prompts), of_probability=True)


def _policy_gradient(
    completions: Sequence[Sequence[EncodedResponse]],
    rewards: Float[np.ndarray, "prompt completion"],
    prompts: Int[np.ndarray, "chosen"],
) -> Part:
    chosen = rewards[prompts]
    group = chosen.shape[1]
    advantages = (chosen - chosen.mean(axis=1, keepdims=True)) * group / (group - 1)
    weights = advantages.ravel() / advantages.size
    items = [item for prompt in prompts for item in completions[prompt]]
    told = np.flatnonzero(weights)  # where all of a group earn the same, nothing is learnt and nothing computed
    total = ResponseSum(tuple(items[row] for row in told), weights[told])
    return Part(prompts, total, float(chosen.mean()))


def _generated(item: EncodedResponse) -> EncodedResponse:
    """The response up to where sampling would have ended it."""
    return replace(item, response=item.response[: item.generated])
