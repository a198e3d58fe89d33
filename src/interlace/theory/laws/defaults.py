"""What stands in for an input that was not given, and the words that say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from interlace.errors import DataError
from interlace.theory.distributional import tilted_policy, tilted_reward, tilted_reward_variance
from interlace.theory.finite import FiniteProblem, prompt_reward
from interlace.theory.laws.inputs import DRAWN, inputs_of, takes
from interlace.theory.laws.law import Law
from interlace.theory.laws.meanings.words import said

CHECKPOINTS = 65
"""Checkpoints that C7 sees of an exact path: its trapezoid is then right to some four digits."""


class Assumed(NamedTuple):
    """A value that was not given, and what it is."""

    value: Any
    sentence: str


Default: TypeAlias = Callable[..., Assumed]
"""Takes inputs by name; those without a default of their own must be there."""


def _policy(problem: FiniteProblem, rl_time: float | None = None) -> Assumed:
    if rl_time is None or np.ndim(rl_time) > 0:
        return Assumed(problem.reference, "the reference")
    return Assumed(tilted_policy(problem, rl_time), f"the RL path at RL time {said(rl_time)}")


def _reference(problem: FiniteProblem) -> Assumed:
    return Assumed(problem.reference, "the reference")


def _kl_optimum(kl_coefficient: float) -> Assumed:
    if np.ndim(kl_coefficient) > 0 or not kl_coefficient > 0.0:
        raise DataError(f"kl_coefficient must be positive. Got {kl_coefficient}. Without one give rl_time itself.")
    return Assumed(1.0 / kl_coefficient, f"{said(1.0 / kl_coefficient)}, where a KL coefficient of "
                   f"{said(kl_coefficient)} has its optimum")  # fmt: skip


def _expert(problem: FiniteProblem) -> Assumed:
    return Assumed(problem.expert, "the expert")


def _reward_as_velocity(problem: FiniteProblem) -> Assumed:
    return Assumed(problem.reward, "the reward, as in natural policy gradient with one logit a response")


def _pass_rate(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> Assumed:
    return Assumed(prompt_reward(problem, policy), "the policy's, prompt by prompt")


def _no_preconditioner() -> Assumed:
    return Assumed(None, "none: plain gradients")


def _start_of_rl(kl_coefficient: float | None = None) -> Assumed:
    return Assumed(0.0, "0, the start of RL") if kl_coefficient is None else _kl_optimum(kl_coefficient)


def _unit_step() -> Assumed:
    return Assumed(1.0, "1: RL time for each unit of step size")


def _trls_group() -> Assumed:
    return Assumed(8, "8, TRL's default")


def _checkpoints(rl_time: float) -> Float[np.ndarray, "checkpoint"]:
    if not np.ndim(rl_time) == 0 or not np.isfinite(rl_time):
        raise DataError(f"rl_time must be one finite number for checkpoints. Got {rl_time}. Say how far RL goes.")
    return np.linspace(0.0, rl_time, CHECKPOINTS)


def _path_reward(problem: FiniteProblem, rl_time: float) -> Assumed:
    return Assumed(tilted_reward(problem, _checkpoints(rl_time)), f"at {CHECKPOINTS} checkpoints of the RL path")


def _path_variance(problem: FiniteProblem, rl_time: float) -> Assumed:
    return Assumed(tilted_reward_variance(problem, _checkpoints(rl_time)), "at the same checkpoints")


def _problem_expert_reward(problem: FiniteProblem) -> Assumed:
    return Assumed(problem.expert_reward, "the problem's")


DEFAULTS: dict[str, Default] = {
    "rl_time": _kl_optimum,
    "policy": _policy,
    "start": _policy,
    "p": _reference,
    "q": _expert,
    "velocity": _reward_as_velocity,
    "pass_rate": _pass_rate,
    "preconditioner": _no_preconditioner,
}
"""By input, for every law that takes it."""

OWN_DEFAULTS: dict[str, dict[str, Default]] = {
    "A4": {"rl_time": _start_of_rl},
    "D4": {"step_size": _unit_step, "group_size": _trls_group},
    "C7": {"reward": _path_reward, "variance": _path_variance, "expert_reward": _problem_expert_reward},
}
"""By law and input."""


def defaults_of(law: Law) -> dict[str, Default]:
    """The defaults that the law's inputs have, in the order in which they are to be made."""
    every = DEFAULTS | OWN_DEFAULTS.get(law.label, {})
    return {name: default for name, default in every.items() if name in takes(law)}


def known_inputs(law: Law) -> tuple[str, ...]:
    """Everything that may be given for the law: its inputs, what their defaults are made from, what is drawn."""
    sources = (name for default in defaults_of(law).values() for name in inputs_of(default))
    return tuple(dict.fromkeys((*takes(law), *sources, *DRAWN.get(law.label, ()))))


def assume(law: Law, inputs: Mapping[str, Any]) -> dict[str, Assumed]:
    """What stands in for inputs that are missing, as far as it can be made from those that are there."""
    assumed: dict[str, Assumed] = {}
    for name, default in defaults_of(law).items():
        there = {**inputs, **{key: each.value for key, each in assumed.items()}}
        if name not in there and set(inputs_of(default, required=True)) <= there.keys():
            assumed[name] = default(**{key: there[key] for key in inputs_of(default) if key in there})
    return assumed
