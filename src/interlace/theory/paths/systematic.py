"""The RL path on what is systematic: reward moves the odds among the expert's and the best responses, nothing else.

A network that never trained on a held-out prompt can change its answers there only through what prompts share. The
expert's own responses, right and wrong, are such: an error that the expert makes by rule is learned by rule, and
unlearned at once on all prompts. Errors of the policy's own are one a prompt, and no other prompt teaches to drop them.
This path model takes that to its end: the RL path (A) of the reference restricted to the expert's responses and the
best ones, with the mass of all others where it was. A1 to A6 hold on it for the restricted reference, so reward cannot
rise above that reference's mass on best responses, and SFT loss pays more for each unit of reward than on the RL path.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from interlace.theory.finite import FiniteProblem, below_top
from interlace.theory.paths.flow import rl_time_rate, solutions
from interlace.theory.paths.path_model import PathModel, PathOptions, Point, tilt_point


def is_systematic(problem: FiniteProblem) -> Bool[np.ndarray, "prompt response"]:
    """Responses that the reference can give and that are the expert's, or the best ones of their prompt."""
    return problem.support & ((problem.expert > 0.0) | (below_top(problem) == 0.0))


@dataclass(frozen=True, eq=False)
class Restricted:
    """The RL path of a problem's reference restricted to the responses that `moving` marks."""

    problem: FiniteProblem
    moving: Bool[np.ndarray, "prompt response"]

    @property
    def mass(self) -> Float[np.ndarray, "prompt 1"]:
        """The reference's mass on the responses that move: it stays theirs."""
        return np.where(self.moving, self.problem.reference, 0.0).sum(axis=-1, keepdims=True)

    @property
    def reference(self) -> FiniteProblem:
        """The problem whose RL path is followed."""
        kept = np.where(self.moving, self.problem.reference, 0.0) / self.mass
        return FiniteProblem(self.problem.prompts, kept, self.problem.expert, self.problem.reward)

    def log_policy(self, time: float) -> Float[np.ndarray, "prompt response"]:
        """log pi at `time`, inf included."""
        with np.errstate(divide="ignore"):
            moved = tilt_point(self.reference, time).log_policy + np.log(self.mass)
            return np.where(self.moving, moved, np.log(self.problem.reference))

    def rl_time_rate(self, time: float) -> float:
        """dR/V of the whole policy, for each unit of this path's own time."""
        log_policy = self.log_policy(time)
        policy = np.exp(log_policy)
        moving = np.where(self.moving, policy, 0.0)
        mean = (moving * self.problem.reward).sum(axis=-1, keepdims=True) / moving.sum(axis=-1, keepdims=True)
        velocity = np.where(self.moving, self.problem.reward, mean)  # at the mean velocity the others keep their mass
        return rl_time_rate(self.problem, below_top(self.problem), policy, log_policy, velocity)


def systematic_points(
    problem: FiniteProblem, times: Float[np.ndarray, "time"], options: PathOptions
) -> Iterator[Point]:
    """The restricted path at `times`, exact, inf included; only its RL time (dR/V, D5) is integrated."""
    path = Restricted(problem, is_systematic(problem))
    finite = times[np.isfinite(times)]
    for time, spent in zip(finite.tolist(), _spent(path, finite), strict=True):
        yield Point(spent, path.log_policy(time))
    if finite.size < times.size:
        yield Point(math.inf, path.log_policy(math.inf))


def _spent(path: Restricted, times: Float[np.ndarray, "time"]) -> Iterator[float]:
    """RL time at each of `times`, from 0 at time 0."""

    def rate(time: float, _: Float[np.ndarray, "1"]) -> Float[np.ndarray, "1"]:
        return np.array([path.rl_time_rate(time)])

    return (float(state[0]) for state in solutions(rate, np.zeros(1), times))


SYSTEMATIC = PathModel(
    name="systematic",
    sentence="the RL path among the expert's and the best responses of each prompt, all others keeping their mass: how "
    "prompts that were not trained on move, which is through what prompts share; exact",
    source="A1 to A6 for the restricted reference",
    points=systematic_points,
)
