"""A, C7: what RL does to SFT loss and reward along its path, over RL time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from interlace.theory import distributional
from interlace.theory.finite import FiniteProblem, expected_reward, over_prompts, reward_range, sft_loss, top_reward
from interlace.theory.laws.curves.picture import Curve, Mark, Panel, Picture, Spot, curve, known, single

POINTS = 241
FAR = 0.95
"""The share of the reward's headroom after which nothing more is to be seen."""

LOSS_TITLE = "Change of SFT loss, nats/response"
REWARD_TITLE = "Reward"


def times_of(problem: FiniteProblem, marks: Iterable[Mark]) -> Float[np.ndarray, "point"]:
    """RL times from 0 to beyond every mark, or at least to where most of the reward is gained."""
    start, top = expected_reward(problem, problem.reference), float(over_prompts(problem, top_reward(problem)))
    far = distributional.matching_rl_time(problem, start + FAR * (top - start))
    marked = [1.3 * mark.at for mark in marks if mark.at > 0.0]
    if marked:
        far = max(marked) if far > 4.0 * max(marked) or not math.isfinite(far) else max(far, *marked)
    return np.linspace(0.0, far if 0.0 < far < math.inf else 1.0, POINTS)


def marks_of(problem: FiniteProblem, inputs: Mapping[str, Any]) -> tuple[Mark, ...]:
    """Reward parity, the threshold, what was asked, and the best stop where a price is given."""
    if reward_range(problem) == 0.0:
        return ()
    beta, rate = single(inputs, "kl_coefficient"), single(inputs, "exchange_rate")
    return known(
        [
            ("reward parity (A4)", distributional.parity_rl_time(problem) or None),
            ("back at its start (A5)", distributional.non_decoupling_threshold(problem) or None),
            ("best stop (A6)", None if rate is None else distributional.optimal_rl_time(problem, rate)),
            ("1/\u03b2", 1.0 / beta if beta else None),
            ("asked", single(inputs, "rl_time") or None),
        ]
    )


def notes_of(problem: FiniteProblem) -> tuple[str, ...]:
    """What no axis can show."""
    if math.isinf(sft_loss(problem, problem.reference)):
        return ("SFT loss is infinite at the start: the reference gives some expert response no mass (A).",)
    if reward_range(problem) == 0.0:
        return ("The reward is the same for every response that the reference can give: RL moves nothing.",)
    parity = distributional.parity_rl_time(problem)
    if math.isinf(parity):
        limit = distributional.perfect_expert_limit(problem)
        return (f"Perfect expert: SFT loss falls for ever, in all by {limit:.3g} nats/response.",)
    return () if parity else ("RL starts at or above the expert\u2019s reward: SFT loss rises from the first step.",)


def path(
    problem: FiniteProblem,
    inputs: Mapping[str, Any],
    losses: Callable[[Float[np.ndarray, "point"]], tuple[Curve, ...]] = lambda _: (),
    more: Callable[[Float[np.ndarray, "point"]], tuple[Panel, ...]] = lambda _: (),
    spots: tuple[Spot, ...] = (),
) -> Picture:
    """Both objectives over RL time; `losses` are further curves of SFT loss, `more` further panels."""
    marks = marks_of(problem, inputs)
    times = times_of(problem, [*marks, *(Mark(spot.name, spot.x) for spot in spots)])
    change = curve("SFT loss", times, distributional.sft_loss_increase(problem, times), "sft_loss")
    reward = curve("reward", times, distributional.tilted_reward(problem, times), "reward")
    expert = known([("the expert\u2019s reward", problem.expert_reward)])
    panels = (
        Panel(LOSS_TITLE, (change, *losses(times)), spots, known([("as at the start", 0.0)])),
        Panel(REWARD_TITLE, (reward,), (), expert),
        *more(times),
    )
    return Picture("Along the RL path", "RL time \u03c4", panels, marks, notes_of(problem))


def plain(inputs: Mapping[str, Any], value: Any) -> Picture:
    """A1, A4, A5."""
    return path(inputs["problem"], inputs)


def from_the_expert(inputs: Mapping[str, Any], value: Any) -> Picture:
    """A2: the reference is the expert."""
    problem = replace(inputs["problem"], reference=inputs["problem"].expert)
    return replace(path(problem, inputs), title="Along the RL path from perfect SFT")


def with_lower_bound(inputs: Mapping[str, Any], value: Any) -> Picture:
    """A3."""
    problem = inputs["problem"]

    def bound(times: Float[np.ndarray, "point"]) -> tuple[Curve, ...]:
        line = distributional.sft_loss_increase_lower_bound(problem, times)
        return (curve("lower bound (A3)", times, line, "bound", dashed=True),)

    return path(problem, inputs, bound)


