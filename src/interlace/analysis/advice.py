"""What to do next, from resolved figures only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from interlace.analysis.alternatives import Alternative, alternative, best_between
from interlace.analysis.changes import OBJECTIVES
from interlace.analysis.passage import Passage
from interlace.analysis.summary import AT_FAULT, StageSummary
from interlace.analysis.trajectory import REWARD, SFT_LOSS, Snapshot, Trajectory
from interlace.analysis.words import signed, value
from interlace.estimate import Estimate, figure_text
from interlace.measurement import AVERAGED, RAW
from interlace.statistics import paired_change, ratio_interval
from interlace.statistics.intervals import LEVEL
from interlace.wording import number

_NOTHING = (
    "Nothing is resolved in this run: every change lies within its interval. Measure more held-out prompts, or train "
    "for longer, before drawing any conclusion."
)


def stage_advice(stage: StageSummary, passages: Mapping[str, Passage], line: Trajectory) -> tuple[str, ...]:
    """What one stage's own figures advise. `line`: the straight line from its start to its end, if measured."""
    raw = passages[RAW]
    found = [*_distrust(stage), *_continue(stage)]
    if broken := _mend_the_reward(stage, raw):
        return (*found, *broken)
    if stage.kind == "rl" and stage.placebo is None and raw.gap is None:
        average = passages[AVERAGED].trajectory if AVERAGED in passages else None
        others = _other_weights(raw, average, line)
        found += [*_stop_earlier(stage, raw, others), *_mend_the_data(stage), *_ship(stage, others)]
    return tuple(found)


def run_advice(stages: Sequence[StageSummary], advice: Sequence[str]) -> tuple[str, ...]:
    """The stages' advice, and what only their order shows."""
    undone = [sentence for before, after in pairwise(stages) for sentence in _undone(before, after)]
    resolved = any(change.change.sign for stage in stages for change in stage.objectives)
    if stages and not resolved and not advice:
        return (_NOTHING,)
    return (*advice, *undone)


def _distrust(stage: StageSummary) -> list[str]:
    at_fault = dict.fromkeys(check.law for check in stage.self_checks if check.verdict == AT_FAULT)
    if not at_fault:
        return []
    return [
        f"Do not use the figures of {stage.name} yet: {', '.join(at_fault)} failed, which no policy can do, so an "
        "estimator or the scoring is wrong."
    ]


def _continue(stage: StageSummary) -> list[str]:
    if stage.diverged is not None:
        return [
            f"Lower the learning rate of {stage.name} or set max_grad_norm: its weights were not finite after step "
            f"{stage.diverged}. A run that trains it anew needs --fresh."
        ]
    if stage.has_ended:
        return []
    missing = stage.steps_planned - stage.steps_done
    return [f"{stage.name} lacks {missing} of {stage.steps_planned} steps: run the same command again to go on."]


def _mend_the_reward(stage: StageSummary, raw: Passage) -> list[str]:
    """A reward that failed, or that gave one and the same number to everything: nothing else that it says counts."""
    if raw.stage.dead_reward is not None:
        failed = raw.stage.dead_reward.rstrip(".")
        return [
            f"Mend the reward of {stage.name}, then train again: {failed}. From there on nothing of it was measured."
        ]
    if stage.kind != "rl" or raw.trajectory.gap(REWARD) is not None:
        return []
    earned = raw.trajectory.measured(REWARD)
    if earned.reward_range > 0.0:
        return []
    return [
        f"Mend the reward of {stage.name}: all that it scored earned {number(float(earned.end.reward.mean()))}, at the "
        "start and at the end, so there was nothing to follow. Try it by hand on a right and on a wrong response."
    ]


def _stop_earlier(stage: StageSummary, raw: Passage, others: Mapping[str, Alternative]) -> list[str]:
    """RL past the least SFT loss: what the rest cost, and bought; if that is the start, what a nat bought."""
    step = stage.least_sft_loss_step
    if not isinstance(step, int) or step not in raw.both.steps[:-1]:
        return []
    index = raw.both.steps.index(step)
    cost, bought = raw.loss_change(index, -1), raw.reward_change(index, -1)
    if cost.sign <= 0 or not isinstance(cost, Estimate):
        return []
    if step == 0:
        return [_price(stage.name, raw, others)]
    reward = value(stage.reward_at_least_sft_loss)
    return [
        f"To keep the SFT skills, stop {stage.name} near step {step} (reward {reward}), {_least_of_looks(raw, step)}: "
        f"from there to its end SFT loss changed by {signed(cost)}, for a change of reward of {signed(bought)}."
    ]


