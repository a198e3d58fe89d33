"""The plan in sentences: what the rewards say, what that is worth, and under which conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from interlace.dumps.expert import Expert, first_words
from interlace.dumps.groups import Groups
from interlace.dumps.losses import Losses
from interlace.dumps.path import RewardPath
from interlace.dumps.planned import LossPoint, PlanPoint
from interlace.estimate import Estimate, Figure, Unresolved, figure_text
from interlace.wording import counted, number

NO_DEAD_FROM = 100
"""Groups of right and wrong answers of which none is dead: the trainer has most likely left dead ones out."""


def advice_of(points: Sequence[PlanPoint], expert: Figure, parity: Figure, exchange_rate: float | None,
              stop: Figure | None, path: RewardPath, losses: Sequence[LossPoint]) -> tuple[str, ...]:  # fmt: skip
    """The most important first."""
    first = (*_rise(points), _parity(expert, parity, points), *_forecast(points))
    return (*first, *_worth(points, exchange_rate, stop), *_refuted(stop, losses), *_dead(points), *_measured(losses))


def _rise(points: Sequence[PlanPoint]) -> Iterator[str]:
    first, last = points[0], points[-1]
    if _all_dead(points):
        yield (
            "Rewards never differ within a prompt, at any step: the variance within prompts is 0, RL learns nothing "
            "from them, and no curve can be drawn. "
            f"Reward is {figure_text(last.reward, unit=False)} at {last.name}."
        )
        return
    ends = [figure_text(point.reward_curve, unit=False) for point in (first, last)]
    if first is last:
        yield f"Reward is {figure_text(first.reward, unit=False)} at {first.name}."
    elif isinstance(first.reward_curve, Unresolved):
        yield f"Reward: {first.reward_curve}."
    else:
        ways = f"from {ends[0]} at {first.name} to {ends[1]} at {last.name}"
        yield f"Reward went {ways}, on the curve through all points."


def _all_dead(points: Sequence[PlanPoint]) -> bool:
    """Whether every group that could tell has equal rewards."""
    return all(isinstance(point.dead_groups, Estimate) and point.dead_groups.value == 1.0 for point in points)


def _parity(expert: Figure, parity: Figure, points: Sequence[PlanPoint]) -> str:
    gap = points[-1].parity_gap
    if isinstance(expert, Unresolved):
        return f"The expert\u2019s reward: {expert}. Without it there is no parity, no forecast and no best stop."
    known = f"the expert\u2019s {figure_text(expert, unit=False)}"
    if _all_dead(points):
        return _apart(gap, known)
    if isinstance(parity, Estimate) and parity.lower == parity.upper and points[0].parity_gap.sign > 0:
        return f"Reward stood above {known} from the start: on the RL path it raises SFT loss from its first step (A4)."
    if isinstance(parity, Estimate) and parity.lower == parity.upper:
        return f"Reward was never seen below {known}, but whether it stood above it from the start is not resolved."
    if isinstance(parity, Estimate):
        open_end = "" if np.isfinite(parity.upper) else ", or has not yet"
        return (
            f"Reward passed {known} at step {_steps(parity)}{open_end}: before it RL lowers SFT loss on the RL path, "
            "after it RL raises it (A4)."
        )
    if gap.sign < 0:
        return f"Reward is still below {known} by {figure_text(_turned(gap))}: on the RL path RL lowers SFT loss (A4)."
    return _apart(gap, known)


def _apart(gap: Figure, known: str) -> str:
    """Where reward stands, without what moving along the path would do."""
    if not gap.sign:
        return f"Whether reward has reached {known} is not resolved: R - R_D is {figure_text(gap, signed=True)}."
    side, apart = ("above", gap) if gap.sign > 0 else ("below", _turned(gap))
    return f"Reward is {side} {known} by {figure_text(apart)}."


def _turned(gap: Figure) -> Figure:
    assert isinstance(gap, Estimate)
    return Estimate(-gap.value, -gap.upper, -gap.lower, gap.level, gap.n, gap.method, gap.unit)


def _forecast(points: Sequence[PlanPoint]) -> Iterator[str]:
    change = points[-1].sft_loss_change
    if len(points) == 1 or isinstance(points[0].parity_gap, Unresolved):
        return
    if isinstance(change, Unresolved):
        yield f"Forecast change of SFT loss up to {points[-1].name}: {change}."
        return
    words = {1: "a rise", -1: "a fall", 0: "its sign is not resolved"}[change.sign]
    yield (
        f"Rewards forecast {figure_text(change, signed=True)} of SFT loss from {points[0].name} to {points[-1].name}: "
        f"{words} (C7, if the policy moves on the RL path and SFT has the same prompts)."
    )


def _worth(points: Sequence[PlanPoint], exchange_rate: float | None, stop: Figure | None) -> Iterator[str]:
    last = points[-1]
    rate = last.implied_exchange_rate
    if isinstance(rate, Estimate):
        yield (
            f"At {last.name} the next nat of SFT loss buys {_rate(rate)} reward: stopping there is right if a nat is "
            "worth that much reward to you, going on if it is worth less (A6)."
        )
    if exchange_rate is None or stop is None:
        return
    worth = f"If a nat is worth {exchange_rate:g} reward"
    if isinstance(stop, Unresolved):
        yield f"{worth}: {stop.reason}."
    elif not np.isfinite(stop.upper):
        yield f"{worth}, RL pays on the RL path until about step {_steps(stop)}; that it no longer does is open yet."
    else:
        yield (
            f"{worth}, RL pays on the RL path until step {_steps(stop)} and no longer after it (a local stop: "
            "A6 may have "
            "several)."
        )


def _refuted(stop: Figure | None, losses: Sequence[LossPoint]) -> Iterator[str]:
    """What was read of SFT loss next to the stop, where it is not what the stop was computed from."""
    if not isinstance(stop, Estimate) or len(losses) < 2:
        return
    near = min(losses[1:], key=lambda point: abs(point.step - stop.value))
    if isinstance(near.beyond, Estimate) and near.beyond.sign:
        yield (
            f"Do not go by that stop: at step {near.step:,} SFT loss as read had changed by "
            f"{figure_text(near.change, signed=True)}, {figure_text(near.beyond, signed=True, unit=False)} "
            "beyond what the "
            "stop was computed from (A6 is OUTSIDE ITS CONDITIONS: the run is off the RL path, or on other prompts)."
        )


def _rate(rate: Estimate) -> str:
    if np.isfinite(rate.upper):
        return figure_text(rate, unit=False)
    return f"{number(rate.value, 2)} [{number(rate.lower, 2)}, \u221e)"


def _steps(figure: Estimate) -> str:
    ends = "" if figure.lower == figure.upper else f" [{number(figure.lower, 0)}, {number(figure.upper, 0)}]"
    return f"{number(figure.value, 0)}{ends}"


def _dead(points: Sequence[PlanPoint]) -> Iterator[str]:
    dead = points[-1].dead_groups
    if isinstance(dead, Estimate) and dead.lower > 0.2:
        yield (
            f"At {points[-1].name} a share of {figure_text(dead, unit=False)} of the groups is dead: all of their "
            "rewards are equal, and they teach nothing."
        )


def _measured(losses: Sequence[LossPoint]) -> Iterator[str]:
    if len(losses) < 2:
        return
    last, least = losses[-1], min(losses, key=_value)
    yield (
        f"SFT loss as read changed by {figure_text(last.change, signed=True)} from step {losses[0].step:,} to "
        f"{last.step:,}; it was least at step {least.step:,} of the {len(losses)} that were read."
    )
    if isinstance(last.right, Estimate):
        yield (
            f"Of that, {figure_text(last.right, signed=True, unit=False)} lies on the expert\u2019s right responses "
            f"(damage, if positive) and {figure_text(last.wrong, signed=True, unit=False)} on its wrong ones "
            "(unlearning that the reward asks for, A11)."
        )
    yield from _tilted(last)
    if isinstance(last.beyond, Estimate):
        on = "which is off the RL path, or of other prompts" if last.beyond.sign else "which is not resolved from 0"
        yield f"Beyond what rewards forecast it changed by {figure_text(last.beyond, signed=True)}, {on}."


def _tilted(last: LossPoint) -> Iterator[str]:
    """A10: what of the change this reward asks for, and what not."""
    tilt, off_path = last.tilt, last.off_path
    if isinstance(tilt, Estimate) and isinstance(off_path, Estimate):
        words = {1: "more than so much reward asks for", -1: "less than so much reward asks for",
                 0: "not resolved from 0"}[off_path.sign]  # fmt: skip
        yield (
            f"Of the same change, {figure_text(tilt, signed=True, unit=False)} comes with the tilt of the first policy "
            f"that earns this reward and {figure_text(off_path, signed=True, unit=False)} lies off the RL path: "
            f"{words} (A10, if SFT has the rollouts\u2019 prompts)."
        )


def _value(point: LossPoint) -> float:
    return point.sft_loss.value if isinstance(point.sft_loss, Estimate) else np.inf


def conditions_of(
    groups: Groups, path: RewardPath, expert: Expert, losses: Losses | None, keys: Mapping[str, int]
) -> tuple[str, ...]:
    """What must hold, and what is known of it; `keys` are the numbers of all prompts, the rollouts' first."""
    read = () if losses is None else _read(groups, losses, keys)
    return (*_prompts(groups), *_smoothing(path), *_law(expert, losses), *read, *_filtered(groups))


