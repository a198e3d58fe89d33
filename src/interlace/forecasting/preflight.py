"""The forecast before RL: from what was measured of the starting policy alone, along every path model that can
speak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from interlace.errors import DataError
from interlace.estimate import Figure, Unresolved
from interlace.forecasting.afterwards import SftAfterRl, sft_after_rl
from interlace.forecasting.curve import NATS, Curve, CurvePoint
from interlace.forecasting.landmarks import Landmarks, Stop, best_stop, landmarks_of
from interlace.forecasting.pass_rates import PassRates
from interlace.forecasting.paths import prompt_paths
from interlace.forecasting.start import Start
from interlace.statistics import bounded_mean_interval, mean_interval, reward_interval
from interlace.theory.frontier import least_sft_loss, sft_loss_floor
from interlace.theory.paths import PathOptions

SHOWN = 21
"""Points of a curve that are kept, equally spaced in reward."""
VARIANCE = "reward units^2"
NEVER = 0.01
"""A prompt whose pass rate is below this is as good as never solved by groups of 8 or 16."""
NO_GAIN = 1e-3
"""A path that gains less than this share of all that there is to gain leads nowhere: it has no turns to speak of."""
MODELS = ("systematic", "natural", "group_normalised")
"""The path models of a forecast, the one that heads it first."""
KL_MODEL = "kl_regularised"
"""The one that joins them where there is a KL coefficient."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """What one path model says: its curve from the start's reward to the highest that it reaches, and where it turns.

    `stop` for the exchange rate that was asked for (None: none was); `after`: what SFT on the same data then does, at
    the curve's end (D8). `path` is the whole path, prompt by prompt.
    """

    path_model: str
    curve: tuple[CurvePoint, ...]
    landmarks: Landmarks
    stop: Stop | None
    after: SftAfterRl
    path: Curve


@dataclass(frozen=True, slots=True)
class Silent:
    """A path model that cannot speak here, and why."""

    path_model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The start as the laws see it: reward units, nats/response, and masses as probabilities over prompts.

    `expert_right`, `expert_wrong`: the policy's mass on the expert's own right and wrong responses; `other`: on
    responses that the expert never gives; `never_solved`: the share of prompts whose pass rate is below `NEVER`.
    """

    reward: Figure
    expert_reward: Figure
    reward_variance: Figure
    sft_loss: Figure
    expert_right: Figure
    expert_wrong: Figure
    other: Figure
    never_solved: Figure


@dataclass(frozen=True, slots=True)
class Bound:
    """What no method escapes at `reward`: D13's floor of SFT loss and the front of all policies (D9), nats/response."""

    reward: float
    floor: float
    front: float


@dataclass(frozen=True, eq=False)
class Preflight:
    """The forecast of an RL stage before it begins, on the held-out prompts of a task. Scope of every interval: the
    weights that were measured and the choice of prompts; whether RL follows a path model is what the run will tell."""

    task: str
    facts: Facts
    forecasts: tuple[Forecast, ...]
    silent: tuple[Silent, ...]
    bounds: tuple[Bound, ...] | Unresolved
    is_perfect_expert: bool


def preflight(
    start: Start,
    options: PathOptions | None = None,
    *,
    exchange_rate: float | None = None,
    models: Sequence[str] = MODELS,
) -> Preflight:
    """Forecast RL from `start`.

    `options` describe the stage (group size, KL coefficient); with a KL coefficient above 0 the regularised path is
    followed too. `exchange_rate`: reward units that a nat of SFT loss is worth.
    """
    options = options or PathOptions()
    asked = list(dict.fromkeys([*models, KL_MODEL] if options.kl_coefficient else models))
    forecasts: list[Forecast] = []
    silent: list[Silent] = []
    for name in asked:
        try:
            forecasts.append(_forecast(start, name, options, exchange_rate))
        except DataError as error:
            silent.append(Silent(name, str(error)))
    return Preflight(
        task=start.held.task,
        facts=facts_of(start),
        forecasts=tuple(forecasts),
        silent=tuple(silent),
        bounds=_bounds(start),
        is_perfect_expert=bool(np.isclose(start.expert_reward, start.reward_range[1], rtol=1e-12)),
    )


