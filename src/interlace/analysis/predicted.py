"""The curve that the laws predict for an RL stage: its start's own tilt, as far as the run's reward went."""

from __future__ import annotations

import numpy as np

from interlace.analysis.changes import NATS_RESPONSE, REWARD_UNIT
from interlace.analysis.passage import Passage
from interlace.analysis.place import EnumeratedStart, Start
from interlace.analysis.summary import PREDICTED, Curve
from interlace.estimate import Figure, Unresolved
from interlace.statistics import mean_interval, reward_interval

NUM_POINTS = 25


def parity_curve(passage: Passage) -> Curve | None:
    """Reward and SFT loss along the RL path of the stage's start (A1), least where reward passes the expert's (A4).

    From RL time 0 to where the path earns what the run's end earns; known from the start's pass rates and the expert's
    reward alone. None for a placebo, a stage other than RL, or where the path cannot be had.
    """
    if passage.stage.kind != "rl" or passage.placebo or passage.gap is not None:
        return None
    end = passage.place(-1)
    if isinstance(end, Unresolved):
        return None
    times = np.linspace(0.0, end.rl_time, NUM_POINTS)
    start, expert = passage.start, passage.both.expert_reward
    loss = passage.both.start.loss
    return Curve(
        task=passage.both.task,
        weights=PREDICTED,
        steps=(0,) * NUM_POINTS,
        positions=tuple(times.tolist()),
        reward=tuple(_tilted_level(start, time) for time in times),
        sft_loss=tuple(
            mean_interval(loss + start.log_partition(time) - time * expert, unit=NATS_RESPONSE) for time in times
        ),
        kl=(Unresolved("not asked of a prediction"),) * NUM_POINTS,
    )


def _tilted_level(start: Start, time: float) -> Figure:
    """What the tilt earns. Student t for a sampled start: jackknifed, a prompt may leave the reward's range."""
    means = start.tilted_reward(time)
    if isinstance(start, EnumeratedStart):
        return reward_interval(means, start.problem.reward, is_exact=True, unit=REWARD_UNIT)
    return mean_interval(means, unit=REWARD_UNIT)
