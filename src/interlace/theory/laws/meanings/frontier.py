"""What the figures of D9 to D14 mean for a run, in a sentence or two."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from interlace.theory import frontier
from interlace.theory.finite import FiniteProblem, expected_reward, over_prompts, sft_loss
from interlace.theory.laws.meanings.words import nats, said
from interlace.wording import Number

ROUNDING = 1e-12
"""Figures smaller than this are said to be 0 where they could be rounding."""

OTHER = {"sft_rl": "rl_sft", "rl_sft": "sft_rl"}
IN_WORDS = {"sft_rl": "SFT, then RL", "rl_sft": "RL, then SFT"}


def joint(inputs: Mapping[str, Any], value: Number) -> str:
    """D9."""
    problem, rate = inputs["problem"], inputs["exchange_rate"]
    best = frontier.joint_optimum(problem, rate)
    policies = {"the reference": problem.reference, "the expert": problem.expert, "the policy": inputs["policy"]}
    regrets = {name: frontier.regret(problem, policy, rate) for name, policy in policies.items()}
    if (inputs["policy"] == problem.reference).all():
        del regrets["the policy"]
    behind = ", ".join(f"{name} {_short_by(regret)}" for name, regret in regrets.items())
    return (
        f"If a nat of SFT loss is worth {said(rate)} reward, the best policy of all earns "
        f"{said(expected_reward(problem, best))} at SFT loss {nats(sft_loss(problem, best))}; {behind}. No training "
        "can do better than that policy, only arrive at it."
    )


def _short_by(regret: float) -> str:
    return f"falls short of it by {said(regret)}" if regret > ROUNDING else "is that policy"


def decoupling(inputs: Mapping[str, Any], value: Number) -> str:
    """D10."""
    problem, rate, order = inputs["problem"], inputs["exchange_rate"], inputs["order"]
    own, other = frontier.best_pipeline(problem, rate, order), frontier.best_pipeline(problem, rate, OTHER[order])
    durations = f"RL time {said(own.rl_time)} and weight {said(own.sft_weight)} of the expert"
    if value <= ROUNDING:
        return f"{IN_WORDS[order]} reaches the joint optimum here, with {durations}: nothing is lost by decoupling."
    verdict = "costs less" if value < other.price else "costs more"
    return (
        f"{IN_WORDS[order]} for its best durations ({durations}) still falls {said(value)} reward short of training "
        f"both together; it {verdict} than {IN_WORDS[OTHER[order]]} ({said(other.price)})."
    )


def interleaved(inputs: Mapping[str, Any], value: Any) -> str:
    """D11."""
    problem = inputs["problem"]
    ends = [(said(expected_reward(problem, each)), said(sft_loss(problem, each))) for each in value]
    settled = (
        f"Such cycles settle: after SFT at reward {ends[0][0]} and SFT loss {ends[0][1]}, after RL at reward "
        f"{ends[1][0]} and SFT loss {ends[1][1]}"
    )
    if inputs["rl_time"] == 0.0 or inputs["sft_weight"] == 1.0 or math.isinf(inputs["rl_time"]):
        return f"{settled} nats/response. More and shorter cycles come nearer to the joint optimum (D9)."
    rate = -math.log1p(-inputs["sft_weight"]) / inputs["rl_time"]
    return (
        f"{settled} nats/response. That is how one trains jointly at an exchange rate of {said(rate)} reward a nat; "
        "shorter cycles in the same proportion come nearer to that optimum (D9)."
    )


def combined(inputs: Mapping[str, Any], value: Any) -> str:
    """D12."""
    cosine = inputs["cosine"]
    if cosine >= 0.0:
        return (
            f"The gradients do not conflict (cosine {said(cosine)}): their sum in any positive proportion lowers SFT "
            "loss and raises reward."
        )
    if value.lower >= value.upper:
        return "The gradients are opposite: no direction improves both. The point is Pareto stationary."
    return (
        f"The gradients conflict (cosine {said(cosine)}), but a weight of the RL gradient between "
        f"{said(value.lower)} and {said(value.upper)} still lowers SFT loss and raises reward at once; below that "
        "reward falls, above it SFT loss rises."
    )


def longest_step(inputs: Mapping[str, Any], value: Number) -> str:
    """D12, step_limit."""
    return f"The objective falls for steps up to {said(value)}; half of that gains most for certain."


def floor(inputs: Mapping[str, Any], value: Number) -> str:
    """D13."""
    problem, reward = inputs["problem"], inputs["reward"]
    exact = frontier.least_sft_loss(problem, reward)
    start = sft_loss(problem, problem.reference)
    if math.isinf(exact) and reward > _most(problem):
        return f"No policy can earn {said(reward)}: the best responses of every prompt earn {said(_most(problem))}."
    if math.isinf(exact):
        return (
            f"A mean reward of {said(reward)} cannot be had without giving up responses of the expert: SFT loss is "
            "then infinite, whatever the method."
        )
    if reward <= problem.expert_reward:
        return (
            f"A reward of {said(reward)} is no more than the expert's {said(problem.expert_reward)}: it costs no SFT "
            f"loss, which may be as low as the expert's entropy, {nats(exact)}."
        )
    cost = f"at least {nats(value)}, exactly {said(exact)} at best"
    lost = "so much reward certainly costs SFT loss" if exact > start else "so much reward need not cost any"
    return (
        f"Whatever the method, a policy that earns {said(reward)} has an SFT loss of {cost}. The reference has "
        f"{said(start)}: {lost}."
    )


def _most(problem: FiniteProblem) -> float:
    """E_x max r over the responses that the reference or the expert can give."""
    best = np.where(frontier.allowed(problem), problem.reward, -np.inf).max(axis=-1)
    return float(over_prompts(problem, best)) * (1.0 + 1e-12)


def floor_of_figures(inputs: Mapping[str, Any], value: Number) -> str:
    """D13, sft_loss_floor_from_figures."""
    return (
        f"Whatever the method, a policy that earns {said(inputs['reward'])} has an SFT loss of at least {nats(value)}; "
        "if the policy that RL starts from has less, so much reward certainly costs SFT loss."
    )


def pl_constants(inputs: Mapping[str, Any], value: Any) -> str:
    """D14."""
    if math.isinf(value.reward):
        return "The reward is flat on every prompt: there is nothing to gain, and no PL constant of reward to speak of."
    if value.reward == 0.0:
        return "The policy gives no best response of some prompt: RL cannot find it, and its PL constant is 0 there."
    return (
        f"With natural gradients SFT leaves of its gap at most e^(\u22122 \u00d7 {said(value.sft)}) per SFT time, "
        f"and RL at this policy at a rate of at least 2 \u00d7 {said(value.reward)} per RL time. Plain gradients of "
        "a softmax have no such floor."
    )


FRONTIER: dict[str, Callable[[Mapping[str, Any], Any], str]] = {
    "D9": joint,
    "D10": decoupling,
    "D11": interleaved,
    "D12": combined,
    "D13": floor,
    "D14": pl_constants,
}

BESIDE_FRONTIER: dict[str, Callable[[Mapping[str, Any], Any], str]] = {
    "step_limit": longest_step,
    "sft_loss_floor_from_figures": floor_of_figures,
}
