"""B1, B5 to B7, D7 and D12: curves of figures, without a finite problem."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from interlace.theory import frontier, landscape, misalignment, paths
from interlace.theory.laws.curves.picture import Panel, Picture, curve, known, single

POINTS = 241


def decay(inputs: Mapping[str, Any], value: Any) -> Picture:
    """B1."""
    gap, mu, asked = inputs["gap"], inputs["pl_constant"], single(inputs, "time")
    end = max(2.3 / mu, 1.3 * asked if asked and math.isfinite(asked) else 0.0)
    time = np.linspace(0.0, end, POINTS)
    left = curve("at most left", time, landscape.reward_gap(gap, mu, time), "reward")
    length = curve("path if PL is tight", time, landscape.path_length(gap, mu, time), "other")
    panels = (Panel("What is left to gain, reward", (left,)), Panel("Path length, parameter units", (length,)))
    return Picture("Under gradient flow", "gradient-flow time", panels, known([("asked", asked)]))


def rl_progress(inputs: Mapping[str, Any], value: Any) -> Picture:
    """B5."""
    return _progress(inputs, value, mirrored=False)


def sft_progress(inputs: Mapping[str, Any], value: Any) -> Picture:
    """B6."""
    return _progress(inputs, value, mirrored=True)


def _progress(inputs: Mapping[str, Any], value: Any, mirrored: bool) -> Picture:
    """What is trained, what it does to the other objective, and both together, over the way to the optimum."""
    known_names = ("gap", "pl_constant", "alignment", "gradient_norm", "curvature")
    shape = {name: inputs[name] for name in known_names}
    rate = 1.0 / inputs["exchange_rate"] if mirrored else inputs["exchange_rate"]
    u = np.linspace(0.0, 1.0, POINTS)
    gained = landscape.tradeoff_on_path(u, exchange_rate=0.0, **shape)
    worth = landscape.tradeoff_on_path(u, exchange_rate=1.0, **shape) - gained  # what the other objective gains
    least, back = landscape.least_loss_progress(**shape), landscape.break_even_progress(**shape)
    best = "reward greatest" if mirrored else "SFT loss least"
    marks = known([("best stop", value.progress), (best, least), ("back at its start", back)])
    if mirrored:
        own = Panel("Change of SFT loss, nats/response", (curve("SFT loss", u, -gained, "sft_loss"),))
        other = Panel("Change of reward", (curve("reward", u, worth, "reward"),), (), known([("start", 0.0)]))
        title, unit = "SFT after RL", "R/\u03bb \u2212 L against its start, nats/response"
    else:
        own = Panel("Change of reward", (curve("reward", u, gained, "reward"),))
        loss = curve("SFT loss", u, -worth, "sft_loss")
        other = Panel("Change of SFT loss, nats/response", (loss,), (), known([("start", 0.0)]))
        title, unit = "RL after SFT", "R \u2212 \u03bbL against its start, reward"
    both = Panel(unit, (curve("both", u, gained + rate * worth, "tradeoff"),))
    return Picture(title, "progress u = 1 \u2212 e^(\u2212\u03bct) along the path", (own, other, both), marks)


def cosine(inputs: Mapping[str, Any], value: Any) -> Picture:
    """B7."""
    sigma, outside_rl = inputs["largest_singular_value"], inputs["outside_rl"]
    outside = np.linspace(0.0, 1.0, POINTS)
    here = curve("as given for RL", outside, misalignment.cosine_bound(sigma, outside, outside_rl), "tradeoff")
    same = curve("the same share for both", outside, misalignment.cosine_bound(sigma, outside, outside), "bound", True)
    ranks = {name: inputs[name] for name in ("dimension", "rank_sft", "rank_rl") if name in inputs}
    chance = misalignment.random_subspace_cosine(**ranks) if len(ranks) == 3 else None
    bound = None if np.ndim(value) else float(value)
    levels = known([("bound asked", bound), ("random subspaces", chance)])
    panel = Panel("Largest cosine of the gradients, in size", (here, same), (), levels)
    x_title = "share of the SFT gradient outside its leading directions"
    asked = known([("asked", single(inputs, "outside_sft"))])
    return Picture("How aligned the gradients can be", x_title, (panel,), asked)


def clock(inputs: Mapping[str, Any], value: Any) -> Picture:
    """D7."""
    beta, asked = inputs["kl_coefficient"], single(inputs, "time")
    reach = 4.0 / beta if beta > 0.0 else 1.0
    time = np.linspace(0.0, max(reach, 1.3 * asked if asked and math.isfinite(asked) else 0.0), POINTS)
    curves = (
        curve("with the KL term", time, paths.rl_clock(time, beta), "reward"),
        curve("without", time, np.where(time <= reach / 3.0, time, np.nan), "bound", dashed=True),
    )
    panel = Panel("RL time \u03c4", curves, (), known([("1/\u03b2", 1.0 / beta if beta > 0.0 else None)]))
    return Picture("The RL clock", "time s = step size \u00d7 steps", (panel,), known([("asked", asked)]))


def window(inputs: Mapping[str, Any], value: Any) -> Picture:
    """D12."""
    c, n1, n2 = (inputs[name] for name in ("cosine", "norm_sft", "norm_rl"))
    lower, upper = map(float, frontier.descent_window(c, n1, n2))
    marks = known([("reward rises from here", lower), ("SFT loss falls up to here", upper)])
    a = np.linspace(0.0, 1.4 * max([mark.at for mark in marks] + [n1 / n2]), POINTS)
    curves = (
        curve("SFT loss falls at", a, n1 * n1 + a * c * n1 * n2, "sft_loss"),
        curve("reward rises at", a, a * n2 * n2 + c * n1 * n2, "reward"),
    )
    panel = Panel("Rates, nats/response and reward per step size", curves, (), known([("nothing", 0.0)]))
    return Picture("One step with both gradients", "weight a of the RL gradient", (panel,), marks)
