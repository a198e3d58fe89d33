"""A5, the non-decoupling threshold: RL leaves SFT loss lower than it found it while its RL time is below the threshold.

A perfect expert (it earns all that the start can) has no threshold: on the law's path RL then lowers SFT loss for ever,
and the distributional analysis predicts no harm. The prediction is the tilt part of A10, which has the law's sign.
"""

from __future__ import annotations

import math

from interlace.analysis.changes import NATS_RESPONSE
from interlace.analysis.passage import Passage, expert_reward
from interlace.analysis.place import METHOD, EnumeratedStart, Start
from interlace.analysis.splits import RL_TIME_UNIT
from interlace.analysis.summary import NOT_RESOLVED, OUTSIDE, Verdict
from interlace.analysis.verdicts.judgement import Judgement, is_small, judge_sign, off_path_condition, off_path_words
from interlace.analysis.words import signed
from interlace.estimate import Estimate, Figure, Unresolved, exact
from interlace.statistics import mean_interval
from interlace.theory.distributional import non_decoupling_threshold
from interlace.theory.distributional.tilt import log_partition, tilt_of, tilted_policy
from interlace.theory.finite import FiniteProblem, prompt_reward

LAW = "A5"


def verdicts(passage: Passage) -> tuple[Verdict, ...]:
    """One verdict: the sign of L(end) - L(start)."""
    end = passage.place(-1)
    measurement = passage.loss_change(0, -1)
    if isinstance(end, Unresolved):
        return (_verdict(passage, Judgement(NOT_RESOLVED, str(end)), end, measurement, (str(end),)),)
    parts = [mean_interval(values, unit=NATS_RESPONSE, method=METHOD) for values in (end.tilt, end.off_path)]
    prediction, off_path = parts
    time = mean_interval(end.time, unit=RL_TIME_UNIT, method=METHOD)
    judgement = _rl_time_refusal(time) or judge_sign(prediction, measurement, is_small(off_path, prediction))
    conditions = (
        f"the expert earns {expert_reward(passage.both)}, and the start {signed(passage.parity_gap(0))} against that",
        _threshold_condition(passage.start, time),
        off_path_condition(off_path),
    )
    judgement = Judgement(judgement.verdict, judgement.reason + off_path_words(judgement, off_path))
    return (_verdict(passage, judgement, prediction, measurement, conditions),)


def _verdict(
    passage: Passage, judgement: Judgement, prediction: Figure, measurement: Figure, conditions: tuple[str, ...]
) -> Verdict:
    return Verdict(
        law=LAW,
        verdict=judgement.verdict,
        prediction=prediction,
        measurement=measurement,
        conditions=conditions,
        sentence=f"{_law_words(passage, prediction)} It changed by {signed(measurement)}; {judgement.reason}.",
        weights=passage.trajectory.weights,
    )


def _law_words(passage: Passage, prediction: Figure) -> str:
    """What the law says of this stage."""
    predicted = f"On the law's path this much reward would change SFT loss by {signed(prediction)}."
    limit = perfect_expert_fall(passage.start)
    if limit is None:
        return predicted
    return (
        "The expert is perfect (it earns all that the start can), so the distributional analysis predicts no harm: on "
        f"the law's path RL lowers SFT loss for ever, by {limit} in all. {predicted}"
    )


def _rl_time_refusal(time: Figure) -> Judgement | None:
    if time.sign > 0:
        return None
    if time.sign < 0:
        return Judgement(OUTSIDE, f"the reward fell, so there was no RL time for the law to speak of ({signed(time)})")
    return Judgement(NOT_RESOLVED, f"the RL time is not told from 0 ({signed(time)})")


def _threshold_condition(start: Start, time: Figure) -> str:
    found = threshold(start)
    if isinstance(found, Estimate) and math.isinf(found.value):
        return f"the threshold is infinite (perfect expert); the stage's RL time is {time}"
    return f"the stage's RL time is {time}; the threshold is {found}"


def threshold(start: Start) -> Figure:
    """The RL time from which SFT loss stays above its start, with its error over prompts; inf for a perfect expert."""
    if not isinstance(start, EnumeratedStart):
        return Unresolved("the threshold needs the start's law of reward enumerated, and it was sampled")
    problem = start.problem
    found = non_decoupling_threshold(problem)
    if found in (0.0, math.inf):
        return exact(found, RL_TIME_UNIT, n=problem.prompts.size)
    expert = prompt_reward(problem, problem.expert)
    excess = log_partition(problem, found) - found * expert  # mean 0 at the threshold, slope R(pi) - R_D there
    slope = float((prompt_reward(problem, tilted_policy(problem, found)) - expert).mean())
    return mean_interval(found - excess / slope, unit=RL_TIME_UNIT, method="influence function over prompts")


def perfect_expert_fall(start: Start) -> Figure | None:
    """All that RL can take off the SFT loss of a perfect expert, nats/response; None if the expert is not perfect."""
    if not isinstance(start, EnumeratedStart) or not _is_perfect(start.problem):
        return None
    return mean_interval(-tilt_of(start.problem, math.inf).log_mass, unit=NATS_RESPONSE)


def _is_perfect(problem: FiniteProblem) -> bool:
    return math.isinf(non_decoupling_threshold(problem))
