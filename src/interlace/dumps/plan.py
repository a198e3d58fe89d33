"""From a folder of rollouts to a plan: read, group, follow, and say what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from interlace.dumps.advice import advice_of, conditions_of
from interlace.dumps.expert import Expert, read_expert, refuse_beyond
from interlace.dumps.follow import follow
from interlace.dumps.groups import Groups, advantage_agreement, group
from interlace.dumps.losses import Losses, read_losses
from interlace.dumps.measured import loss_points
from interlace.dumps.path import REWARD_UNIT, STEPS, RewardPath, no_expert
from interlace.dumps.planned import PlanPoint, RolloutPlan
from interlace.dumps.samples import read_samples
from interlace.dumps.tilts import TiltPath, Tilts, follow_tilts, tilts_of
from interlace.errors import RecipeError
from interlace.estimate import Estimate, Figure, Unresolved, exact
from interlace.statistics import mean_interval, reward_interval, share_interval

EXAMPLE = "example"
"""In place of a folder: the rollouts that come with the package."""
FAITHFUL = 0.99
"""Correlation of advantages with the reward within groups from which the two are one."""


def plan_rollouts(
    rollouts: str | Path,
    expert_reward: float | None = None,
    expert_scores: str | Path | None = None,
    logprobs: str | Path | None = None,
    exchange_rate: float | None = None,
    columns: str | Mapping[str, str] | None = None,
    reward: str | None = None,
    seed: int = 0,
) -> RolloutPlan:
    """See `interlace.plan`."""
    if exchange_rate is not None and not exchange_rate > 0.0:
        raise RecipeError(f"--exchange-rate must be above 0 reward units a nat. Got {exchange_rate}. Say 0.5.")
    path, expert_scores, logprobs = _places(rollouts, expert_reward, expert_scores, logprobs)
    samples = read_samples(path, columns, reward)
    refuse_beyond(expert_reward, samples.rewards)
    expert = read_expert(expert_reward, expert_scores, samples.keys)
    losses = None if logprobs is None else read_losses(logprobs, samples.keys)
    groups = group(samples)
    along, tilts, read = _along(groups, expert, losses, len(samples.keys), np.random.default_rng(seed))
    points = _points(groups, along, tilts, expert.reward)
    measured = () if losses is None else loss_points(losses, read, along, tilts)
    parity, stop = _parity(along), _stop(along, exchange_rate)
    agreement = advantage_agreement(samples)
    notes = [*samples.notes, *expert.notes, *(() if losses is None else losses.notes)]
    if agreement is not None and agreement < FAITHFUL:
        notes.append(
            f"The written advantages go with this reward only in part (correlation {agreement:.2f} within groups): "
            "the trainer may weigh rewards otherwise; say --reward NAME=WEIGHT,..."
        )
    return RolloutPlan(
        rollouts=str(rollouts),
        source=samples.source,
        points=points,
        expert_reward=expert.reward,
        shared_prompts=expert.shared,
        parity=parity,
        exchange_rate=exchange_rate,
        stop=stop,
        losses=measured,
        advice=advice_of(points, expert.reward, parity, exchange_rate, stop, along, measured),
        conditions=conditions_of(groups, along, expert, losses, samples.keys),
        notes=tuple(notes),
    )


def _places(
    rollouts: str | Path, expert_reward: float | None, scores: str | Path | None, logprobs: str | Path | None
) -> tuple[Path, Path | None, Path | None]:
    """Where everything lies; the example brings its own expert scores and log-probabilities."""
    path = Path(rollouts).expanduser()
    if str(rollouts) == EXAMPLE and not path.exists():
        home = Path(__file__).parent / EXAMPLE
        path, logprobs = home / "completions", logprobs or home / "logprobs.parquet"
        scores = scores or (home / "expert_scores.parquet" if expert_reward is None else None)
    return path, _file(scores), _file(logprobs)


def _file(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path).expanduser()


def _along(
    groups: Groups, expert: Expert, losses: Losses | None, num_prompts: int, rng: np.random.Generator
) -> tuple[RewardPath, TiltPath | Unresolved, Float[np.ndarray, "resample step"]]:
    """The path of the rewards, the tilts along it, and the mean losses, all in the same resamples."""
    tilts = tilts_of(groups)
    more = [*([] if isinstance(tilts, Unresolved) else [tilts.segment]), *([] if losses is None else [losses.segment])]
    path, found = follow(groups, expert.given, expert.scores, num_prompts, rng, tuple(more))
    followed = follow_tilts(path, tilts, found[0][:, 0]) if isinstance(tilts, Tilts) else tilts
    return path, followed, found[-1][:, 0] if losses is not None else np.empty((len(path.rewards), 0))


def _points(groups: Groups, path: RewardPath, tilts: TiltPath | Unresolved, expert: Figure) -> tuple[PlanPoint, ...]:
    """A row a point: as sampled, and along the curves."""
    sampled = tuple(
        reward_interval(groups.means[groups.of(i)], groups.values_of(i), is_exact=False)
        for i in range(len(path.places))
    )
    curve, gap = _levels(groups, path, sampled, expert)
    times, changes, rates = path.rl_time(), path.sft_change(), path.implied_exchange_rates()
    parts = (tilts,) * len(path.places) if isinstance(tilts, Unresolved) else tilts.figures(path)
    refusal = None if path.refusal is None else Unresolved(path.refusal)
    spread = path.level(path.variance, path.variances, "reward units^2")
    return tuple(
        PlanPoint(
            first_step=int(groups.first[i]),
            last_step=int(groups.last[i]),
            place=float(groups.places[i]),
            num_prompts=len(groups.means[groups.of(i)]),
            num_samples=int(groups.sizes[groups.of(i)].sum()),
            reward=sampled[i],
            reward_variance=_variance(groups, i),
            dead_groups=_dead(groups, i),
            reward_curve=curve[i],
            reward_variance_curve=refusal or spread[i],
            parity_gap=gap[i],
            rl_time=times[i],
            sft_loss_change=changes[i],
            tilt=parts[i],
            implied_exchange_rate=rates[i],
        )
        for i in range(len(path.places))
    )


def _levels(
    groups: Groups, path: RewardPath, sampled: tuple[Figure, ...], expert: Figure
) -> tuple[tuple[Figure, ...], tuple[Figure, ...]]:
    """R along the curve, and R - R_D. Rewards that are all equal do not scatter, so that resamples say nothing of their
    error: each point then has what its own samples leave open."""
    if np.ptp(groups.values) == 0.0:
        return sampled, tuple(_apart(figure, expert) for figure in sampled)
    gaps = path.gaps
    gap = (no_expert(),) * len(path.places) if gaps is None else path.level(*gaps, REWARD_UNIT)
    return path.level(path.reward, path.rewards, REWARD_UNIT), gap


def _apart(reward: Figure, expert: Figure) -> Figure:
    """R - R_D from an interval of each: conservative."""
    if isinstance(expert, Unresolved):
        return no_expert()
    if isinstance(reward, Unresolved):
        return reward
    ends = reward.lower - expert.upper, reward.upper - expert.lower
    return Estimate(reward.value - expert.value, *ends, reward.level, reward.n, "two intervals", REWARD_UNIT)


def _variance(groups: Groups, point: int) -> Figure:
    variances = groups.variances[groups.of(point)]
    known = variances[np.isfinite(variances)]
    if not known.size:
        return Unresolved("no prompt has two samples here: the variance within prompts needs groups of two or more")
    if not known.any():
        return Unresolved(f"no reward differs within any of {known.size} groups")
    found = mean_interval(known, unit="reward units^2", method="Student t over groups")
    return replace(found, lower=max(0.0, found.lower)) if isinstance(found, Estimate) else found


def _dead(groups: Groups, point: int) -> Figure:
    """Of the groups that have two samples or more."""
    several = groups.sizes[groups.of(point)] > 1
    return share_interval(groups.dead[groups.of(point)][several].astype(np.float64))


def _parity(path: RewardPath) -> Figure:
    """The step at which the curve of reward passes the expert's (A4)."""
    gaps = path.gaps
    if gaps is None:
        return no_expert()
    if gaps[0][0] >= 0.0 and (gaps[1][:, 0] > 0.0).mean() > 0.975:
        return exact(float(path.places[0]), STEPS)
    otherwise = f"reward has not passed the expert\u2019s by step {path.places[-1]:,.0f}"
    return path.steps_with(-gaps[0], -gaps[1], otherwise)


def _stop(path: RewardPath, exchange_rate: float | None) -> Figure | None:
    """A6: the step until which a nat of SFT loss bought more reward than it is worth."""
    gaps = path.gaps
    if exchange_rate is None:
        return None
    if gaps is None:
        return no_expert()
    if path.refusal is not None:
        return Unresolved(path.refusal)
    left, resampled = path.variance - exchange_rate * gaps[0], path.variances - exchange_rate * gaps[1]
    return path.steps_with(left, resampled, f"by step {path.places[-1]:,.0f} RL still buys more than a nat is worth")
