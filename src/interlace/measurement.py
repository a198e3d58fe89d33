"""What a probe writes: one frozen, versioned record a figure, and what every held-out prompt contributed to it.

The figures are for people and trackers; the contributions (`PromptScores`) are what later differences are paired on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from interlace.estimate import Figure, figure_from_json

MEASUREMENT_VERSION = 1

RAW, AVERAGED, LINE = "raw", "averaged", "line"
"""Whose weights were measured: the run's own, their exponential average, or a point on the straight line from the
stage's start (position 0) to its end (position 1)."""
BLENDED = "blended"
"""Whose figures: of the point on that line whose weights a stage with `blend` ended with, in place of its raw end."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where in a run something was measured. `stage` is its folder name (``02-rl``), `step` counts optimizer steps."""

    stage: str
    step: int
    task: str
    weights: str = RAW
    position: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The point's fields, in order."""
        return {
            "stage": self.stage,
            "step": self.step,
            "task": self.task,
            "weights": self.weights,
            "position": self.position,
        }


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure at one point. `quantity` names it with its unit where that is not obvious."""

    point: Point
    quantity: str
    figure: Figure
    version: int = MEASUREMENT_VERSION

    def to_json(self) -> dict[str, Any]:
        """The record as the store keeps it."""
        return {
            **self.point.to_json(),
            "quantity": self.quantity,
            "figure": self.figure.to_json(),
            "version": self.version,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Measurement:
        """The inverse of `to_json`; fields of a newer version that this one does not know are ignored."""
        point = Point(data["stage"], int(data["step"]), data["task"], data["weights"], data["position"])
        return cls(point, data["quantity"], figure_from_json(data["figure"]), int(data["version"]))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A task's held-out prompts and the expert's responses to them, fixed for a whole run.

    One entry a (prompt, expert response) pair: `probability` is p_D(response | prompt) and sums to 1 within a prompt;
    `reward` is NaN where the task has none; `num_tokens` counts the response's tokens, end-of-sequence included.
    `expert_is_known`: the probabilities are the expert's own, not the frequencies in a data set.
    """

    task: str
    num_prompts: int
    prompt: Int[np.ndarray, "response"]
    probability: Float[np.ndarray, "response"]
    reward: Float[np.ndarray, "response"]
    num_tokens: Int[np.ndarray, "response"]
    expert_is_known: bool

    @property
    def is_right(self) -> Bool[np.ndarray, "response"]:
        """Expert responses that earn the full reward 1 (A11 is stated for binary rewards)."""
        return self.reward == 1.0

    @property
    def reward_is_binary(self) -> bool:
        """Whether every expert response earns exactly 0 or 1."""
        return bool(np.isin(self.reward, (0.0, 1.0)).all())

    def per_prompt(self, values: Float[np.ndarray, "response"]) -> Float[np.ndarray, "prompt"]:
        """E over the expert's responses of `values`, prompt by prompt."""
        return np.bincount(self.prompt, weights=self.probability * values, minlength=self.num_prompts)


@dataclass(frozen=True, slots=True)
class GradientProducts:
    """Inner products of the gradients of SFT loss and reward, part by part: no prompt is in two parts (C2)."""

    loss: Float[np.ndarray, "loss_part loss_part"]
    reward: Float[np.ndarray, "reward_part reward_part"]
    cross: Float[np.ndarray, "loss_part reward_part"]


@dataclass(frozen=True, slots=True)
class PromptScores:
    """What each held-out prompt contributed at one point.

    `expert_logprobs`: log pi(response | prompt), nats, aligned with `HeldOut`. `reward_values` and
    `reward_probabilities`: the law of the reward under the policy, prompt by prompt: enumerated
    (`reward_is_exact`) or the sampled rewards with equal weight. `kl`: KL(policy to the stage's start), nats a
    response, of the prompts that it was sampled on (the first ones). `gradients`: of parts of the prompts, whose sums
    are all that is kept of them. `lenient_rewards`, `strict_rewards`: what the task's lenient and its training reward
    give the same sampled completions, of the first prompts. None: not measured here.
    """

    expert_logprobs: Float[np.ndarray, "response"] | None = None
    reward_values: Float[np.ndarray, "prompt atom"] | None = None
    reward_probabilities: Float[np.ndarray, "prompt atom"] | None = None
    reward_is_exact: bool = False
    kl: Float[np.ndarray, "sampled_prompt"] | None = None
    gradients: GradientProducts | None = None
    lenient_rewards: Float[np.ndarray, "sampled_prompt completion"] | None = None
    strict_rewards: Float[np.ndarray, "sampled_prompt completion"] | None = None

    @classmethod
    def sampled(cls, rewards: Float[np.ndarray, "prompt completion"]) -> PromptScores:
        """The law of a reward of which groups were sampled: equal weight for each."""
        return cls(reward_values=rewards, reward_probabilities=np.full_like(rewards, 1.0 / rewards.shape[1]))

    def mean_reward(self) -> Float[np.ndarray, "prompt"]:
        """R_x: the expected reward of each prompt. Needs the reward to have been measured."""
        assert self.reward_values is not None and self.reward_probabilities is not None
        return (self.reward_values * self.reward_probabilities).sum(axis=1)

    def reward_variance(self) -> Float[np.ndarray, "prompt"]:
        """Within-prompt variance of the reward; ddof 1 where it was sampled. Needs the reward to have been measured."""
        assert self.reward_values is not None and self.reward_probabilities is not None
        deviation = self.reward_values - self.mean_reward()[:, None]
        variance = (deviation**2 * self.reward_probabilities).sum(axis=1)
        atoms = self.reward_values.shape[1]
        if self.reward_is_exact:
            return variance
        return variance * atoms / (atoms - 1) if atoms > 1 else np.full_like(variance, np.nan)
