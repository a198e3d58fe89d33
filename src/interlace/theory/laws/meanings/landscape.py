"""What the figures of B mean for a run, in a sentence or two."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from interlace.theory import landscape, misalignment
from interlace.theory.laws.meanings.words import said, share
from interlace.wording import Number


def gap_left(inputs: Mapping[str, Any], value: Number) -> str:
    """B1."""
    gap, time = inputs["gap"], inputs["time"]
    if gap == 0.0:
        return "Nothing is left to gain: the reward is already the best one."
    half = math.log(2.0) / (2.0 * inputs["pl_constant"])
    return (
        f"After gradient-flow time {said(time)} at most {said(value)} of the {said(gap)} reward that was missing is "
        f"still missing ({share(value / gap)}); it halves at least once every {said(half)}. Trust this only where "
        "the PL constant was measured: for softmax policies it goes to 0 at the best reward."
    )


def steps_left(inputs: Mapping[str, Any], value: Number) -> str:
    """B1, reward_gap_after_steps."""
    left = f"at most {said(value)} of the {said(inputs['gap'])} reward that was missing is still missing"
    return f"After {said(inputs['num_steps'])} gradient steps {left}."


def loss_change(inputs: Mapping[str, Any], value: Any) -> str:
    """B2."""
    between = f"between {said(value.lower, signed=True)} and {said(value.upper, signed=True)} nats/response"
    if value.upper < 0.0:
        return f"This update is certain to lower SFT loss: the change is {between}."
    if value.lower > 0.0:
        return f"This update is certain to raise SFT loss: the change is {between}."
    return (
        f"The change of SFT loss is {between}, so its sign is not certain. A shorter update in the same direction "
        "settles it: the first-order part falls with its length, the rest with the square."
    )


def descent_threshold(inputs: Mapping[str, Any], value: Number) -> str:
    """B3."""
    if math.isinf(value):
        return (
            f"The update does not point down the SFT loss (c = {said(inputs['alignment'])}): no distance from the "
            "optimum makes it certain to lower it."
        )
    return (
        f"This update is certain to lower SFT loss while that is more than {said(value)} nats above its optimum. "
        f"Nearer to it, shorten the step: at half the length {said(value / 4.0)} is enough.{_verdict(inputs)}"
    )


def _verdict(inputs: Mapping[str, Any]) -> str:
    if "gradient_norm" not in inputs:
        return " Give gradient_norm=VALUE for a verdict without the PL constant."
    names = ("alignment", "gradient_norm", "smoothness", "update_norm")
    known = {name: inputs[name] for name in names}
    if landscape.update_lowers_loss(**known):
        return " By the gradient's norm itself it is certain to."
    if landscape.update_raises_loss(**known, curvature=inputs.get("curvature")):
        return " By the gradient's norm itself it is certain to RAISE it."
    return " By the gradient's norm itself neither sign is certain."


def lowers_loss(inputs: Mapping[str, Any], value: bool) -> str:
    """B3, update_lowers_loss."""
    return "This update is certain to lower SFT loss." if value else "That this update lowers SFT loss is not certain."


def raises_loss(inputs: Mapping[str, Any], value: bool) -> str:
    """B3, update_raises_loss."""
    return "This update is certain to raise SFT loss." if value else "That this update raises SFT loss is not certain."


def growth(inputs: Mapping[str, Any], value: Any) -> str:
    """B4."""
    if value.lower > value.upper:
        return (
            f"The bounds cross ({said(value.lower)} above {said(value.upper)}): these constants were not measured on "
            "one region. Measure both where the policy stands."
        )
    return (
        f"At distance {said(inputs['distance'])} from the nearest minimum SFT loss is between {said(value.lower)} and "
        f"{said(value.upper)} nats above its least. Only the distance to the SET of minima counts: moving along it "
        "costs nothing."
    )


def rl_duration(inputs: Mapping[str, Any], value: Any) -> str:
    """B5."""
    if inputs["gap"] == 0.0:
        return "There is no reward left to gain: run no RL."
    worth = f"If a nat of SFT loss is worth {said(inputs['exchange_rate'])} reward"
    gain = f"R \u2212 \u03bbL has then risen by {said(value.value, signed=True)}"
    if value.progress == 0.0:
        return f"{worth}, run no RL: from the first step it costs more SFT loss than its reward is worth."
    if math.isinf(value.time):
        return f"{worth}, run RL to the end of the path: it pays all the way. {gain}."
    return (
        f"{worth}, stop RL at gradient-flow time {said(value.time)}, {share(value.progress)} of the way to the best "
        f"reward's parameters. {gain}. {_least_loss(inputs)}"
    )


def _least_loss(inputs: Mapping[str, Any]) -> str:
    names = ("gap", "pl_constant", "alignment", "gradient_norm", "curvature")
    known = {name: inputs[name] for name in names}
    least, back = landscape.least_loss_progress(**known), landscape.break_even_progress(**known)
    if least == 0.0:
        return "SFT loss is least before RL starts."
    if math.isinf(back):
        return f"SFT loss is least {share(least)} of the way, and below its start throughout."
    return f"SFT loss is least {share(least)} of the way and back at its start {share(back)} of the way."


def rl_duration_at_optimum(inputs: Mapping[str, Any], value: Any) -> str:
    """B5, optimal_duration_at_optimum."""
    gain = f"R \u2212 \u03bbL rises by {said(value.value)}"
    return f"From an SFT optimum, stop RL at gradient-flow time {said(value.time)}, whatever is left to gain: {gain}."


def sft_duration(inputs: Mapping[str, Any], value: Any) -> str:
    """B6."""
    if inputs["gap"] == 0.0:
        return "SFT loss is already at its least: run no SFT."
    worth = f"If a nat of SFT loss is worth {said(inputs['exchange_rate'])} reward"
    gain = f"L \u2212 R/\u03bb has then fallen by {said(value.value)} nats"
    if value.progress == 0.0:
        return f"{worth}, run no SFT: from the first step it costs more reward than the loss is worth."
    if math.isinf(value.time):
        return f"{worth}, run SFT to the end of the path: it pays all the way. {gain}."
    return (
        f"{worth}, stop SFT at gradient-flow time {said(value.time)}, {share(value.progress)} of the way to its "
        f"optimum. {gain}."
    )


def misaligned(inputs: Mapping[str, Any], value: Number) -> str:
    """B7."""
    if value >= 1.0:
        return (
            "The bound is 1 and says nothing: too much of the gradients lies outside their leading directions, or "
            f"those overlap. Take more directions, or measure the cosine itself.{_by_chance(inputs)}"
        )
    return (
        f"The SFT and the RL gradient are at least {said(math.degrees(math.acos(value)))}\u00b0 apart: their cosine "
        f"is at most {said(value)} in size. Read it beside the measured cosine.{_by_chance(inputs)}"
    )


def _by_chance(inputs: Mapping[str, Any]) -> str:
    if not {"dimension", "rank_sft", "rank_rl"} <= inputs.keys():
        return " Give dimension, rank_sft and rank_rl for what random subspaces would have."
    known = {name: inputs[name] for name in ("dimension", "rank_sft", "rank_rl", "probability") if name in inputs}
    chance = misalignment.random_subspace_cosine(**known)
    return f" Random subspaces of these ranks have a largest cosine of {said(chance)}."


def random_cosine(inputs: Mapping[str, Any], value: Number) -> str:
    """B7, random_subspace_cosine."""
    return (
        f"Random subspaces of ranks {inputs['rank_sft']} and {inputs['rank_rl']} in {inputs['dimension']:,} dimensions "
        f"have a largest cosine of {said(value)}: a measured one says something only as far as it differs from that."
    )


def drift_and_diffusion(inputs: Mapping[str, Any], value: Any) -> str:
    """B8."""
    change = f"{said(value.drift, signed=True)} by drift (the mean update)"
    return (
        f"On average the update changes SFT loss by {said(value.drift + value.diffusion, signed=True)} nats/response: "
        f"{change} and {said(value.diffusion, signed=True)} by diffusion (its noise). Larger batches or averaged "
        "weights take away the second part only."
    )


def pair(inputs: Mapping[str, Any], value: Number) -> str:
    """B8, diffusion_from_pair."""
    return (
        f"This pair puts the diffusion at {said(value, signed=True)} nats/response; one pair is one draw, so average "
        "over many."
    )


def left_of_diffusion(inputs: Mapping[str, Any], value: Number) -> str:
    """B8, averaged_diffusion."""
    return f"Averaging the weights of {said(inputs['num_runs'])} runs leaves {said(value)} nats of the diffusion."


def referee(inputs: Mapping[str, Any], value: Any) -> str:
    """B8, drift_loss."""
    return (
        f"Without noise SFT loss would be {said(value.loss)} nats/response; one run's noise adds "
        f"{said(value.diffusion, signed=True)}."
    )


def shown_by_fork(inputs: Mapping[str, Any], value: Number) -> str:
    """B8, noise_share."""
    return (
        f"A fork of {inputs.get('num_steps', 1)} steps shows {share(value)} of the diffusion that those steps cause in "
        "the end: compare forks of two lengths."
    )


LANDSCAPE: dict[str, Callable[[Mapping[str, Any], Any], str]] = {
    "B1": gap_left,
    "B2": loss_change,
    "B3": descent_threshold,
    "B4": growth,
    "B5": rl_duration,
    "B6": sft_duration,
    "B7": misaligned,
    "B8": drift_and_diffusion,
}

BESIDE_LANDSCAPE: dict[str, Callable[[Mapping[str, Any], Any], str]] = {
    "reward_gap_after_steps": steps_left,
    "update_lowers_loss": lowers_loss,
    "update_raises_loss": raises_loss,
    "optimal_duration_at_optimum": rl_duration_at_optimum,
    "random_subspace_cosine": random_cosine,
    "diffusion_from_pair": pair,
    "averaged_diffusion": left_of_diffusion,
    "drift_loss": referee,
    "noise_share": shown_by_fork,
}
