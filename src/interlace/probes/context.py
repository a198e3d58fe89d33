"""ProbeContext: one look at one policy. Every need is computed once, lazily, and shared by the probes that read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from interlace.errors import RewardError
from interlace.estimate import Unresolved
from interlace.measurement import PromptScores
from interlace.policies import EncodedResponse, Policy, decode_completion, response_logprobs, sample_completions
from interlace.policies.kept import KeptPolicy
from interlace.policies.parameters import ParameterSpace
from interlace.probes.gradient_table import LOSS, REWARD, GradientTable, Objective, fill_table
from interlace.probes.memory import memory_refusal
from interlace.probes.moment import Moment, preconditioner
from interlace.probes.parts import (
    Part,
    enumerated_reward_parts,
    loss_parts,
    num_parts,
    sampled_reward_parts,
    split_prompts,
)
from interlace.probes.target import MeasuredTask
from interlace.rewards import RewardFunction
from interlace.statistics.unbiased import MINIMUM_PARTS

MAX_PROMPTS_FOR_DIVERGENCE = 64
"""Divergence is exact over the vocabulary at each prefix, so few completions resolve it."""
MAX_PROMPTS_FOR_CURVATURE = 64
"""A Hessian-vector product costs four gradients; curvature differs less between prompts than gradients do."""
CURVATURE_PARTS = 4

DISPLACEMENT, UPDATE = "displacement", "update"
"""Directions in weight space: from the stage's start to here, and the last optimizer step."""

Found = TypeVar("Found", covariant=True)


@runtime_checkable
class Measures(Protocol[Found]):
    """What a context needs to know of a probe in order to read it once."""

    name: str

    def measure(self, context: ProbeContext) -> Found:
        """Look once."""
        ...


@dataclass
class Look:
    """The contexts of one moment, one a task; what spans tasks is computed here, once for all of them."""

    contexts: list[ProbeContext] = field(default_factory=list)

    @cached_property
    def space(self) -> ParameterSpace:
        """The trainable parameters of the policy."""
        return ParameterSpace.of(self.contexts[0].policy.model)

    @cached_property
    def start_weights(self) -> Mapping[str, Tensor] | None:
        """The trainable weights at the stage's start; None where that is the policy itself, or of another shape."""
        first = self.contexts[0]
        if isinstance(first.start, KeptPolicy):
            return first.start.kept
        return self.space.weights_of(first.start) if self._is_elsewhere(first.start.model) else None

    @cached_property
    def directions(self) -> Mapping[str, Float[Tensor, "parameter"]]:
        """`DISPLACEMENT` and `UPDATE`, where they are known and not 0."""
        first, space = self.contexts[0], self.space
        now = space.flat(space.weights_of(first.policy))
        start = None if first.is_at_start else self.start_weights
        known = {} if start is None else {DISPLACEMENT: start}
        if first.moment is not None and first.moment.previous is not None:
            known[UPDATE] = first.moment.previous
        moved = {name: now - space.flat(weights).to(now) for name, weights in known.items()}
        return {name: direction for name, direction in moved.items() if bool(direction.any())}

    def _is_elsewhere(self, model: PreTrainedModel) -> bool:
        """Whether `model` is another than the policy's, and of its shape, so that there is a way from it."""
        return model is not self.contexts[0].policy.model and self.space.fits(model)

    @cached_property
    def metric(self) -> Float[Tensor, "parameter"] | None:
        """The optimizer's diagonal, where it has one."""
        first = self.contexts[0]
        return preconditioner(first.policy.model, self.space, first.moment.optimizer if first.moment else None)

    @property
    def num_parts(self) -> int:
        """How many parts of each objective the table has where there are prompts enough."""
        return num_parts(self.space.dimension, 2 * len(self.contexts))

    @cached_property
    def memory_refusal(self) -> Unresolved | None:
        """Why gradients cannot be kept here; asked once, before the first is taken."""
        rows = 2 * len(self.contexts) * self.num_parts
        return memory_refusal(self.contexts[0].policy.model, self.space.dimension, rows)

    @cached_property
    def gradients(self) -> GradientTable:
        """The gradients of both objectives of every task, on disjoint parts of their held-out prompts."""
        count = self.num_parts
        objectives = {key: parts for context in self.contexts for key, parts in context.parts(count).items()}
        policy = self.contexts[0].policy
        return fill_table(policy, self.space, objectives, metric=self.metric, directions=self.directions)


