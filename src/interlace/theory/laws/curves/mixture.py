"""A8, D8: what SFT does to reward and SFT loss along the mixture line, over the expert's weight."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from interlace.theory.distributional import largest_sft_time
from interlace.theory.finite import FiniteProblem, expected_reward, sft_loss
from interlace.theory.laws.curves.picture import Mark, Panel, Picture, curve, known, single

WEIGHTS = np.linspace(0.0, 1.0, 201)
Policy = Float[np.ndarray, "prompt response"]


def from_start(inputs: Mapping[str, Any], value: Any) -> Picture:
    """A8."""
    problem, start = inputs["problem"], inputs["start"]
    sft_time, drop = single(inputs, "sft_time"), single(inputs, "allowed_drop")
    longest = None if drop is None else largest_sft_time(problem, start, drop)
    marks = known(
        [
            ("asked", None if sft_time is None else -math.expm1(-sft_time)),
            ("largest allowed drop", None if longest is None or math.isinf(longest) else -math.expm1(-longest)),
        ]
    )
    return _line(problem, start, marks)


def after_rl(inputs: Mapping[str, Any], value: Any) -> Picture:
    """D8."""
    return _line(inputs["problem"], inputs["policy"], known([("best stop", value)]), inputs["exchange_rate"])


def _line(problem: FiniteProblem, start: Policy, marks: tuple[Mark, ...], rate: float | None = None) -> Picture:
    policies = [(1.0 - weight) * start + weight * problem.expert for weight in WEIGHTS.tolist()]
    reward = np.array([expected_reward(problem, policy) for policy in policies])
    loss = np.array([sft_loss(problem, policy) for policy in policies])
    expert = known([("the expert\u2019s reward", problem.expert_reward)])
    panels = [
        Panel("SFT loss, nats/response", (curve("SFT loss", WEIGHTS, loss, "sft_loss"),)),
        Panel("Reward", (curve("reward", WEIGHTS, reward, "reward"),), (), expert),
    ]
    if rate is not None:
        worth = curve("R \u2212 \u03bbL", WEIGHTS, reward - rate * loss, "tradeoff")
        panels.append(Panel(f"R \u2212 \u03bbL, reward, \u03bb = {rate:.3g}", (worth,)))
    x_title = "weight w = 1 \u2212 e^(\u2212s) of the expert after SFT time s"
    return Picture("Along the mixture line", x_title, tuple(panels), marks)
