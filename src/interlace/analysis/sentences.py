"""What a stage did, in sentences that a post-training engineer understands. Only resolved figures make claims."""

from __future__ import annotations

from collections.abc import Mapping

from interlace.analysis.lenient import disagreement
from interlace.analysis.summary import StageSummary
from interlace.analysis.words import STAGE_WORDS, from_to, signed, value
from interlace.estimate import Estimate, Figure
from interlace.measurement import AVERAGED, RAW

_MEANING: Mapping[tuple[str, str, int], str] = {
    ("rl", "wrong", 1): "unlearning that the reward asks for",
    ("rl", "wrong", -1): "imitated better",
    ("rl", "right", 1): "damage",
    ("rl", "right", -1): "no damage",
    ("sft", "wrong", 1): "unlearnt",
    ("sft", "wrong", -1): "imitated better",
    ("sft", "right", 1): "damage",
    ("sft", "right", -1): "learnt",
}
"""What a resolved contribution means, by kind of stage, side of the expert's responses and sign."""


def stage_sentence(stage: StageSummary) -> str:
    """What the stage did to reward and SFT loss, on which expert responses, and what it passed on the way."""
    return f"{_lead(stage)}{_effects(stage)} {stage_remark(stage)}".rstrip()


def stage_remark(stage: StageSummary) -> str:
    """The same without both objectives' changes, for a place that shows them in figures."""
    return " ".join(part for part in _remarks(stage) if part)


def _remarks(stage: StageSummary) -> tuple[str, ...]:
    return _stop(stage), _blend(stage), _format(stage), _sides(stage), _way(stage), _average(stage)


def _format(stage: StageSummary) -> str:
    """Where the training parser and a lenient one disagree."""
    reward, lenient = (stage.objective(name, RAW).change for name in ("reward", "reward_lenient"))
    return disagreement(stage.format_excess, reward, lenient)


def _lead(stage: StageSummary) -> str:
    kind = STAGE_WORDS.get(stage.kind, stage.kind)
    subject = f"{kind} (a control: {stage.control})" if stage.control else kind
    if not stage.has_ended:
        return f"So far ({stage.steps_done} of {stage.steps_planned} steps) {subject} "
    return f"{subject} "


def _stop(stage: StageSummary) -> str:
    """Why its rule ended the stage."""
    if stage.stopped is None:
        return ""
    sentence = stage.stopped.sentence
    return f"{sentence[0].upper()}{sentence[1:]}"


def _blend(stage: StageSummary) -> str:
    """With which weights it ended, and what it had come to before."""
    if stage.blend is None:
        return ""
    reward, loss = stage.objective("reward", RAW), stage.objective("sft_loss", RAW)
    where = {0.0: "its start", 1.0: "its end"}.get(stage.blend, f"{stage.blend:g} of the way from its start to its end")
    if stage.kind == "merge":
        return f"It ended with a blend, the weights of {where}."
    return (
        f"It ended with a blend, the weights of {where}; training itself had come to reward {value(reward.after)} "
        f"({signed(reward.change, unit=False)}) and SFT loss {value(loss.after)} ({signed(loss.change, unit=False)})."
    )


def _effects(stage: StageSummary) -> str:
    reward, loss = stage.reward, stage.sft_loss
    if not (isinstance(reward.change, Estimate) or isinstance(loss.change, Estimate)):
        if stage.stopped is not None and stage.stopped.rewound_to == 0 and loss.change == reward.change:
            return f"changed nothing: it was {loss.change.reason}."
        return f"has nothing resolved: SFT loss {loss.change}; reward {reward.change}."
    moved = _moved("reward", reward.before, reward.after, reward.change)
    return f"{moved} and {_moved('SFT loss', loss.before, loss.after, loss.change)}."


def _moved(name: str, before: Figure, after: Figure, change: Figure) -> str:
    if not isinstance(change, Estimate):
        return f"left {name} unmeasured ({change.reason})"
    if change.sign == 0:
        return f"did not move {name} beyond its interval ({signed(change)})"
    verb = "raised" if change.sign > 0 else "lowered"
    return f"{verb} {name} {from_to(before, after)} ({signed(change)})"


def _sides(stage: StageSummary) -> str:
    """A11 in words, where the change it divides is resolved."""
    split = stage.split.get(stage.ends_with)
    if split is None or stage.sft_loss.change.sign == 0 or not isinstance(split.right, Estimate):
        return ""
    moved = "rise" if stage.sft_loss.change.sign > 0 else "fall"
    if isinstance(split.wrong, Estimate) and split.wrong.lower == split.wrong.upper == 0.0:
        return f"The {moved} of SFT loss is all on right expert responses: the expert has no wrong ones."
    kind = stage.kind if stage.kind != "rl" or stage.reward.change.sign > 0 else ""
    wrong, right = _side(kind, "wrong", split.wrong), _side(stage.kind, "right", split.right)
    return f"Of the {moved} of SFT loss, {wrong} on the expert's wrong responses and {right} on its right ones."


def _side(kind: str, side: str, figure: Figure) -> str:
    """Of RL as RL is meant; every other kind of stage in SFT's words, which say what is seen."""
    if figure.sign == 0:
        meaning = "not told from 0"
    elif not kind and figure.sign > 0:
        meaning = "not asked for: reward did not rise"
    else:
        meaning = _MEANING["rl" if kind == "rl" else "sft", side, figure.sign]
    return f"{signed(figure, unit=False)} ({meaning})"


def _way(stage: StageSummary) -> str:
    """Parity and, if it is not the start, the least SFT loss of an RL stage."""
    if stage.kind != "rl" or RAW not in stage.landmarks:
        return ""
    marks = stage.landmarks[RAW]
    sentences = []
    if isinstance(marks.parity_step, int) and isinstance(stage.expert_reward, Estimate):
        passed = f"passed the expert's {value(stage.expert_reward)} by step {marks.parity_step}"
        stood = f"stood above the expert's {value(stage.expert_reward)} from the start"
        sentences.append(f"Reward {passed if marks.parity_step else stood}")
    moved = stage.objective("sft_loss", RAW).change.sign != 0
    if isinstance(marks.least_sft_loss_step, int) and marks.least_sft_loss_step and moved:
        sentences.append(f"SFT loss was least at step {marks.least_sft_loss_step} ({value(marks.least_sft_loss)})")
    return "; ".join(sentences) + "." if sentences else ""


def _average(stage: StageSummary) -> str:
    """Where the averaged weights ended, if they were kept."""
    loss, reward = stage.objective("sft_loss", AVERAGED), stage.objective("reward", AVERAGED)
    if not (isinstance(loss.change, Estimate) and isinstance(reward.change, Estimate)):
        return ""
    return (
        f"Averaged weights ended at reward {value(reward.after)} ({signed(reward.change, unit=False)}) and SFT loss "
        f"{value(loss.after)} ({signed(loss.change, unit=False)})."
    )
