"""A path model followed from a start, prompt by prompt: what each contributes to reward, SFT loss and KL on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

from interlace.forecasting.start import Start
from interlace.theory.finite import FiniteProblem, expected_reward, top_reward
from interlace.theory.paths import PATH_MODELS, PathOptions, Point

FIRST_TIME, GROWTH, MOST_TIMES = 1e-2, 1.05, 240
"""Where a path is read: RL time in units of 1/range of reward, and by what factor it grows from point to point."""
STALLED, PATIENCE = 5e-3, 15
"""A path is at its end where doubling its time (`PATIENCE` points) adds less than this share of what it has gained."""
LEAP, FINE = 0.1, 40
"""A gain between two times, as a share of the whole, that is looked at more finely, and at how many times."""
BEGUN = 1e-3
"""Share of the reward there is to gain below which a path has not begun: slow starts are no ends."""
POINTS, SHARE = 120, 0.98
"""Points that are kept at most, and the share of the whole gain up to which: at its very end a path costs without
limit."""

Along = Float[np.ndarray, "time prompt"]


@dataclass(frozen=True, eq=False)
class PromptPaths:
    """A path at its times: RL time spent (D5) and what each prompt contributes.

    `loss` is SFT loss, `right` and `wrong` what the expert's right and wrong responses have in it (A11; NaN unless
    rewards are 0 and 1), `kl` the divergence to the start: nats/response. `log_policy` is at the path's rows.
    """

    model: str
    start: Start
    rl_time: Float[np.ndarray, "time"]
    reward: Along
    loss: Along
    right: Along
    wrong: Along
    kl: Along
    log_policy: Float[np.ndarray, "time row slot"]

    @property
    def mean_reward(self) -> Float[np.ndarray, "time"]:
        """R along the path, reward units; it never falls."""
        return np.maximum.accumulate(self.reward.mean(axis=-1))


def prompt_paths(start: Start, model: str, options: PathOptions) -> PromptPaths:
    """Follow `model` (one of PATH_MODELS) from `start` until its reward hardly rises any more.

    Raises DataError where the model cannot serve the problem or lacks an option.
    """
    times = _refined(*_until_it_stalls(start.problem, model, options))
    points = _spread(start.problem, list(PATH_MODELS[model].points(start.problem, times, options)))
    log_policy = np.stack([point.log_policy for point in points])
    return _contributions(model, start, np.array([point.rl_time for point in points]), log_policy)


def _contributions(
    model: str, start: Start, rl_time: Float[np.ndarray, "time"], log_policy: Float[np.ndarray, "time row slot"]
) -> PromptPaths:
    problem, policy = start.problem, np.exp(log_policy)
    surprise = np.multiply(problem.expert, -log_policy, out=np.zeros_like(policy), where=problem.expert > 0.0)
    parts = {name: np.where(problem.reward == value, surprise, 0.0) for name, value in (("right", 1.0), ("wrong", 0.0))}
    known = 0.0 if start.is_binary else math.nan
    return PromptPaths(
        model=model,
        start=start,
        rl_time=rl_time,
        reward=start.per_prompt((policy * problem.reward).sum(axis=-1)),
        loss=start.per_prompt(surprise.sum(axis=-1)),
        right=start.per_prompt(parts["right"].sum(axis=-1)) + known,
        wrong=start.per_prompt(parts["wrong"].sum(axis=-1)) + known,
        kl=start.per_prompt(special.kl_div(policy, problem.reference).sum(axis=-1)),
        log_policy=log_policy,
    )


def _until_it_stalls(
    problem: FiniteProblem, model: str, options: PathOptions
) -> tuple[Float[np.ndarray, "time"], Float[np.ndarray, "time"]]:
    """Times that grow by `GROWTH` from 0 on, up to the first without much gain, and the rewards there."""
    unit = FIRST_TIME / max(np.finfo(float).tiny, float(np.ptp(problem.reward)))
    unit *= 1.0 if _is_a_clock(model) else len(problem.prompts)
    times = np.append(0.0, unit * GROWTH ** np.arange(MOST_TIMES))
    attainable = float(problem.prompts @ top_reward(problem)) - expected_reward(problem, problem.reference)
    rewards: list[float] = []
    for point in PATH_MODELS[model].points(problem, times, options):
        rewards.append(_reward(problem, point))
        gained = rewards[-1] - rewards[0]
        if gained > BEGUN * attainable and rewards[-1] - rewards[-min(PATIENCE, len(rewards))] <= STALLED * gained:
            break
    return times[: len(rewards)], np.array(rewards)


def _refined(times: Float[np.ndarray, "time"], rewards: Float[np.ndarray, "time"]) -> Float[np.ndarray, "finer_time"]:
    """The times with more of them wherever the reward leaps from one to the next: a slow start may end at once."""
    leaps = np.diff(rewards) > LEAP * (rewards[-1] - rewards[0])
    between = [np.linspace(times[i], times[i + 1], FINE) for i in np.flatnonzero(leaps).tolist()]
    return np.unique(np.concatenate([times, *between]))


def _spread(problem: FiniteProblem, points: list[Point]) -> list[Point]:
    """The first point, and the next ones that have gained enough since the last kept one, up to `SHARE` of all."""
    rewards = [_reward(problem, point) for point in points]
    step = (rewards[-1] - rewards[0]) / POINTS
    kept = [0]
    for i, reward in enumerate(rewards):
        if reward - rewards[kept[-1]] >= step > 0.0 and reward - rewards[0] <= SHARE * (rewards[-1] - rewards[0]):
            kept.append(i)
    return [points[i] for i in kept]


def _is_a_clock(model: str) -> bool:
    """Whether the model's own time is an RL time; else logits move in proportion to a prompt's share of all."""
    return model in ("natural", "kl_regularised", "systematic")


def _reward(problem: FiniteProblem, point: Point) -> float:
    return float(problem.prompts @ (np.exp(point.log_policy) * problem.reward).sum(axis=-1))
