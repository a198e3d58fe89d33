"""The registry of path models, and following one. A new model is one file with a `PathModel`, and one line here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

from interlace.errors import DataError, unknown_name
from interlace.theory.finite import FiniteProblem, over_prompts
from interlace.theory.paths.group import GROUP_NORMALISED
from interlace.theory.paths.kl_regularised import KL_REGULARISED
from interlace.theory.paths.path_model import NATURAL, PathModel, PathOptions
from interlace.theory.paths.softmax import SOFTMAX
from interlace.theory.paths.systematic import SYSTEMATIC

PATH_MODELS: dict[str, PathModel] = {
    "natural": NATURAL,
    "softmax": SOFTMAX,
    "group_normalised": GROUP_NORMALISED,
    "kl_regularised": KL_REGULARISED,
    "systematic": SYSTEMATIC,
}
"""The ways of moving that `follow` knows."""


class Path(NamedTuple):
    """A path at `time`: RL time spent (D5), reward, SFT loss and KL(pi, reference) in nats per response."""

    time: Float[np.ndarray, "time"]
    rl_time: Float[np.ndarray, "time"]
    reward: Float[np.ndarray, "time"]
    sft_loss: Float[np.ndarray, "time"]
    kl: Float[np.ndarray, "time"]


def follow(
    problem: FiniteProblem,
    path_model: str,
    times: float | Sequence[float] | Float[np.ndarray, "time"],
    *,
    group_size: float = 8,
    ddof: int = 1,
    kl_coefficient: float | None = None,
    anchor: Float[np.ndarray, "prompt response"] | None = None,
) -> Path:
    """Follows RL from the problem's reference under one of PATH_MODELS to each of `times` (one time: one point).

    `times` >= 0 increase; the model's own time (step size x steps). inf is for exact paths (natural,
    kl_regularised, systematic).
    RL time is the integral of dR/V along the path, 0 while the reward is flat off the exact paths. A model takes the
    options that it needs (its `sentence` says which) and ignores the others. Integrated paths (softmax,
    group_normalised; an anchor's RL time) have relative tolerance 1e-10.

    Raises DataError for an unknown model, times that do not increase from 0 up, or options the model cannot serve.

    >>> problem = FiniteProblem(np.ones(1), np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]]))
    >>> follow(problem, "natural", np.array([0.0, np.log(3.0), np.inf])).reward.round(12).tolist()
    [0.5, 0.75, 1.0]
    """
    if path_model not in PATH_MODELS:
        raise DataError(unknown_name("path_model", path_model, PATH_MODELS))
    grid = _increasing(times)
    options = PathOptions(group_size, ddof, kl_coefficient, anchor)
    points = PATH_MODELS[path_model].points(problem, grid, options)
    rows = [(point.rl_time, *_figures(problem, point.log_policy)) for point in points]
    return Path(grid, *np.array(rows, dtype=np.float64).reshape(-1, 4).T)


def _figures(problem: FiniteProblem, log_policy: Float[np.ndarray, "prompt response"]) -> tuple[float, float, float]:
    """Reward, SFT loss and KL to the reference, from log pi: finite where pi itself underflows."""
    policy = np.exp(log_policy)
    surprise = np.multiply(problem.expert, -log_policy, out=np.zeros_like(policy), where=problem.expert > 0.0)
    divergence = special.kl_div(policy, problem.reference).sum(axis=-1)
    totals = (policy * problem.reward).sum(axis=-1), surprise.sum(axis=-1), divergence
    reward, loss, kl = (float(over_prompts(problem, total)) for total in totals)
    return reward, loss, max(0.0, kl)


def _increasing(times: float | Sequence[float] | Float[np.ndarray, "time"]) -> Float[np.ndarray, "time"]:
    grid = np.atleast_1d(np.asarray(times, dtype=np.float64))
    if grid.ndim != 1 or not ((grid[:1] >= 0.0).all() and (grid[1:] > grid[:-1]).all()):
        raise DataError(f"times must increase and be at least 0. Got {grid.tolist()}. Sort them.")
    return grid
