"""D4: GRPO's expected step on one logit a response, for binary reward and groups of K responses a prompt."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float
from scipy import special

from interlace.errors import DataError
from interlace.theory.distributional.tilt import like
from interlace.theory.finite import FiniteProblem
from interlace.theory.paths.flow import integrate_logits
from interlace.theory.paths.path_model import PathModel, PathOptions, Point

PassRates = TypeVar("PassRates", float, Float[np.ndarray, "*prompt"])


LARGEST_GROUP = 100_000
"""Up to here g_K is summed term by term; larger groups are as good as infinite."""


class RightWrong(NamedTuple):
    """A policy's right (r = 1) and wrong (r = 0) responses: their mass, and the policy given each (0 if no mass)."""

    right_mass: Float[np.ndarray, "prompt"]
    wrong_mass: Float[np.ndarray, "prompt"]
    given_right: Float[np.ndarray, "prompt response"]
    given_wrong: Float[np.ndarray, "prompt response"]


def group_step_scale(pass_rate: PassRates, group_size: float, ddof: int = 1, normalised: bool = True) -> PassRates:
    """D4: g_K(p), the length of a group's expected step along pi(. | right) - pi(. | wrong), reward units.

    Advantages divided by the group's standard deviation (`ddof` 0 or 1): E sqrt(phat (1 - phat)), phat ~ Bin(K, p)/K,
    x sqrt((K - 1)/K) for ddof 1; a group without variance steps by 0. Not `normalised` (group mean as the baseline):
    (1 - 1/K) p (1 - p), `ddof` unused. `group_size` K may be `math.inf`: sqrt(p (1 - p)), or p (1 - p).

    Raises DataError if a pass rate is not in [0, 1], K no whole number >= 1, or ddof neither 0 nor 1.

    >>> group_step_scale(0.5, 2, 0), group_step_scale(0.5, math.inf), group_step_scale(0.5, 2, normalised=False)
    (0.25, 0.5, 0.125)
    """
    rate = np.asarray(pass_rate, dtype=np.float64)
    if not ((rate >= 0.0) & (rate <= 1.0)).all():
        raise DataError(f"pass_rate must be between 0 and 1. Got {pass_rate}. Give the share of right responses.")
    scale = _step_scale(rate.ravel(), (1.0 - rate).ravel(), group_size, ddof, normalised)
    return like(pass_rate, scale.reshape(rate.shape))


def group_rl_time(
    problem: FiniteProblem,
    policy: Float[np.ndarray, "prompt response"],
    step_size: float,
    group_size: float,
    *,
    ddof: int = 1,
    normalised: bool = True,
) -> Float[np.ndarray, "prompt"]:
    """D4: the RL time of one expected step, prompt by prompt, matched in reward: eta rho(x) g_K (c_right + c_wrong).

    eta = `step_size`, per reward unit; c = sum_y pi(y | .)^2, the chance that two right (two wrong) responses are the
    same one. 0 where a prompt is always or never solved. The RL time of the whole step is their mean, weighed by
    rho(x) p (1 - p).

    Raises DataError if the reward is not 0 or 1 on the policy's support, or as `group_step_scale` does.

    >>> half = np.array([[0.5, 0.5]])
    >>> group_rl_time(FiniteProblem(np.ones(1), half, half, np.array([[0.0, 1.0]])), half, 0.1, 2, ddof=0).tolist()
    [0.05]
    """
    parts = _right_wrong(problem, policy)
    scale = _step_scale(parts.right_mass, parts.wrong_mass, group_size, ddof, normalised)
    collisions = np.square(parts.given_right).sum(axis=-1) + np.square(parts.given_wrong).sum(axis=-1)
    return step_size * problem.prompts * scale * collisions