def facts_of(start: Start) -> Facts:
    """The start's figures, each with its interval over prompts."""
    problem, held = start.problem, start.held
    given = problem.expert > 0.0

    def mass(chosen: Bool[np.ndarray, "row slot"]) -> Float[np.ndarray, "prompt"]:
        return start.per_prompt(np.where(chosen, problem.reference, 0.0).sum(axis=-1))

    loss = -np.multiply(problem.expert, np.log(np.where(given, problem.reference, 1.0))).sum(axis=-1)
    right = problem.reward == 1.0
    return Facts(
        **(_enumerated(start) if start.pass_rates is None else _sampled(start, start.pass_rates)),
        expert_reward=reward_interval(held.per_prompt(held.reward), held.reward, is_exact=True),
        sft_loss=mean_interval(start.per_prompt(loss), unit=NATS, least=0.0),
        expert_right=_share(mass(given & right), is_exact=True),
        expert_wrong=_share(mass(given & ~right), is_exact=True),
        other=_share(mass(~given), is_exact=True),
    )


def _enumerated(start: Start) -> dict[str, Figure]:
    """What the start's law of reward says, where it is known."""
    problem = start.problem
    earned = (problem.reference * problem.reward).sum(axis=-1)
    variance = (problem.reference * (problem.reward - earned[:, None]) ** 2).sum(axis=-1)
    return {
        "reward": reward_interval(start.per_prompt(earned), problem.reward, is_exact=True),
        "reward_variance": mean_interval(start.per_prompt(variance), unit=VARIANCE, least=0.0),
        "never_solved": _share(start.per_prompt((earned < NEVER).astype(np.float64)), is_exact=True),
    }


def _sampled(start: Start, rates: PassRates) -> dict[str, Figure]:
    """The same from the samples themselves; only a share of pass rates needs their law."""
    scores = start.scores
    assert scores.reward_values is not None
    return {
        "reward": reward_interval(scores.mean_reward(), scores.reward_values, is_exact=False),
        "reward_variance": mean_interval(scores.reward_variance(), unit=VARIANCE, least=0.0),
        "never_solved": _share(rates.share_below(NEVER), is_exact=False),
    }


def _share(values: Float[np.ndarray, "prompt"], *, is_exact: bool) -> Figure:
    """The mean of probabilities; the interval stays in [0, 1]."""
    return bounded_mean_interval(values, 0.0, 1.0, unit="probability", is_exact=is_exact)


def _forecast(start: Start, model: str, options: PathOptions, exchange_rate: float | None) -> Forecast:
    path = followed_path(start, model, options)
    rewards = np.linspace(path.reward[0], path.reward[-1], SHOWN)
    return Forecast(
        path_model=model,
        curve=tuple(path.at(reward) for reward in rewards.tolist()),
        landmarks=landmarks_of(path),
        stop=None if exchange_rate is None else best_stop(path, exchange_rate),
        after=sft_after_rl(path.paths, exchange_rate),
        path=path,
    )


def followed_path(start: Start, model: str, options: PathOptions) -> Curve:
    """The curve of a path model (one of PATH_MODELS) from `start`.

    Raises DataError where it cannot serve the start's rewards, lacks an option, or leads nowhere.
    """
    path = Curve(prompt_paths(start, model, options))
    gain, room = float(path.reward[-1] - path.reward[0]), start.reward_range[1] - float(path.reward[0])
    if path.reward.size < 3 or gain < NO_GAIN * room:
        raise DataError(f"on this path RL gains {gain:.2g} of the {room:.2g} reward units that there are to gain.")
    return path


def _bounds(start: Start) -> tuple[Bound, ...] | Unresolved:
    if not start.held.expert_is_known:
        return Unresolved("the expert's distribution is not known: its entropy, and so the floor, cannot be said")
    problem = start.problem
    rewards = np.linspace(problem.expert_reward, start.reward_range[1], SHOWN)[:-1]  # at its end the loss is infinite
    return tuple(Bound(r, sft_loss_floor(problem, r), least_sft_loss(problem, r)) for r in rewards.tolist())
