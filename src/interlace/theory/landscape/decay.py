"""B1: how fast gradient ascent under PL closes the gap to the best reward, and how far it moves the parameters.

mu = `pl_constant` with norm(grad R)^2 >= 2 mu (R* - R) on the path used; `gap` = R* - R at its start. The same holds
for descent on the SFT loss with `gap` = L - L*. Time is gradient-flow time (step size x steps), not A's RL time.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from interlace.theory.landscape.figures import Figures, check, figure, refuse


def reward_gap(gap: Figures, pl_constant: Figures, time: Figures) -> Figures:
    """B1: the most that gradient flow leaves of `gap` after `time`: gap e^{-2 mu t}, reward units.

    Reached if PL is tight on the path (a quadratic of curvature mu).

    Raises DataError if `pl_constant` is not positive, or `gap` or `time` is negative.
    """
    check(gap=gap, pl_constant=pl_constant, time=time)
    return figure(gap * np.exp(-2.0 * np.multiply(pl_constant, time)))


def reward_gap_after_steps(
    gap: Figures, pl_constant: Figures, smoothness: Figures, step_size: Figures, num_steps: Figures
) -> Figures:
    """B1: the most that `num_steps` gradient steps leave of `gap`: gap (1 - step_size mu)^num_steps, reward units.

    Condition: step_size <= 1/smoothness. Raises DataError if it is larger, and as `reward_gap`.
    """
    check(gap=gap, pl_constant=pl_constant, smoothness=smoothness, step_size=step_size, num_steps=num_steps)
    _check_step(step_size, smoothness)
    shrink = -np.minimum(np.multiply(step_size, pl_constant), 1.0)
    return figure(gap * np.exp(special.xlog1py(num_steps, shrink)))


def path_length(gap: Figures, pl_constant: Figures, time: Figures) -> Figures:
    """B1: the length of the flow's path up to `time` if PL is TIGHT on it: sqrt(2 gap/mu) (1 - e^{-mu t}).

    Parameter units. Not a bound at finite time: where R is steeper than PL asks, the flow is faster and its path at
    first longer (`path_length_bound` holds always). At time inf it is one: sqrt(2 gap/mu).

    Raises DataError as `reward_gap`.
    """
    check(gap=gap, pl_constant=pl_constant, time=time)
    return figure(np.sqrt(2.0 * np.divide(gap, pl_constant)) * -np.expm1(-np.multiply(pl_constant, time)))


def path_length_bound(gap: Figures, gap_left: Figures, pl_constant: Figures) -> Figures:
    """B1: the flow's path is no longer than sqrt(2/mu) (sqrt(gap) - sqrt(gap_left)), parameter units.

    `gap_left` is the gap that is really left where the path ends, as measured: with a smaller one, such as 0, it is
    still a bound, with `reward_gap`'s larger one it is none.

    Raises DataError if `gap_left` is above `gap`, and as `reward_gap`.
    """
    check(gap=gap, gap_left=gap_left, pl_constant=pl_constant)
    kept = np.asarray(np.less_equal(gap_left, gap))
    refuse("gap_left", gap_left, kept, "be at most gap", "Give the gap where the path ends.")
    return figure(np.sqrt(np.divide(2.0, pl_constant)) * (np.sqrt(gap) - np.sqrt(gap_left)))


def path_length_bound_of_steps(
    gap: Figures, gap_left: Figures, pl_constant: Figures, smoothness: Figures, step_size: Figures
) -> Figures:
    """B1: the path of gradient steps is no longer than the flow's bound / (1 - step_size smoothness/2), up to twice it.

    Condition: step_size <= 1/smoothness (the bound itself needs only 2/smoothness). Raises DataError if it is larger,
    and as `path_length_bound`.
    """
    check(smoothness=smoothness, step_size=step_size)
    _check_step(step_size, smoothness)
    return figure(path_length_bound(gap, gap_left, pl_constant) / (1.0 - 0.5 * np.multiply(step_size, smoothness)))


def _check_step(step_size: Figures, smoothness: Figures) -> None:
    kept = np.asarray(np.multiply(step_size, smoothness) <= 1.0 + 1e-9)  # a rounded 1/smoothness is one
    refuse("step_size", step_size, kept, "be at most 1/smoothness", "Take smaller steps.")
