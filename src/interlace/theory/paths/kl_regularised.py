"""The path model of RL with a KL term in its objective: D7's clock towards the start, D6 towards another anchor."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from interlace.errors import DataError
from interlace.theory.finite import FiniteProblem, below_top
from interlace.theory.paths.anchored import anchored_problem, rl_clock
from interlace.theory.paths.flow import rl_time_rate, solutions
from interlace.theory.paths.path_model import PathModel, PathOptions, Point, tilt_point


def kl_regularised_points(
    problem: FiniteProblem, times: Float[np.ndarray, "time"], options: PathOptions
) -> Iterator[Point]:
    """The path of R - beta KL(pi, anchor): exact at any time, inf included; only an anchor's RL time is integrated.

    Raises DataError without a KL coefficient, or if the anchor misses a response of the reference: the path would begin
    with a jump, which has no RL time.
    """
    if options.kl_coefficient is None:
        raise DataError("kl_coefficient must be given for kl_regularised. Got None. 0 means no KL term.")
    clocks = np.maximum.accumulate(rl_clock(times, options.kl_coefficient))  # no rounding may turn it back
    if options.anchor is None or options.kl_coefficient == 0.0:
        return (tilt_point(problem, clock) for clock in clocks.tolist())
    if (problem.support & (options.anchor == 0.0))[problem.prompts > 0.0].any():
        raise DataError("anchor must be positive wherever the reference is. Got zeros there. Smooth the anchor.")
    return _anchored_points(problem, anchored_problem(problem, options.anchor, options.kl_coefficient), clocks)


def _anchored_points(
    problem: FiniteProblem, shaped: FiniteProblem, clocks: Float[np.ndarray, "time"]
) -> Iterator[Point]:
    """The RL path of `shaped` at `clocks`; its RL time is that of the real reward."""
    gap = below_top(problem)

    def rate(clock: float, _: Float[np.ndarray, "1"]) -> Float[np.ndarray, "1"]:
        log_policy = tilt_point(shaped, clock).log_policy
        return np.array([rl_time_rate(problem, gap, np.exp(log_policy), log_policy, shaped.reward)])

    for clock, spent in zip(clocks.tolist(), solutions(rate, np.zeros(1), clocks), strict=True):
        yield Point(float(spent[0]), tilt_point(shaped, clock).log_policy)


KL_REGULARISED = PathModel(
    name="kl_regularised",
    sentence="natural policy gradient of R - beta KL(pi, anchor) (anchor: the start, if none is given), exact; takes "
    "kl_coefficient and anchor",
    source="D6, D7",
    points=kl_regularised_points,
)