def group_velocity(
    problem: FiniteProblem,
    policy: Float[np.ndarray, "prompt response"],
    group_size: float,
    *,
    ddof: int = 1,
    normalised: bool = True,
) -> Float[np.ndarray, "prompt response"]:
    """D4: how a group's expected step moves the logits, rho(x) g_K (pi(. | right) - pi(. | wrong)), reward units.

    With `loss_rate` (D1): how fast it moves SFT loss, D3's sum with weights g_K/(p (1 - p)).

    Raises DataError as `group_rl_time` does.
    """
    parts = _right_wrong(problem, policy)
    scale = _step_scale(parts.right_mass, parts.wrong_mass, group_size, ddof, normalised)
    return (problem.prompts * scale)[:, None] * (parts.given_right - parts.given_wrong)


def group_points(problem: FiniteProblem, times: Float[np.ndarray, "time"], options: PathOptions) -> Iterator[Point]:
    """The flow of std-normalised groups' expected steps, integrated; finite times only."""
    group_velocity(problem, problem.reference, options.group_size, ddof=options.ddof)  # refuses before the first step
    return integrate_logits(
        problem, times, lambda policy: group_velocity(problem, policy, options.group_size, ddof=options.ddof)
    )


GROUP_NORMALISED = PathModel(
    name="group_normalised",
    sentence="GRPO's expected step, advantages divided by the group's std: logits move at "
    "rho(x) g_K (pi(. | right) - pi(. | wrong)); binary reward, takes group_size and ddof",
    source="D4",
    points=group_points,
)


def _right_wrong(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> RightWrong:
    used = (policy > 0.0) & (problem.prompts > 0.0)[:, None]
    if not np.isin(problem.reward[used], (0.0, 1.0)).all():
        raise DataError("reward must be 0 or 1 on the policy's responses (D4). Got other values. Use D3's plain step.")
    right, wrong = np.where(problem.reward == 1.0, policy, 0.0), np.where(problem.reward == 0.0, policy, 0.0)
    masses = right.sum(axis=-1), wrong.sum(axis=-1)
    return RightWrong(*masses, *(_given(part, mass) for part, mass in zip((right, wrong), masses, strict=True)))


def _given(part: np.ndarray, mass: np.ndarray) -> np.ndarray:
    return np.divide(part, mass[:, None], out=np.zeros_like(part), where=mass[:, None] > 0.0)


def _step_scale(
    right: Float[np.ndarray, "prompt"],
    wrong: Float[np.ndarray, "prompt"],
    group_size: float,
    ddof: int,
    normalised: bool,
) -> Float[np.ndarray, "prompt"]:
    """g_K from both masses, so that nothing is lost next to a pass rate of 1."""
    if not (group_size >= 1 and (math.isinf(group_size) or float(group_size).is_integer())):
        raise DataError(f"group_size must be a whole number of at least 1, or inf. Got {group_size}. Try 8.")
    if LARGEST_GROUP < group_size < math.inf:
        raise DataError(f"group_size must be at most {LARGEST_GROUP:,}, or inf. Got {group_size:g}. Give inf.")
    if ddof not in (0, 1):
        raise DataError(f"ddof must be 0 or 1. Got {ddof}. TRL's GRPO divides by the std of ddof 1.")
    if not normalised:
        return (1.0 - 1.0 / group_size) * right * wrong
    if math.isinf(group_size):
        return np.sqrt(right * wrong)
    return math.sqrt(1.0 - ddof / group_size) * _mean_deviation(right, wrong, int(group_size))


def _mean_deviation(
    right: Float[np.ndarray, "prompt"], wrong: Float[np.ndarray, "prompt"], size: int
) -> Float[np.ndarray, "prompt"]:
    """E sqrt(phat (1 - phat)), phat ~ Bin(size, right)/size: a sum over the mixed groups, in logs."""
    count = np.arange(1.0, size)
    ways = special.gammaln(size + 1.0) - special.gammaln(count + 1.0) - special.gammaln(size - count + 1.0)
    log_chance = ways + special.xlogy(count, right[..., None]) + special.xlogy(size - count, wrong[..., None])
    return (np.exp(log_chance) * np.sqrt(count * (size - count))).sum(axis=-1) / size
