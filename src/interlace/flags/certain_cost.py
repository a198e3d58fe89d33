"""Flag: at this reward no policy of any method has the SFT loss that the stage began with (D13)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interlace.analysis.parity_gap import parity_gap
from interlace.estimate import Estimate
from interlace.flags.base import Evidence
from interlace.statistics import mean_interval
from interlace.theory.frontier.floor import sft_loss_floor_from_figures
from interlace.wording import number


class CertainCost:
    """What D13's floor H + 2 ((R - R_D)_+ / w)^2 adds to H, at the reward's lower end, lies above the upper end of the
    start's SFT loss less H by more than `MATERIAL` of that loss.

    H is the expert's entropy where the expert is known, else 0, which only lowers the floor. It is taken off prompt by
    prompt, so that the interval holds its sampling error too; what is left is never below 0 (KL of the expert to the
    start). w is the range of rewards over all responses there are, and a smaller one would make the floor too high:
    that of enumerated rewards, or 1 where all seen are 0 or 1. Of other sampled rewards the range is not known, and the
    rule does not apply. The floor is a bound: it may stay silent where the cost is certain, and holds for every method.
    """

    name = "certain_cost"
    sentence = "at this reward no method has the SFT loss that the stage began with"
    source = "D13"
    cost = "none beyond SFT loss and reward"

    def applies(self, evidence: Evidence) -> bool:
        """Where both objectives are measured, and the expert's reward and the reward's range are known."""
        return evidence.has_loss and evidence.has_reward and _width(evidence) is not None

    def raised(self, evidence: Evidence) -> str | None:
        """Said at the first look where the floor is resolved that far above the start."""
        level = (1.0 + evidence.level) / 2.0  # two intervals share the rule's error
        gap = parity_gap(evidence.now, evidence.expert_reward, level=level)
        began = mean_interval(evidence.start.loss - _surprise(evidence), unit="nats/response", level=level, least=0.0)
        width = _width(evidence)
        if not isinstance(gap, Estimate) or not isinstance(began, Estimate) or width is None:
            return None
        floor = sft_loss_floor_from_figures(0.0, gap.lower, 0.0, width)
        if floor <= began.upper + evidence.material_rise:
            return None
        known = evidence.held.expert_is_known
        below = "comes closer to the expert's entropy than" if known else "has an SFT loss below"
        return (
            f"step {evidence.step}: at this reward on {evidence.held.task}, {number(gap.lower, 3)} or more above the "
            f"expert's, no method {below} {number(floor, 3)} nats/response (D13); the stage began at {began}"
        )


def _width(evidence: Evidence) -> float | None:
    """w, reward units; None where sampled rewards do not tell it."""
    both = evidence.start_scores, evidence.scores
    if all(scores.reward_is_exact for scores in both):
        return evidence.trajectory.reward_range
    seen = [scores.reward_values for scores in both if scores.reward_values is not None]
    are_binary = evidence.held.reward_is_binary and all(np.isin(values, (0.0, 1.0)).all() for values in seen)
    return 1.0 if are_binary else None


def _surprise(evidence: Evidence) -> Float[np.ndarray, "prompt"]:
    """H of each prompt, nats/response; 0 where only single responses of the expert are known."""
    held = evidence.held
    if not held.expert_is_known:
        return np.zeros(held.num_prompts)
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = np.where(held.probability > 0.0, -np.log(held.probability), 0.0)
    return held.per_prompt(surprise)
