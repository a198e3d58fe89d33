"""D3, D4, D6, D9 to D11, D13: ways and bounds in the plane of reward and SFT loss."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from interlace.theory import frontier, paths
from interlace.theory.distributional import tilted_policy
from interlace.theory.finite import FiniteProblem, expected_reward, over_prompts, reward_range, sft_loss, top_reward
from interlace.theory.laws.curves.picture import Curve, Panel, Picture, Role, Spot, curve, known

Policy = Float[np.ndarray, "prompt response"]

TIMES = np.concatenate([[0.0], np.geomspace(1e-2, 3e3, 150)])
"""Of path models, in units of one over the range of reward."""

LOWEST_RATE, HIGHEST_RATE = 3e-2, 3e2
"""Exchange rates on the front, in units of the range of reward."""

SAME_PLACE = 0.02
"""Points nearer than this, as a share of the picture, are drawn as one."""

FAR = 0.97
"""The share of the reward's headroom up to which paths are drawn: beyond it SFT loss dwarfs everything."""

NAMES = {
    "natural": "natural gradient (A)",
    "softmax": "plain policy gradient (D3)",
    "group_normalised": "GRPO, std-normalised (D4)",
    "kl_regularised": "KL term to the anchor (D6)",
}
ROLES: dict[str, Role] = {
    "natural": "reward",
    "softmax": "other",
    "group_normalised": "tradeoff",
    "kl_regularised": "bound",
}


def spot(problem: FiniteProblem, name: str, policy: Policy, role: Role) -> Spot:
    """A policy's place."""
    return Spot(name, expected_reward(problem, policy), sft_loss(problem, policy), role)


def path_models(inputs: Mapping[str, Any], value: Any) -> Picture:
    """D3, D4, D6: the ways of moving, side by side."""
    problem = inputs["problem"]
    curves = [_followed(problem, "natural"), _followed(problem, "softmax")]
    if _is_binary(problem):
        curves.append(_followed(problem, "group_normalised", group_size=inputs.get("group_size", 8)))
    if "anchor" in inputs:
        options = {name: inputs[name] for name in ("anchor", "kl_coefficient")}
        curves.append(_followed(problem, "kl_regularised", **options))
    return _plane("Ways of moving, side by side", problem, curves, _policy_spot(inputs))


def _is_binary(problem: FiniteProblem) -> bool:
    used = problem.support & (problem.prompts > 0.0)[:, None]
    return bool(np.isin(problem.reward[used], (0.0, 1.0)).all())


def _followed(problem: FiniteProblem, model: str, **options: Any) -> Curve:
    way = paths.follow(problem, model, TIMES / _width(problem), **options)
    start, top = expected_reward(problem, problem.reference), float(over_prompts(problem, top_reward(problem)))
    near = way.reward <= start + FAR * (top - start)
    return curve(NAMES[model], way.reward[near], way.sft_loss[near], ROLES[model], dashed=model == "kl_regularised")


def joint(inputs: Mapping[str, Any], value: Any) -> Picture:
    """D9."""
    problem = inputs["problem"]
    rate = inputs["exchange_rate"]
    best = spot(problem, "joint optimum", frontier.joint_optimum(problem, rate), "sft_loss")
    return _front("The front of reward against SFT loss", problem, [], [best, *_policy_spot(inputs)], rate)


def _policy_spot(inputs: Mapping[str, Any]) -> list[Spot]:
    """The policy asked about, if it is another than the reference."""
    policy, reference = inputs.get("policy"), inputs["problem"].reference
    if policy is None or (policy == reference).all():
        return []
    return [spot(inputs["problem"], "the policy", policy, "tradeoff")]