@dataclass(frozen=True)
class ProbeContext:
    """The policy that is looked at, the policy at the stage's start, and the held-out set.

    `completions_per_prompt` are sampled where something must be sampled, by a generator seeded with `seed` alone: a
    measurement neither reads nor moves the global random state. `moment` is what the trainer knows; `at_start`: the
    policy has the start's weights; `start_scores`: what was recorded there, if it was; `expert`: an expert-SFT policy,
    if one was named; `look` is shared by the contexts of all tasks at one moment.
    """

    policy: Policy
    start: Policy
    target: MeasuredTask
    completions_per_prompt: int
    seed: int
    level: float = 0.95
    moment: Moment | None = None
    at_start: bool = False
    start_scores: PromptScores | None = None
    expert: Policy | None = None
    look: Look = field(default_factory=Look, repr=False, compare=False)
    _readings: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.look.contexts.append(self)

    def reading(self, probe: Measures[Found]) -> Found:
        """What `probe` finds here; it looks once, whoever asks."""
        if probe.name not in self._readings:
            self._readings[probe.name] = probe.measure(self)
        return self._readings[probe.name]

    @property
    def is_at_start(self) -> bool:
        """Whether the policy is where the stage began."""
        return self.at_start or self.policy is self.start

    @property
    def start_weights(self) -> Mapping[str, Tensor] | None:
        """The look's weights at the stage's start."""
        return self.look.start_weights

    @property
    def micro_gradients(self) -> tuple[Float[Tensor, "norm_parameter"], ...]:
        """What each micro-batch of the last step added to the normalisation layers' gradient, where it was seen."""
        return () if self.moment is None else self.moment.micro_gradients

    def has_gradient(self, *names: str) -> bool:
        """Whether the task has all these objectives and the policy is one that is trained.

        A copy for looking only, such as averaged weights, has no trainable parameters.
        """
        trained = any(weight.requires_grad for weight in self.policy.model.parameters())
        return trained and {(self.target.task.name, name) for name in names} <= set(self.objectives)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The task's objectives whose gradients can be compared: SFT loss with an expert, reward where it is enumerated
        or sampled in groups; none with fewer prompts than 3 parts of each need."""
        target = self.target
        if len(target.examples) < 2 * MINIMUM_PARTS:
            return ()
        sampled = target.task.reward is not None and self.completions_per_prompt > 1
        there = {LOSS: bool(len(target.expert)), REWARD: target.rewarded is not None or sampled}
        return tuple((target.task.name, name) for name, found in there.items() if found)

    @property
    def gradients(self) -> GradientTable:
        """The look's table of gradients, all tasks. Cost: a forward and backward over the held-out responses."""
        return self.look.gradients

    def parts(self, count: int) -> dict[Objective, tuple[Part, ...]]:
        """`count` parts of each objective, or as many as there are prompts; no prompt is in two of them."""
        made = {LOSS: self._loss_parts, REWARD: self._reward_parts}
        return {key: made[key[1]](sets) for key, sets in self._prompts(count).items()}

    def _prompts(self, count: int) -> dict[Objective, tuple[Int[np.ndarray, "prompt"], ...]]:
        keys, prompts = self.objectives, len(self.target.examples)
        count = min(count, prompts // max(1, len(keys)))
        sets = split_prompts(prompts, count * len(keys)) if keys else ()
        return {key: sets[i :: len(keys)] for i, key in enumerate(keys)}

    @cached_property
    def curvature_parts(self) -> tuple[Part, ...]:
        """A few small parts of the SFT loss, for second derivatives, on prompts that no part of the reward has."""
        prompts = np.sort(np.concatenate(self._prompts(2)[self.target.task.name, LOSS]))
        sets = split_prompts(len(prompts), min(CURVATURE_PARTS, len(prompts)), MAX_PROMPTS_FOR_CURVATURE)
        return self._loss_parts(tuple(prompts[chosen] for chosen in sets))

    def _loss_parts(self, sets: tuple[Int[np.ndarray, "prompt"], ...]) -> tuple[Part, ...]:
        return loss_parts(self.target, sets)

    def _reward_parts(self, sets: tuple[Int[np.ndarray, "prompt"], ...]) -> tuple[Part, ...]:
        if self.target.rewarded is not None:
            return enumerated_reward_parts(self.target, sets)
        return sampled_reward_parts(self.completions, self.sampled_rewards, sets)

    @cached_property
    def logprobs(self) -> list[Float[np.ndarray, "token"]]:
        """log pi of every token of every wanted response, nats. Cost: one forward over the held-out set."""
        return response_logprobs(self.policy, self.target.responses)

    @cached_property
    def completions(self) -> list[list[EncodedResponse]]:
        """Sampled from the policy: a group for every prompt where the reward must be sampled, else one for each of the
        first `MAX_PROMPTS_FOR_DIVERGENCE` prompts, which is all that is read then."""
        rng = torch.Generator().manual_seed(self.seed)
        prompts, group = self.target.prompts, self.completions_per_prompt
        if self.target.rewarded is not None:
            prompts, group = prompts[:MAX_PROMPTS_FOR_DIVERGENCE], 1
        return sample_completions(self.policy, prompts, group, self.target.max_response_tokens, rng)

    @property
    def has_completions(self) -> bool:
        """Whether completions are at hand: they are sampled for the reward, or a probe before this one drew them."""
        return "completions" in vars(self) or (self.target.task.reward is not None and self.target.rewarded is None)

    @cached_property
    def sampled_rewards(self) -> Float[np.ndarray, "prompt completion"]:
        """The reward of every sampled completion, reward units. Raises RewardError as `scored` does."""
        assert self.target.task.reward is not None
        return self.scored(self.target.task.reward)

    def scored(self, reward: RewardFunction) -> Float[np.ndarray, "prompt completion"]:
        """What `reward` gives the sampled completions, which belong to the first prompts, reward units.

        Raises RewardError if it leaves a held-out completion unscored: there is then no expected reward.
        """
        examples = self.target.examples[: len(self.completions)]
        rows = [(example, item) for example, group in zip(examples, self.completions, strict=True) for item in group]
        columns = {key: [example.columns[key] for example, _ in rows] for key in examples[0].columns}
        texts = [decode_completion(self.policy, item) for _, item in rows]
        chat = not isinstance(examples[0].prompt, str)
        given = [[{"role": "assistant", "content": text}] for text in texts] if chat else texts
        rewards = reward(
            prompts=[example.prompt for example, _ in rows],
            completions=given,
            completion_ids=[list(item.response) for _, item in rows],
            **columns,
        )
        if any(value is None for value in rewards):
            raise RewardError(
                "a reward must score every held-out completion. It returned None. Return a number instead.",
                str(getattr(reward, "__name__", "")),
            )
        return np.array(rewards, dtype=np.float64).reshape(len(examples), -1)

    @cached_property
    def sampled_groups(self) -> tuple[list[list[EncodedResponse]], Float[np.ndarray, "prompt completion"]]:
        """Groups of completions for the first `MAX_PROMPTS_FOR_DIVERGENCE` prompts, and their rewards, sampled even
        where rewards are enumerated."""
        count = MAX_PROMPTS_FOR_DIVERGENCE
        if self.target.rewarded is None:
            return self.completions[:count], self.sampled_rewards[:count]
        sampled = ProbeContext(
            self.policy, self.start, self.target.first(count), self.completions_per_prompt, self.seed, self.level
        )
        return sampled.completions, sampled.sampled_rewards
