"""A8: SFT takes the reward towards the expert's, down if and only if the start earned more.

Condition: the policy moves on the mixture line from the start to the expert. Where the sign agrees, the distance from
the line is read in SFT loss, at the place that earns the final reward. Where it does not, no place on the line earns
that reward; the law is contradicted only if the expert's responses alone show (A9) that the reward must have moved its
way.
"""

from __future__ import annotations

from interlace.analysis.changes import REWARD_UNIT
from interlace.analysis.mixture_line import MixtureLine, match_reward, mixture_line, reward_slack
from interlace.analysis.passage import Passage, expert_reward
from interlace.analysis.summary import NOT_RESOLVED, OUTSIDE, Verdict
from interlace.analysis.verdicts.judgement import SMALL, is_small, judge_sign
from interlace.analysis.words import signed
from interlace.estimate import Estimate, Figure, Unresolved
from interlace.statistics import paired_change

LAW = "A8"


def verdicts(passage: Passage) -> tuple[Verdict, ...]:
    """One verdict: the sign of the stage's change of reward."""
    prediction = paired_change(passage.rewards[0], passage.both.expert_reward, unit=REWARD_UNIT)
    measurement = passage.reward_change(0, -1)
    met, condition = _condition(passage, prediction, measurement)
    judgement = judge_sign(prediction, measurement, met)
    ending = {
        NOT_RESOLVED: "",
        OUTSIDE: ", but the policy did not move on the law's line as far as can be told",
    }.get(judgement.verdict, ", and the policy moved near the law's line")
    way = {1: "raises", -1: "lowers"}.get(prediction.sign, "leaves")
    return (
        Verdict(
            law=LAW,
            verdict=judgement.verdict,
            prediction=prediction,
            measurement=measurement,
            conditions=(_parity_condition(passage, prediction), condition),
            sentence=(
                f"SFT on the law's line {way} reward, towards the expert's: by {signed(prediction)} in all. It changed "
                f"by {signed(measurement)}; {judgement.reason}{ending}."
            ),
            weights=passage.trajectory.weights,
        ),
    )


def _parity_condition(passage: Passage, prediction: Figure) -> str:
    return f"the expert earns {expert_reward(passage.both)}; from the start's reward to that it is {signed(prediction)}"


def _condition(passage: Passage, prediction: Figure, measurement: Figure) -> tuple[bool, str]:
    """Whether the policy moved on the mixture line, and how that was measured."""
    line = mixture_line(passage.both)
    if isinstance(line, Unresolved):
        return False, f"the policy moves on the mixture line: not measured, {line.reason}"
    if prediction.sign == 0:
        return False, "the policy moves on the mixture line: the start earns what the expert does, so no place is told"
    if prediction.sign == -measurement.sign:
        return _pinned(passage, line, prediction)
    match = match_reward(line, passage.both.start, passage.both.end, passage.both.expert_reward)
    words = (
        f"the policy moves on the mixture line: {match.share:.2f} of the way, where the reward is the measured one, "
        f"the SFT loss has changed by {signed(match.change)}; measured is {signed(match.distance)} more, small if "
        f"within {SMALL} of that"
    )
    return is_small(match.distance, match.change), words


def _pinned(passage: Passage, line: MixtureLine, prediction: Figure) -> tuple[bool, str]:
    """Whether the expert's responses alone show that the reward moved as the law says."""
    share, slack = reward_slack(line, passage.both.end, passage.both.reward_range)
    words = (
        f"the policy moves on the mixture line: its SFT loss is that of {share:.2f} of the way, and the expert's "
        f"responses leave the reward free to be {slack} away from the line's"
    )
    if not (isinstance(slack, Estimate) and isinstance(prediction, Estimate)):
        return False, words
    return slack.upper < share * min(abs(prediction.lower), abs(prediction.upper)), words
