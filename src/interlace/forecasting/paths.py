"""A path model followed from a start, prompt by prompt: what each contributes to reward, SFT loss and KL on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

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

Along = Float[np.ndarray, "*time prompt"]
Row = Float[np.ndarray, "row"]
Policy = Float[np.ndarray, "row slot"]


@dataclass(frozen=True, eq=False)
class Parts:
    """What prompts (or rows of a problem) have in the means along a path.

    `loss` is SFT loss, `right` and `wrong` what the expert's right and wrong responses have in it (A11; NaN unless
    rewards are 0 and 1), `kl` the divergence to the start: nats/response.
    """

    reward: Along
    loss: Along
    right: Along
    wrong: Along
    kl: Along

    def mapped(self, of: Callable[[Float[np.ndarray, "..."]], Float[np.ndarray, "..."]]) -> Parts:
        """`of` each part."""
        return Parts(*(of(getattr(self, field.name)) for field in fields(self)))


@dataclass(frozen=True, eq=False)
class PromptPaths:
    """A path at its times: RL time spent (D5) and what each prompt contributes.

    `own`: the prompts' own values, of which the path is the mean. `times`: the model's; `log_policy` is at the path's
    rows.
    """

    model: str
    start: Start
    options: PathOptions
    times: Float[np.ndarray, "time"]
    rl_time: Float[np.ndarray, "time"]
    own: Parts
    log_policy: Float[np.ndarray, "time row slot"]

    @property
    def mean_reward(self) -> Float[np.ndarray, "time"]:
        """R along the path, reward units; it never falls."""
        return np.maximum.accumulate(self.own.reward.mean(axis=-1))

    @cached_property
    def contributions(self) -> Parts:
        """What each prompt contributes to the means, whose errors its scatter over prompts makes: its own value, and
        what its samples tell of the others' pass rates. Cost: the path is followed again where rewards were sampled."""
        if self.start.pass_rates_are_exact:
            return self.own
        told, _ = self._told
        parts = {field.name: np.stack([getattr(each, field.name) for each in told]) for field in fields(Parts)}
        return Parts(**{name: getattr(self.own, name) + values for name, values in parts.items()})

    def at_end(self, of: Callable[[FiniteProblem, Policy], Sequence[Row]]) -> list[Float[np.ndarray, "prompt"]]:
        """What each prompt contributes to the means of what `of` finds in the rows of a problem at the path's end."""
        own = [self.start.per_prompt(values) for values in of(self.start.problem, self.log_policy[-1])]
        if self.start.pass_rates_are_exact:
            return own
        with np.errstate(invalid="ignore"):  # inf - inf: no figure either
            led = [self.start.through_law(values) for values in of(self.start.at_nodes, self._told[1])]
        return [values + told for values, told in zip(own, led, strict=True)]

    @property
    def reward(self) -> Along:
        """The prompts' contributions to reward."""
        return self.contributions.reward

    @property
    def loss(self) -> Along:
        """The prompts' contributions to SFT loss."""
        return self.contributions.loss

    @cached_property
    def _told(self) -> tuple[list[Parts], Policy]:
        """What prompts tell of the others at each time, and log pi at the end at the rows of `start.at_nodes`."""
        rows, nodes = len(self.start.problem.prompts), self.start.at_nodes
        times = self.times * (1.0 if _is_a_clock(self.model) else len(nodes.prompts) / rows)
        told, log_policy = [], self.log_policy[-1]
        for _, log_policy in PATH_MODELS[self.model].points(nodes, times, self.options):
            told.append(_parts(nodes, log_policy).mapped(self.start.through_law))
        return told, log_policy


def prompt_paths(start: Start, model: str, options: PathOptions) -> PromptPaths:
    """Follow `model` (one of PATH_MODELS) from `start` until its reward hardly rises any more.

    Raises DataError where the model cannot serve the problem or lacks an option.
    """
    times = _refined(*_until_it_stalls(start.problem, model, options))
    points = list(PATH_MODELS[model].points(start.problem, times, options))
    kept = _spread([_reward(start.problem, point) for point in points])
    rl_time, log_policy = np.array([points[i].rl_time for i in kept]), np.stack([points[i].log_policy for i in kept])
    own = _parts(start.problem, log_policy).mapped(start.per_prompt)
    return PromptPaths(model, start, options, times[kept], rl_time, own, log_policy)


def _parts(problem: FiniteProblem, log_policy: Float[np.ndarray, "*time row slot"]) -> Parts:
    """Those of the rows."""
    policy = np.exp(log_policy)
    surprise = np.multiply(problem.expert, -log_policy, out=np.zeros_like(policy), where=problem.expert > 0.0)
    right, wrong = (np.where(problem.reward == value, surprise, 0.0).sum(axis=-1) for value in (1.0, 0.0))
    known = 0.0 if np.isin(problem.reward, (0.0, 1.0)).all() else math.nan
    return Parts(
        reward=(policy * problem.reward).sum(axis=-1),
        loss=surprise.sum(axis=-1),
        right=right + known,
        wrong=wrong + known,
        kl=special.kl_div(policy, problem.reference).sum(axis=-1),
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


def _spread(rewards: Sequence[float]) -> list[int]:
    """The first point, and the next ones that have gained enough since the last kept one, up to `SHARE` of all."""
    step = (rewards[-1] - rewards[0]) / POINTS
    kept = [0]
    for i, reward in enumerate(rewards):
        if reward - rewards[kept[-1]] >= step > 0.0 and reward - rewards[0] <= SHARE * (rewards[-1] - rewards[0]):
            kept.append(i)
    return kept


def _is_a_clock(model: str) -> bool:
    """Whether the model's own time is an RL time; else logits move in proportion to a prompt's share of all."""
    return model in ("natural", "kl_regularised", "systematic")


def _reward(problem: FiniteProblem, point: Point) -> float:
    return float(problem.prompts @ (np.exp(point.log_policy) * problem.reward).sum(axis=-1))
