"""What the figures of A mean for a run, in a sentence or two."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from interlace.theory import distributional
from interlace.theory.finite import FiniteProblem, expected_reward, reward_range
from interlace.theory.laws.meanings.words import nats, rl_time_text, said, size_in_nats
from interlace.wording import Number

FLAT = "The reward is the same for every response that the reference can give: RL moves nothing, at any RL time."
LOST = "The policy cannot give some response of the expert: its SFT loss is infinite, and no split of that says more."
OFF_PATH = "off-path effects (D1, D3) may still raise it"
ROUNDING = 1e-12
"""Figures smaller than this are said to be 0 where they could be rounding."""


def _is_flat(problem: FiniteProblem) -> bool:
    return reward_range(problem) == 0.0


def _start(problem: FiniteProblem) -> float:
    return expected_reward(problem, problem.reference)


def _earned(problem: FiniteProblem) -> str:
    return f"the reference earns {said(_start(problem))}, the expert {said(problem.expert_reward)}"


def _falls_for_ever(problem: FiniteProblem) -> str:
    limit = distributional.perfect_expert_limit(problem)
    return f"The expert earns all that can be earned, so SFT loss falls for ever, in all by {nats(limit)}"


def _outlook(problem: FiniteProblem) -> str:
    """Where SFT loss is least and where it is back, on the RL path."""
    parity, threshold = distributional.parity_rl_time(problem), distributional.non_decoupling_threshold(problem)
    if parity == 0.0:
        return f"SFT loss rises from the first step (A4), because {_earned(problem)}."
    if math.isinf(parity):
        return f"{_falls_for_ever(problem)} (A5); {OFF_PATH}."
    return (
        f"SFT loss is least at RL time {said(parity)} (reward parity, A4) and back at its start at {said(threshold)} "
        "(A5)."
    )


def change(inputs: Mapping[str, Any], value: Number) -> str:
    """A1."""
    problem, rl_time = inputs["problem"], inputs["rl_time"]
    if _is_flat(problem):
        return FLAT
    if rl_time == 0.0:
        return f"At RL time 0 nothing has moved. {_outlook(problem)}"
    if math.isinf(value):
        return (
            "RL without end leaves only the best responses, and SFT loss grows without bound, because the expert also "
            f"gives others. {_outlook(problem)}"
        )
    side = "above" if value > 0.0 else "below"
    where = f"{size_in_nats(value)} {side} where it began" if value != 0.0 else "exactly where it began"
    return f"RL up to {rl_time_text(rl_time)} leaves SFT loss {where}. {_outlook(problem)}"


def optimal_sft(inputs: Mapping[str, Any], value: Number) -> str:
    """A2."""
    rl_time = inputs["rl_time"]
    if rl_time == 0.0:
        return "At RL time 0 nothing has moved; from perfect SFT every RL that moves anything raises SFT loss."
    if value <= ROUNDING:
        return (
            "The reward does not tell the expert's own responses apart, so RL from perfect SFT leaves the SFT loss "
            "where it is."
        )
    return (
        f"From perfect SFT, RL up to {rl_time_text(rl_time)} raises SFT loss by {nats(value)}. It cannot do otherwise: "
        "SFT loss was at its least. At first the rise goes with the square of the RL time."
    )


def lower_bound(inputs: Mapping[str, Any], value: Number) -> str:
    """A3."""
    problem, rl_time = inputs["problem"], inputs["rl_time"]
    if _is_flat(problem):
        return FLAT
    if rl_time == 0.0:
        return f"At RL time 0 nothing has moved; {_earned(problem)}."
    if value > 0.0:
        return (
            f"RL up to {rl_time_text(rl_time)} raises SFT loss by more than {nats(value)}, because {_earned(problem)}: "
            "no shorter RL lowers it either."
        )
    if value == 0.0:
        return f"RL starts at reward parity ({_earned(problem)}), so every RL raises SFT loss, slowly at first."
    return (
        f"The bound allows a fall of up to {size_in_nats(value)} and settles nothing, because {_earned(problem)}. A1 "
        "gives the exact change."
    )


def slope(inputs: Mapping[str, Any], value: Number) -> str:
    """A4."""
    problem, rl_time = inputs["problem"], inputs["rl_time"]
    if _is_flat(problem):
        return FLAT
    earned = f"At RL time {said(rl_time)} the policy earns {said(distributional.tilted_reward(problem, rl_time))}"
    expert = f"the expert ({said(problem.expert_reward)})"
    if abs(value) <= ROUNDING:
        return f"{earned}, as much as {expert}: SFT loss is at its least here, and more RL raises it."
    if value > 0.0:
        parity = distributional.parity_rl_time(problem)
        since = f"since RL time {said(parity)}" if parity > 0.0 else "from the first step"
        return (
            f"{earned}, more than {expert}: RL raises SFT loss, now by {nats(value)} per RL time, and has done so "
            f"{since}. Stop, or mix SFT in, if SFT loss matters."
        )
    return f"{earned}, less than {expert}: RL still lowers SFT loss. {_until(problem)}"


def _until(problem: FiniteProblem) -> str:
    parity = distributional.parity_rl_time(problem)
    if math.isinf(parity):
        return f"{_falls_for_ever(problem)}; {OFF_PATH}."
    return f"It does so until {rl_time_text(parity)}, where both earn the same."


def threshold(inputs: Mapping[str, Any], value: Number) -> str:
    """A5."""
    problem = inputs["problem"]
    if _is_flat(problem):
        return FLAT
    if value == 0.0:
        return (
            f"RL raises SFT loss from the first step on, because {_earned(problem)}: there is no RL time that leaves "
            "it lower."
        )
    if math.isinf(value):
        limit = distributional.perfect_expert_limit(problem)
        return (
            f"The expert earns all that can be earned: on this path RL lowers SFT loss for ever, in all by "
            f"{nats(limit)}; {OFF_PATH}."
        )
    parity = distributional.parity_rl_time(problem)
    return (
        f"RL may run up to {rl_time_text(value)} before SFT loss is above where it began; it is least at "
        f"{said(parity)} (reward parity, A4). Beyond {said(parity)} every further reward costs SFT loss."
    )


def optimal_time(inputs: Mapping[str, Any], value: Number) -> str:
    """A6."""
    problem, rate = inputs["problem"], inputs["exchange_rate"]
    if _is_flat(problem):
        return FLAT
    if rate == 0.0:
        return "SFT loss is worth nothing at exchange rate 0: run RL for as long as reward rises."
    worth = f"If a nat of SFT loss is worth {said(rate)} reward"
    if math.isinf(value):
        return f"{worth}, run RL for ever. {_falls_for_ever(problem)}; {OFF_PATH}."
    if value == 0.0:
        return f"{worth}, run no RL: what reward there is to gain costs more than that in SFT loss."
    loss = distributional.sft_loss_increase(problem, value)
    reward = distributional.tilted_reward(problem, value)
    return (
        f"{worth}, run RL up to {rl_time_text(value)}: reward goes from {said(_start(problem))} to {said(reward)}, SFT "
        f"loss changes by {said(loss, signed=True)} nats/response. {_stop_rule(problem, rate)}"
    )


def _stop_rule(problem: FiniteProblem, rate: float) -> str:
    rule = (
        "stop where the variance of reward within groups has fallen to \u03bb \u00d7 (mean reward \u2212 the expert's)"
    )
    if distributional.tradeoff_is_unimodal(problem, rate):
        return f"On a run, {rule}."
    return f"On a run, {rule}; but that happens more than once here, and the first time may be a local optimum."


def regularised(inputs: Mapping[str, Any], value: Number) -> str:
    """A7."""
    beta = inputs["kl_coefficient"]
    if value <= ROUNDING:
        return f"The policy is where RL with KL coefficient {said(beta)} ends: nothing of its objective is lost."
    if math.isinf(value):
        return (
            "The policy gives responses that the reference cannot: its KL divergence is infinite, and so is the loss."
        )
    problem, policy = inputs["problem"], inputs["policy"]
    best = distributional.tilted_reward(problem, 1.0 / beta)
    return (
        f"The policy falls short of what RL with KL coefficient {said(beta)} reaches of its own objective by "
        f"{said(value)} reward; of the reward alone it earns {said(expected_reward(problem, policy))} against "
        f"{said(best)}. Whatever training ends at this policy has given up that much of what RL was for."
    )


def sft_path(inputs: Mapping[str, Any], value: Number) -> str:
    """A8."""
    problem, start, sft_time = inputs["problem"], inputs["start"], inputs["sft_time"]
    before, expert = expected_reward(problem, start), problem.expert_reward
    moved = f"SFT for SFT time {said(sft_time)} (weight {said(-math.expm1(-sft_time))} of the expert)"
    if abs(before - expert) <= ROUNDING:
        return f"Start and expert earn the same {said(expert)}: SFT leaves the reward where it is."
    if before < expert:
        return f"{moved} raises reward from {said(before)} to {said(value)}, on its way to the expert's {said(expert)}."
    return (
        f"{moved} costs {said(before - value)} of {said(before)} reward, {said(before - expert)} if it goes on to the "
        f"expert's {said(expert)}.{_allowed(inputs)}"
    )


def _allowed(inputs: Mapping[str, Any]) -> str:
    if "allowed_drop" not in inputs:
        return " Give allowed_drop=VALUE for how long it may run."
    longest = distributional.largest_sft_time(inputs["problem"], inputs["start"], inputs["allowed_drop"])
    drop = said(inputs["allowed_drop"])
    if math.isinf(longest):
        return f" A loss of {drop} allows SFT of any length."
    return f" To lose at most {drop}, stop at SFT time {said(longest)}."


def bounded_change(inputs: Mapping[str, Any], value: Any) -> str:
    """A9."""
    problem, p, q = inputs["problem"], inputs["p"], inputs["q"]
    difference = abs(expected_reward(problem, p) - expected_reward(problem, q))
    return (
        f"Between these policies reward differs by {said(difference)}; being so close in total variation it could not "
        f"exceed {said(value.total_variation)}, by KL divergence alone {said(value.kl)}. A measured change beyond its "
        "bound is an estimator's fault."
    )


def split_by_tilt(inputs: Mapping[str, Any], value: Any) -> str:
    """A10."""
    total = value.tilt + value.off_path
    if not math.isfinite(total):
        return LOST
    if abs(value.off_path) <= ROUNDING:
        return (
            f"The policy is on the RL path, at RL time {said(value.rl_time)}: its change of SFT loss, "
            f"{said(total, signed=True)} nats/response, is what that much reward costs there."
        )
    return (
        f"Of the change of SFT loss, {said(total, signed=True)} nats/response, {said(value.tilt, signed=True)} comes "
        f"with the tilt that earns as much (RL time {said(value.rl_time)}) and {said(value.off_path, signed=True)} "
        "with having left the RL path: only the second part depends on how the policy was trained."
    )


def split_by_reward(inputs: Mapping[str, Any], value: Any) -> str:
    """A11."""
    total = value.right + value.wrong
    if math.isinf(total):
        return LOST
    if not np.any((inputs["problem"].expert > 0.0) & (inputs["problem"].reward == 0.0)):
        return (
            f"The expert is always right: the change of SFT loss, {said(total, signed=True)} nats/response, is all "
            "on right responses (above 0: damage)."
        )
    return (
        f"Of the change of SFT loss, {said(total, signed=True)} nats/response, {said(value.right, signed=True)} is on "
        f"the expert's right responses (above 0: damage) and {said(value.wrong, signed=True)} on its wrong ones (above "
        "0: unlearning that the reward asks for)."
    )


DISTRIBUTIONAL: dict[str, Callable[[Mapping[str, Any], Any], str]] = {
    "A1": change,
    "A2": optimal_sft,
    "A3": lower_bound,
    "A4": slope,
    "A5": threshold,
    "A6": optimal_time,
    "A7": regularised,
    "A8": sft_path,
    "A9": bounded_change,
    "A10": split_by_tilt,
    "A11": split_by_reward,
}