def _prompts(groups: Groups) -> Iterator[str]:
    seen = np.bincount(np.unique(groups.prompts, return_inverse=True)[1])
    if len(groups.starts) == 1:
        return
    if seen.min() == len(groups.starts):
        yield "Every step has the same prompts: differences between steps are paired."
    else:
        yield (
            f"Steps have different prompts ({len(seen):,} in all, a prompt at {seen.mean():.1f} of "
            f"{len(groups.starts)} points): R and V along steps compare different prompts, and intervals hold that."
        )


def _smoothing(path: RewardPath) -> Iterator[str]:
    if max(path.spans) > 1:
        words = [f"{name} over {span} points" for name, span in zip(("R", "V"), path.spans, strict=True) if span > 1]
        yield f"Curves are local parabolas ({', '.join(words)}), as wide as that noise asks for."


def _read(groups: Groups, losses: Losses, keys: Mapping[str, int]) -> Iterator[str]:
    """On whose prompts SFT loss was read."""
    there = np.isin(losses.prompts, groups.prompts)
    found = counted(len(losses.prompts), "prompt")
    if there.all():
        yield f"SFT loss was read on {found}, all of which the rollouts have."
    elif there.any():
        yield (
            f"SFT loss was read on {found}, {there.sum():,} of which the rollouts have; the others are taken for more "
            "of the same kind."
        )
    else:
        names = list(keys)
        yield (
            f"SFT loss was read on {found}, none of which the rollouts have: what rewards forecast holds for it only "
            "if they are of the same kind. If they are meant to be the same, write them alike: --logprobs has "
            f"{first_words([names[losses.prompts[0]]])}, the rollouts {first_words(names)}."
        )


def _law(expert: Expert, losses: Losses | None) -> Iterator[str]:
    if isinstance(expert.reward, Unresolved):
        return
    shared = "" if expert.shared is None else f" ({expert.shared:.0%} of the rollouts\u2019 prompts are scored)"
    read = "; --logprobs FILE would show" if losses is None else ""
    yield (
        f"C7, A4 and A6 need SFT data on the same prompts{shared} and a policy on the RL path{read}; A10 needs those "
        "prompts only."
    )


def _filtered(groups: Groups) -> Iterator[str]:
    binary = np.isin(groups.values, (0.0, 1.0)).all()
    if binary and len(groups.dead) >= NO_DEAD_FROM and not groups.dead.any():
        yield (
            f"None of {len(groups.dead):,} groups is dead: if the trainer leaves dead groups out of its dumps "
            "(dynamic sampling), R and V are those of the groups that it kept."
        )