def with_tradeoff(inputs: Mapping[str, Any], value: Any) -> Picture:
    """A6."""
    problem, rate = inputs["problem"], inputs["exchange_rate"]

    def tradeoff(times: Float[np.ndarray, "point"]) -> tuple[Panel, ...]:
        gained = distributional.tilted_reward(problem, times) - expected_reward(problem, problem.reference)
        gain = gained - rate * distributional.sft_loss_increase(problem, times)
        drawn = curve("R \u2212 \u03bbL", times, gain, "tradeoff")
        return (Panel(f"R \u2212 \u03bbL against its start, reward, \u03bb = {rate:.3g}", (drawn,)),)

    return path(problem, inputs, more=tradeoff)


def with_regularised(inputs: Mapping[str, Any], value: Any) -> Picture:
    """A7."""
    problem, beta = inputs["problem"], inputs["kl_coefficient"]
    best = distributional.optimal_regularised_reward(problem, beta)

    def regularised(times: Float[np.ndarray, "point"]) -> tuple[Panel, ...]:
        lost = [
            distributional.regularised_reward_loss(problem, distributional.tilted_policy(problem, time), beta)
            for time in times.tolist()
        ]
        drawn = curve("R \u2212 \u03b2 KL", times, best - np.array(lost), "tradeoff")
        asked = known([("the policy asked about", best - value)])
        return (Panel(f"R \u2212 \u03b2 KL(\u03c0, \u03c0_ref), reward, \u03b2 = {beta:.3g}", (drawn,), (), asked),)

    return path(problem, inputs, more=regularised)


def with_policy(inputs: Mapping[str, Any], value: Any) -> Picture:
    """A10: where the policy is, off the path."""
    problem = inputs["problem"]
    spots: tuple[Spot, ...] = ()
    if math.isfinite(value.rl_time) and math.isfinite(value.off_path):
        spots = (Spot("the policy", max(0.0, value.rl_time), value.tilt + value.off_path, "tradeoff"),)
    return path(problem, {**inputs, "rl_time": None}, spots=spots)


def with_parts(inputs: Mapping[str, Any], value: Any) -> Picture:
    """A11: damage and unlearning along the RL path."""
    problem = inputs["problem"]

    def parts(times: Float[np.ndarray, "point"]) -> tuple[Curve, ...]:
        policies = (distributional.tilted_policy(problem, time) for time in times.tolist())
        both = np.array([distributional.split_right_wrong(problem, policy) for policy in policies])
        right = curve("on the expert\u2019s right responses", times, both[:, 0], "other", dashed=True)
        wrong = curve("on its wrong ones", times, both[:, 1], "bound", dashed=True)
        return right, wrong

    return path(problem, inputs, parts)


def between(inputs: Mapping[str, Any], value: Any) -> Picture:
    """A9: reward against its bounds, on the line from p to q."""
    problem, p, q = inputs["problem"], inputs["p"], inputs["q"]
    shares = np.linspace(0.0, 1.0, POINTS)
    policies = [(1.0 - share) * p + share * q for share in shares.tolist()]
    change = np.array([abs(expected_reward(problem, each) - expected_reward(problem, p)) for each in policies])
    bounds = np.array([distributional.reward_change_bounds(problem, p, each) for each in policies])
    curves = (
        curve("change of reward", shares, change, "reward"),
        curve("bound by total variation", shares, bounds[:, 0], "bound", dashed=True),
        curve("bound by KL", shares, bounds[:, 1], "other", dashed=True),
    )
    return Picture("From p towards q", "share of q", (Panel("Change of reward, in size", curves),))


def from_rewards(inputs: Mapping[str, Any], value: Float[np.ndarray, "*resample checkpoint"]) -> Picture:
    """C7: over RL time where the problem is known, else over checkpoints."""
    rewards, forecast = np.atleast_2d(inputs["reward"])[0], np.atleast_2d(value)[0]
    expert = known([("the expert\u2019s reward", single(inputs, "expert_reward"))])
    if "problem" in inputs and single(inputs, "rl_time"):
        where, title = np.linspace(0.0, inputs["rl_time"], rewards.size), "RL time \u03c4"
        change = distributional.sft_loss_increase(inputs["problem"], where)
        exact = [curve("exact (A1)", where, change, "bound", dashed=True)]
    else:
        where, title, exact = np.arange(rewards.size, dtype=np.float64), "checkpoint", []
    loss = Panel(LOSS_TITLE, (curve("forecast", where, forecast, "sft_loss"), *exact), (), known([("start", 0.0)]))
    reward = Panel(REWARD_TITLE, (curve("reward", where, rewards, "reward"),), (), expert)
    return Picture("Forecast of SFT loss from rewards alone", title, (loss, reward))