def pipelines(inputs: Mapping[str, Any], value: Any) -> Picture:
    """D10: where both orders end at their best durations."""
    problem, rate = inputs["problem"], inputs["exchange_rate"]
    sft_rl, rl_sft = (frontier.best_pipeline(problem, rate, order) for order in ("sft_rl", "rl_sft"))
    from_expert = FiniteProblem(problem.prompts, problem.expert, problem.expert, problem.reward)
    after_rl = tilted_policy(problem, rl_sft.rl_time)
    mixed = (1.0 - rl_sft.sft_weight) * after_rl + rl_sft.sft_weight * problem.expert
    spots = [
        spot(problem, "joint optimum", frontier.joint_optimum(problem, rate), "sft_loss"),
        spot(problem, "SFT, then RL", tilted_policy(from_expert, sft_rl.rl_time), "tradeoff"),
        spot(problem, "RL, then SFT", mixed, "other"),
    ]
    return _front("What each order of stages reaches", problem, [], spots, rate)


def cycle(inputs: Mapping[str, Any], value: Any) -> Picture:
    """D11."""
    problem = inputs["problem"]
    ends = [
        spot(problem, "after SFT", value.after_sft, "sft_loss"),
        spot(problem, "after RL", value.after_rl, "tradeoff"),
    ]
    return _front("Where cycles of RL and SFT settle", problem, [], ends)


def floor(inputs: Mapping[str, Any], value: Any) -> Picture:
    """D13."""
    problem, reward = inputs["problem"], inputs["reward"]
    expert, top = problem.expert_reward, _best(problem)
    rewards = np.linspace(min(expert, expected_reward(problem, problem.reference)), max(top, expert), 121)
    bound = np.array([frontier.sft_loss_floor(problem, each) for each in rewards.tolist()])
    line = curve("lower bound (D13)", rewards, bound, "bound", dashed=True)
    return replace(_front("What reward certainly costs", problem, [line], []), marks=known([("asked", reward)]))


def _best(problem: FiniteProblem) -> float:
    best = np.where(frontier.allowed(problem), problem.reward, -np.inf).max(axis=-1)
    return float(over_prompts(problem, best))


def _front(
    title: str, problem: FiniteProblem, curves: Iterable[Curve], spots: Iterable[Spot], rate: float = math.inf
) -> Picture:
    """The front down to `rate` at least, the RL path from the reference, and where everything stands."""
    width = _width(problem)
    lowest = min(LOWEST_RATE, 0.5 * rate / width)
    points = frontier.front(problem, width * np.geomspace(lowest, HIGHEST_RATE, 120))
    edge = curve("front: nothing is below it (D9)", points.reward, points.sft_loss, "sft_loss")
    return _plane(title, problem, [edge, _followed(problem, "natural"), *curves], spots)


def _plane(title: str, problem: FiniteProblem, curves: Iterable[Curve], spots: Iterable[Spot]) -> Picture:
    places = [
        spot(problem, "reference", problem.reference, "reward"),
        spot(problem, "expert", problem.expert, "expert"),
        *spots,
    ]
    lost = tuple(f"{place.name}: its SFT loss is infinite" for place in places if not math.isfinite(place.y))
    shown = _merged([place for place in places if math.isfinite(place.y)])
    panel = Panel("SFT loss, nats/response", tuple(curves), shown)
    return Picture(title, "reward", (panel,), (), lost, is_plane=True)


def _merged(spots: list[Spot]) -> tuple[Spot, ...]:
    """Policies that cannot be told apart in the picture share a point, their names one a line."""
    wide, high = (float(np.ptp([getattr(spot, axis) for spot in spots])) or 1.0 for axis in ("x", "y"))
    merged: list[Spot] = []
    for each in spots:
        near = [i for i, other in enumerate(merged)
                if math.hypot((each.x - other.x) / wide, (each.y - other.y) / high) < SAME_PLACE]  # fmt: skip
        if near:
            merged[near[0]] = replace(merged[near[0]], name=f"{merged[near[0]].name}\n{each.name}")
        else:
            merged.append(each)
    return tuple(merged)


def _width(problem: FiniteProblem) -> float:
    return reward_range(problem, problem.reference, problem.expert) or 1.0
