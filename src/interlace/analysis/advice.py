"""What to do next, from resolved figures only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from interlace.analysis.alternatives import Alternative, alternative, best_between
from interlace.analysis.passage import Passage
from interlace.analysis.summary import AT_FAULT, StageSummary
from interlace.analysis.trajectory import Trajectory
from interlace.analysis.words import signed, value
from interlace.estimate import Estimate
from interlace.measurement import AVERAGED, RAW

_NOTHING = (
    "Nothing is resolved in this run: every change lies within its interval. Measure more held-out prompts, or train "
    "for longer, before drawing any conclusion."
)


def stage_advice(stage: StageSummary, passages: Mapping[str, Passage], line: Trajectory) -> tuple[str, ...]:
    """What one stage's own figures advise. `line`: the straight line from its start to its end, if measured."""
    found = [*_distrust(stage), *_continue(stage)]
    raw = passages[RAW]
    if stage.kind == "rl" and stage.placebo is None and raw.gap is None:
        average = passages[AVERAGED].trajectory if AVERAGED in passages else None
        found += [*_stop_earlier(stage, raw), *_mend_the_data(stage), *_other_weights(stage, raw, average, line)]
    return tuple(found)


def run_advice(stages: Sequence[StageSummary], advice: Sequence[str]) -> tuple[str, ...]:
    """The stages' advice, and what only their order shows."""
    undone = [sentence for before, after in pairwise(stages) for sentence in _undone(before, after)]
    resolved = any(change.change.sign for stage in stages for change in stage.objectives)
    return (*advice, *undone) if resolved or not stages else (*advice, _NOTHING)


def _distrust(stage: StageSummary) -> list[str]:
    at_fault = dict.fromkeys(check.law for check in stage.self_checks if check.verdict == AT_FAULT)
    if not at_fault:
        return []
    return [
        f"Do not use the figures of {stage.name} yet: {', '.join(at_fault)} failed, which no policy can do, so an "
        "estimator or the scoring is wrong."
    ]


def _continue(stage: StageSummary) -> list[str]:
    missing = stage.steps_planned - stage.steps_done
    if missing <= 0:
        return []
    return [f"{stage.name} lacks {missing} of {stage.steps_planned} steps: run the same command again to go on."]


def _stop_earlier(stage: StageSummary, raw: Passage) -> list[str]:
    """RL past the least SFT loss: what the rest cost, and bought."""
    step = stage.least_sft_loss_step
    if not isinstance(step, int) or step not in raw.both.steps[:-1]:
        return []
    index = raw.both.steps.index(step)
    cost, bought = raw.loss_change(index, -1), raw.reward_change(index, -1)
    if cost.sign <= 0 or not isinstance(cost, Estimate):
        return []
    where = f"near step {step}" if step else "before it starts"
    reward = value(stage.reward_at_least_sft_loss)
    return [
        f"To keep the SFT skills, stop {stage.name} {where} (reward {reward}): from there to its end SFT loss changed "
        f"by {signed(cost)}, for a change of reward of {signed(bought)}."
    ]


def _mend_the_data(stage: StageSummary) -> list[str]:
    """A rise of SFT loss that lies on wrong expert responses alone."""
    split = stage.split[RAW]
    on_wrong_alone = split.wrong.sign > 0 and split.right.sign <= 0 and isinstance(split.right, Estimate)
    if stage.sft_loss.change.sign <= 0 or not on_wrong_alone:
        return []
    return [
        f"The rise of SFT loss in {stage.name} lies on the expert's wrong responses ({signed(split.wrong)}; right ones "
        f"{signed(split.right)}): correct the SFT data rather than hold RL back."
    ]


def _other_weights(stage: StageSummary, raw: Passage, average: Trajectory | None, line: Trajectory) -> list[str]:
    """Averaged and interpolated weights that beat the run's own at equal reward."""
    found = []
    ended = alternative(raw, average.end) if average is not None else None
    if isinstance(ended, Alternative) and ended.gain.sign > 0:
        found.append(_ship(ended, f"Ship the averaged weights of {stage.name}"))
    between = best_between(raw, line)
    if between is not None:
        way = f"{between.snapshot.position:.2f} of the straight way from its start to its end"
        found.append(_ship(between, f"Interpolate the weights of {stage.name}, {way}"))
    return found


def _ship(item: Alternative, what: str) -> str:
    return (
        f"{what}: reward {value(item.reward)} at SFT loss {value(item.sft_loss)}, where the run's own weights had "
        f"{signed(item.gain)} more when they passed that reward."
    )


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
