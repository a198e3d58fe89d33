"""Runs on finite policies: what a stage would measure of them, in microseconds a look instead of seconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace.flags import FLAGS, FlagWatch, SampledGroups
from interlace.flags.watch import LookPlan
from interlace.measurement import GradientProducts, HeldOut, PromptScores
from interlace.probes.parts import MOST_PARTS, split_prompts

PROMPTS, RESPONSES, SAMPLES = 128, 6, 8
FEATURES = 4
"""Of a prompt, the first is 1: logits are a matrix times features, so that prompts share what is learned."""


class World:
    """`PROMPTS` held-out prompts with one right response of six; an expert with `pass_rate`, and a start near it."""

    def __init__(self, rng: np.random.Generator, pass_rate: float = 0.7, constant: bool = False) -> None:
        self.rng = rng
        self.reward = np.zeros((PROMPTS, RESPONSES))
        self.reward[:, 0] = 1.0
        if constant:
            self.reward[:] = 1.0
        rates = rng.beta(8 * pass_rate, 8 * (1 - pass_rate), PROMPTS)
        wrong = rng.dirichlet(np.ones(RESPONSES - 1), PROMPTS)
        self.expert = np.hstack([rates[:, None], (1 - rates)[:, None] * wrong])
        self.features = np.hstack([np.ones((PROMPTS, 1)), rng.standard_normal((PROMPTS, FEATURES - 1))])
        rows = np.repeat(np.arange(PROMPTS), RESPONSES)
        self.held = HeldOut(
            "finite", PROMPTS, rows, self.expert.ravel(), self.reward.ravel(), np.ones(rows.size, dtype=np.int64), True
        )

    def near_expert(self, spread: float) -> np.ndarray:
        """Logits of a policy that learned the expert up to noise."""
        return np.log(self.expert + 1e-4) + spread * self.rng.standard_normal(self.expert.shape)

    def scores(self, logits: np.ndarray, sampled: bool) -> PromptScores:
        """What a look finds: SFT loss exactly, reward enumerated or from `SAMPLES` completions a prompt."""
        logprobs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        policy = np.exp(logprobs)
        if not sampled:
            advantage = policy * (self.reward - (policy * self.reward).sum(axis=1, keepdims=True))
            gradients = self.products(policy, advantage)
            return PromptScores(logprobs.ravel(), self.reward, policy, True, None, gradients)
        drawn, rewards = self.drawn(policy)
        gradients = self.products(policy, self.policy_gradient(policy, drawn, rewards))
        return PromptScores(logprobs.ravel(), rewards, np.full_like(rewards, 1 / SAMPLES), False, None, gradients)

    def drawn(self, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`SAMPLES` responses to each prompt, and their rewards."""
        drawn = (self.rng.random((PROMPTS, SAMPLES, 1)) > policy.cumsum(axis=1)[:, None, :-1]).sum(axis=-1)
        return drawn, np.take_along_axis(self.reward, drawn, axis=1)

    def groups(self, first: np.ndarray, recent: np.ndarray) -> SampledGroups:
        """What RL samples with the logits of its first batches, and with its latest."""
        policies = (np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)) for logits in (first, recent))
        return SampledGroups(*(self.drawn(policy)[1] for policy in policies))

    def policy_gradient(self, policy: np.ndarray, drawn: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        """dR/dlogits of each prompt from its samples, leave-one-out."""
        advantages = (rewards - rewards.mean(axis=1, keepdims=True)) * SAMPLES / (SAMPLES - 1)
        return (advantages[..., None] * (np.eye(RESPONSES)[drawn] - policy[:, None])).mean(axis=1)

    def products(self, policy: np.ndarray, reward_slope: np.ndarray) -> GradientProducts:
        """Of the gradients in the shared matrix, on parts as a probe makes them."""
        sets = split_prompts(PROMPTS, 2 * MOST_PARTS)
        by_prompt = [np.einsum("xf,xy->xfy", self.features, slope) for slope in (policy - self.expert, reward_slope)]
        loss, reward = (
            np.stack([slopes[part].mean(axis=0).ravel() for part in sets[i::2]]) for i, slopes in enumerate(by_prompt)
        )
        return GradientProducts(loss @ loss.T, reward @ reward.T, loss @ reward.T)


def alarms(
    world: World, path: Sequence[np.ndarray], kind: str, sampled: bool, rules: Sequence[str] = tuple(FLAGS)
) -> dict[str, int]:
    """The first step at which each of `rules` spoke along a path of logits, its start first. RL samples too."""
    start = world.scores(path[0], sampled)
    watch = FlagWatch(kind, {name: FLAGS[name] for name in rules}, LookPlan(len(path) - 1, 1), 1, lambda task: start)
    found = [
        alarm
        for step, logits in enumerate(path[1:], start=1)
        for alarm in watch.see(
            step, world.held, world.scores(logits, sampled), world.groups(path[0], logits) if kind == "rl" else None
        )
    ]
    assert not any("failed" in alarm.text for alarm in found)
    return {alarm.rule: alarm.step for alarm in found}


def jitter(world: World, start: np.ndarray, looks: int, size: float, pull: float = 0.3) -> list[np.ndarray]:
    """SFT that goes on at its optimum: noise of `size`, half of it shared by all prompts, pulled back to it."""
    optimum, path = np.log(world.expert + 1e-4), [start]
    for _ in range(looks):
        shared = world.rng.standard_normal((1, RESPONSES)) / np.sqrt(2)
        own = world.rng.standard_normal(start.shape) / np.sqrt(2)
        path.append(path[-1] + pull * (optimum - path[-1]) + size * (shared + own))
    return path


def tilted(world: World, start: np.ndarray, looks: int, rl_time: float, off_path: float = 0.0) -> list[np.ndarray]:
    """The RL path up to `rl_time`; with `off_path`, mass also moves to one and the same response of every prompt."""
    drift = np.zeros(RESPONSES)
    drift[1] = off_path
    shares = np.linspace(0.0, 1.0, looks + 1)
    return [start + share * (rl_time * world.reward + drift) for share in shares]
