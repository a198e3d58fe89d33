"""What the figures of C7, D1 to D8 and D15 mean for a run, in a sentence or two."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from interlace.theory import paths
from interlace.theory.distributional import tilted_reward
from interlace.theory.finite import FiniteProblem, chi_square, expected_reward, prompt_reward, sft_loss
from interlace.theory.laws.meanings.words import nats, said, share
from interlace.wording import Number

MISSES = "The policy cannot give some response of the expert: its SFT loss is infinite, and has no rate of change."
ROUNDING = 1e-12
"""Figures smaller than this are said to be 0 where they could be rounding."""


def _gap(inputs: Mapping[str, Any]) -> float:
    """R(policy) - R_D."""
    return expected_reward(inputs["problem"], inputs["policy"]) - inputs["problem"].expert_reward


def _misses_expert(inputs: Mapping[str, Any]) -> bool:
    return math.isinf(sft_loss(inputs["problem"], inputs["policy"]))


def _moves(rate: Number) -> str:
    """What a rate of change of SFT loss says."""
    if abs(rate) <= ROUNDING:
        return "leaves SFT loss where it is"
    return f"{'raises' if rate > 0.0 else 'lowers'} SFT loss, by {nats(abs(rate))} per unit of its time"


def _parity(gap: Number) -> str:
    if abs(gap) <= ROUNDING:
        return "the policy earns what the expert earns"
    return f"the policy earns {said(abs(gap))} {'more' if gap > 0.0 else 'less'} than the expert"


def from_rewards(inputs: Mapping[str, Any], value: Float[np.ndarray, "*resample checkpoint"]) -> str:
    """C7."""
    if np.ndim(value) != 1 or not np.size(value):
        return (
            "Each row is one resample's forecast of the change of SFT loss, checkpoint by checkpoint, from rewards "
            "alone."
        )
    last = float(np.asarray(value)[-1])
    if not math.isfinite(last):
        return (
            "Somewhere rewards stopped varying within prompts: from there on the reward cannot move the policy, and "
            "the law says nothing. Read it up to the checkpoint before."
        )
    least = int(np.argmin(value))
    where = "at the start" if least == 0 else f"at checkpoint {least}"
    return (
        f"From its rewards alone, RL should have changed SFT loss by {said(last, signed=True)} nats/response by the "
        f"last checkpoint; it was least {where}. A measured change that differs has an off-path part (A10)."
    )


def any_update(inputs: Mapping[str, Any], value: Number) -> str:
    """D1."""
    if _misses_expert(inputs):
        return MISSES
    problem, policy = inputs["problem"], inputs["policy"]
    rate = paths.reward_rate(problem, policy, inputs["velocity"])
    effect = "leaves reward where it is" if abs(rate) <= ROUNDING else f"moves reward at {said(rate, signed=True)}"
    return f"This update {_moves(value)}, and {effect}; {_parity(_gap(inputs))}."


def prices(inputs: Mapping[str, Any], value: Number) -> str:
    """D2."""
    if _misses_expert(inputs):
        return MISSES
    gap, cost = _gap(inputs), paths.sft_cost_per_nat(inputs["problem"], inputs["policy"])
    if math.isnan(value):
        return "The policy is at reward parity and its reward does not vary: RL can move neither objective here."
    if value == 0.0:
        return "The reward does not vary under the policy: RL can move neither objective here."
    if math.isinf(value):
        return (
            "At reward parity reward is free: the next bit of RL gains reward at no SFT loss, and SFT costs no reward."
        )
    if gap < 0.0:
        return (
            f"Here RL and SFT help each other, because {_parity(gap)}: RL gains {said(-value)} reward for each nat by "
            "which it LOWERS SFT loss. Go on with RL up to parity."
        )
    bought = f"RL gains {said(value)} reward for each nat that it costs; SFT loses {said(cost)} for each nat it gains"
    if math.isclose(value, cost, rel_tol=1e-9):
        return f"{bought}. Both prices agree: the policy is on the front (D9), and no mixture improves both."
    return f"{bought}. Between these two prices a mixture of both improves both."


def softmax(inputs: Mapping[str, Any], value: Number) -> str:
    """D3."""
    if _misses_expert(inputs):
        return MISSES
    gap = _gap(inputs)
    said_by_parity = "as reward parity says" if np.sign(value) == np.sign(gap) else "against what reward parity says"
    if paths.softmax_sign_follows_parity(inputs["problem"], inputs["policy"]):
        why = "One of the conditions under which parity decides the sign holds here."
    else:
        why = "No condition here makes parity decide the sign: on a run measure the inner product of the gradients."
    verdict = "" if abs(value) <= ROUNDING or abs(gap) <= ROUNDING else f", {said_by_parity}"
    return f"Plain policy gradient {_moves(value)}{verdict}: {_parity(gap)}. {why}"


def group_step(inputs: Mapping[str, Any], value: Float[np.ndarray, "prompt"]) -> str:
    """D4."""
    problem, policy = inputs["problem"], inputs["policy"]
    rate = prompt_reward(problem, policy)
    weight = problem.prompts * rate * (1.0 - rate)
    if not weight.any():
        return "Every prompt is always or never solved: no group has an advantage, and the step moves nothing."
    mean = float(weight @ value / weight.sum())
    slope = paths.std_natural_loss_rate(problem, policy)
    return (
        f"A step of size {said(inputs['step_size'])} with groups of {said(inputs['group_size'])} takes RL time "
        f"{said(mean)}, matched in reward: the mean over prompts by their p(1 \u2212 p) ({said(float(value.min()))} to "
        f"{said(float(value.max()))}). Natural gradient with advantages divided by their standard deviation weighs "
        f"prompts anew: it {_moves(slope)}, while {_parity(_gap(inputs))}. For the whole curve under GRPO's own step: "
        "`--plot`, or `follow` of interlace.theory.paths."
    )


def step_scale(inputs: Mapping[str, Any], value: Any) -> str:
    """D4, group_step_scale."""
    return (
        f"Groups of {said(inputs['group_size'])} step by {_several(value)}; groups that are all right or all wrong "
        "step by 0, so rare successes are learned more slowly than an infinite group would."
    )


def std_pass_rate(inputs: Mapping[str, Any], value: Any) -> str:
    """D4, std_natural_pass_rate."""
    return f"After time {said(inputs['time'])} the pass rate is {_several(value)}; 1 is reached at a finite time."


def _several(value: Any) -> str:
    numbers = np.ravel(value).tolist()
    if len(numbers) > 1:
        return f"{said(min(numbers))} to {said(max(numbers))}"
    return said(numbers[0])


def fitted_rl_time(inputs: Mapping[str, Any], value: Any) -> str:
    """D5."""
    if math.isnan(value.rl_time):
        return "Rewards do not vary within prompts: nothing tells how far RL has come along its path."
    if value.rl_time < 0.0:
        return (
            f"The log-ratios fall with the reward (RL time {said(value.rl_time)}): the run has moved against this "
            "reward, and the laws of A, which need RL time 0 or more, do not speak of it."
        )
    coefficient = f" (KL coefficient {said(1.0 / value.rl_time)})" if value.rl_time > 0.0 else ""
    reading = f"The run stands where RL time {said(value.rl_time)}{coefficient} leads"
    if value.on_path_share >= 1.0 - ROUNDING:
        return f"{reading}, exactly on the RL path: the laws of A apply as they are."
    return (
        f"{reading}, and {share(value.on_path_share)} of what it has moved within prompts lies on the RL path: the "
        "laws of A speak of that part, the rest is off-path (A10)."
    )


def rl_time_spent(inputs: Mapping[str, Any], value: Any) -> str:
    """D5, rl_time_from_rewards."""
    last = float(np.ravel(value)[-1])
    if not math.isfinite(last):
        return "Somewhere rewards stopped varying within prompts: from there on no RL time can be read from them."
    return f"By its rewards the run has spent RL time {said(last)} by the last checkpoint, if it is on the RL path."


def anchored(inputs: Mapping[str, Any], value: Float[np.ndarray, "prompt response"]) -> str:
    """D6."""
    problem: FiniteProblem = inputs["problem"]
    before, after, there = (sft_loss(problem, each) for each in (problem.reference, value, inputs["anchor"]))
    earned = f"After time {said(inputs['time'])} the policy earns {said(expected_reward(problem, value))}"
    if math.isinf(before) or math.isinf(after) or math.isinf(there):
        return f"{earned}; some policy on the way misses a response of the expert, where SFT loss is infinite."
    drift = there - before
    pull = f"The anchor itself is {said(abs(drift))} nats {'worse' if drift > 0.0 else 'better'} on SFT than the start"
    side = "costs SFT loss even where the reward is constant" if drift > 0.0 else "lowers SFT loss by itself"
    return (
        f"{earned} and its SFT loss has changed by {said(after - before, signed=True)} nats/response. {pull}: "
        f"drifting to it {side}."
    )


def anchored_rate(inputs: Mapping[str, Any], value: Number) -> str:
    """D6, anchored_loss_rate."""
    return f"With the KL term to this anchor the update {_moves(value)}; {_parity(_gap(inputs))}."


def clock(inputs: Mapping[str, Any], value: Number) -> str:
    """D7."""
    beta, time = inputs["kl_coefficient"], inputs["time"]
    if beta == 0.0:
        return f"Without a KL term RL time is the time itself, {said(value)}: it never saturates."
    if math.isinf(time):
        return f"In the end RL stands at RL time {said(value)} = 1/\u03b2, the optimum of its regularised reward."
    return (
        f"After time {said(time)} RL has come to RL time {said(value)}, {share(value * beta)} of the "
        f"{said(1.0 / beta)} at which the KL term stops it. Use that RL time in the laws of A, not step size times "
        "steps."
    )


def clock_in_steps(inputs: Mapping[str, Any], value: Number) -> str:
    """D7, rl_clock_steps."""
    beta = inputs["kl_coefficient"]
    steps = (
        f"After {inputs['num_steps']} steps of size {said(inputs['step_size'])} RL has come to RL time {said(value)}"
    )
    if beta == 0.0:
        return f"{steps}; without a KL term nothing stops it."
    if inputs["step_size"] * beta >= 2.0:
        return f"{steps}, but steps so large never settle: take them below {said(2.0 / beta)}."
    return f"{steps}, of {said(1.0 / beta)} at which the KL term stops it."


def sft_weight(inputs: Mapping[str, Any], value: Number) -> str:
    """D8."""
    problem, policy, rate = inputs["problem"], inputs["policy"], inputs["exchange_rate"]
    gap = _gap(inputs)
    worth = f"If a nat of SFT loss is worth {said(rate)} reward"
    if value == 1.0:
        why = _parity(gap) if gap <= ROUNDING else f"the {said(gap)} reward that it costs is worth less than its nats"
        return f"{worth}, run SFT to its end: {why}."
    if value == 0.0:
        price = said(gap / chi_square(problem, problem.expert, policy))
        return f"{worth}, run no SFT: its first nat already costs {price} reward."
    mixed = (1.0 - value) * policy + value * problem.expert
    reward = f"{said(expected_reward(problem, policy))} to {said(expected_reward(problem, mixed))}"
    loss = f"{said(sft_loss(problem, policy))} to {said(sft_loss(problem, mixed))}"
    return (
        f"{worth}, stop SFT at weight {said(value)} of the expert (SFT time {said(-math.log1p(-value))}): reward goes "
        f"from {reward}, SFT loss from {loss}."
    )


def walked_back(inputs: Mapping[str, Any], value: Any) -> str:
    """D8, least_reward."""
    before = float(tilted_reward(inputs["problem"], inputs["rl_time"]))
    return (
        f"No SFT that moves the policy by {said(inputs['divergence'])} nats of KL can cost more than "
        f"{said(before - value.reward)} of {said(before)} reward; the worst walks RL back to RL time "
        f"{said(value.rl_time)}."
    )


def linearised(inputs: Mapping[str, Any], value: Number) -> str:
    """D15."""
    if math.isnan(value):
        return "The reward's gradient is 0: RL moves nothing, and so costs nothing."
    if abs(value) <= ROUNDING:
        return "The gradients are orthogonal in the optimiser's metric: to first order RL leaves the other loss alone."
    if value > 0.0:
        return f"Each unit of reward gained here costs {said(value)} nats of the other loss: damage, to first order."
    return f"Each unit of reward gained here lowers the other loss by {said(-value)} nats, to first order: both gain."


PATHS: dict[str, Callable[[Mapping[str, Any], Any], str]] = {
    "C7": from_rewards,
    "D1": any_update,
    "D2": prices,
    "D3": softmax,
    "D4": group_step,
    "D5": fitted_rl_time,
    "D6": anchored,
    "D7": clock,
    "D8": sft_weight,
    "D15": linearised,
}

BESIDE_PATHS: dict[str, Callable[[Mapping[str, Any], Any], str]] = {
    "group_step_scale": step_scale,
    "std_natural_pass_rate": std_pass_rate,
    "rl_time_from_rewards": rl_time_spent,
    "anchored_loss_rate": anchored_rate,
    "rl_clock_steps": clock_in_steps,
    "least_reward": walked_back,
}