def _least_of_looks(raw: Passage, step: int) -> str:
    """From how many looks the least SFT loss was picked, and between which steps it may as well lie: those looks whose
    SFT loss is not resolved above it, paired, with 5 % error over all of them."""
    measured = raw.trajectory.measured(SFT_LOSS).snapshots
    looks = [look for look in measured if np.isfinite(look.loss).all()]
    level = 1.0 - (1.0 - LEVEL) / (len(looks) - 1)
    least = next(look for look in looks if look.step == step)
    apart = [paired_change(least.loss, look.loss, unit="nats/response", level=level).sign > 0 for look in looks]
    alike = [look.step for look, is_above in zip(looks, apart, strict=True) if not is_above]
    picked = f"the least SFT loss of {len(looks)} looks"
    if len(alike) == 1:
        return f"{picked}, resolved below all others"
    if looks[-1].step in alike:
        return f"{picked}, though where it is least is not resolved: steps {alike[0]} to {alike[-1]} are not told apart"
    return f"{picked}, not told apart from steps {alike[0]} to {alike[-1]}"


def _price(name: str, raw: Passage, others: Mapping[str, Alternative]) -> str:
    """What RL that raised SFT loss from its start on bought with it, and what was cheaper."""
    start, end, bought = raw.both.start, raw.both.end, raw.reward_change(0, -1)
    rose = f"Every measured step of {name} had a higher SFT loss than its start"
    if bought.sign <= 0:
        return f"{rose}, and its end shows no gain of reward for it ({signed(bought)}): go back to its start."
    per_nat = ratio_interval(end.reward - start.reward, end.loss - start.loss, unit="reward units/nat")
    cheaper = "; ".join(f"{what}, {_bargain(start, other.snapshot)}" for what, other in others.items())
    return (
        f"{rose}. All of it bought reward {_bargain(start, end)}: {figure_text(per_nat)}, so stop earlier only if a "
        "nat is worth more to you." + (f" Cheaper: {cheaper}." if cheaper else "")
    )


def _bargain(start: Snapshot, end: Snapshot) -> str:
    """A change of reward for a change of SFT loss."""
    bought, cost = (OBJECTIVES[name].change(start, end) for name in ("reward", "sft_loss"))
    return f"{signed(bought, unit=False)} for {signed(cost)}"


def _mend_the_data(stage: StageSummary) -> list[str]:
    """A rise of SFT loss that lies on wrong expert responses alone."""
    split = stage.split[stage.ends_with]
    on_wrong_alone = split.wrong.sign > 0 and split.right.sign <= 0 and isinstance(split.right, Estimate)
    if stage.sft_loss.change.sign <= 0 or not on_wrong_alone:
        return []
    return [
        f"The rise of SFT loss in {stage.name} lies on the expert's wrong responses ({signed(split.wrong)}; right ones "
        f"{signed(split.right)}): correct the SFT data rather than hold RL back."
    ]


def _other_weights(raw: Passage, average: Trajectory | None, line: Trajectory) -> dict[str, Alternative]:
    """Averaged and interpolated weights that beat the run's own at equal reward, by what they are."""
    ended = alternative(raw, average.end) if average is not None else None
    found = {"the averaged weights": ended} if isinstance(ended, Alternative) and ended.gain.sign > 0 else {}
    between = best_between(raw, line)
    if between is not None:
        found[f"the weights at {between.snapshot.position:.2f} of the straight line from start to end"] = between
    return found


def _ship(stage: StageSummary, others: Mapping[str, Alternative]) -> list[str]:
    """One sentence a stage: what to take of it, and by what to choose where there are several."""
    found = [
        f"{what} (reward {value(other.reward)} at SFT loss {value(other.sft_loss)}; the run's own weights had "
        f"{signed(other.gain)} more when they passed that reward)"
        for what, other in others.items()
    ]
    if not found:
        return []
    choice = ", by the reward that you need" if len(found) > 1 else ""
    return [f"If you ship {stage.name}, take {' or '.join(found)}{choice}."]


def _undone(before: StageSummary, after: StageSummary) -> list[str]:
    """SFT that took back what the RL before it had gained."""
    gained, lost = before.reward.change, after.reward.change
    if (before.kind, after.kind, before.task) != ("rl", "sft", after.task) or gained.sign <= 0 or lost.sign >= 0:
        return []
    return [
        f"{after.name} took back reward ({signed(lost)}) of what {before.name} had gained ({signed(gained)})"
        f"{_early(after)}: stop it earlier, mix RL into it, or leave it out and ship what came before."
    ]


def _early(stage: StageSummary) -> str:
    """What the first measured step already had."""
    curve = stage.curve()
    if curve is None or len(curve) < 3:
        return ""
    return f"; by step {curve.steps[1]} reward was {value(curve.reward[1])} at SFT loss {value(curve.sft_loss[1])}"
