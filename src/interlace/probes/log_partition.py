"""log Z of the stage's start: what its tilt towards reward costs in nats, at the RL time that the policy stands at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace.estimate import Figure, Unresolved
from interlace.measurement import PromptScores
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.probes.reward import Reward, start_law
from interlace.statistics import mean_interval, mean_log_partition
from interlace.statistics.tilted_start import SampledStart, Start, start_of

METHOD = "influence function over prompts, RL time matched in reward"


class LogPartition:
    """E_x log Z_tau(x) with Z = E_{y ~ start} exp(tau r), nats: A1's increase of SFT loss is it minus tau R_D.

    At tau = `rl_time_matched_in_reward` (per reward unit), where the tilted start earns what the policy earns now; its
    interval counts the error of tau. At the stage's start instead `log_partition/TAU` at a few RL times: divided by
    TAU it is A5's F, and RL to TAU leaves the SFT loss lower than it found it where F is below R_D.

    Enumerated rewards give the start's law exactly. From K sampled rewards a prompt log Z is jackknifed (C4) and
    refused where too few effective samples carry the tilt: with K = 8 that is soon past one e-fold of the reward.

    Args:
        rl_times: what is read at the stage's start, per reward unit.

    Cost: none beyond the probe `reward`; that of `reward` under the start where nobody recorded it.
    """

    name = "log_partition"
    sentence = "log Z of the start's tilt that earns the present reward, and the RL time of that tilt"
    source = "A1, A5, C4"
    cost: Price = "forward"
    needs: tuple[str, ...] = ("logprobs", "completions", "start_scores")

    def __init__(self, rl_times: Sequence[float] = (1.0, 2.0, 4.0)) -> None:
        self.rl_times = tuple(rl_times)

    def applies(self, context: ProbeContext) -> bool:
        """Where the task has a reward."""
        return context.target.task.reward is not None

    def measure(self, context: ProbeContext) -> Reading:
        """Tilt the start."""
        start = _start(start_law(context))
        if context.is_at_start:
            return Reading({f"log_partition/{time:g}": _at(start, time, context.level) for time in self.rl_times})
        now = PromptScores(**context.reading(Reward()).scores)
        return Reading(_matched(start, now, context.level))


def _start(law: PromptScores) -> Start:
    assert law.reward_values is not None and law.reward_probabilities is not None
    return start_of(law.reward_values, law.reward_probabilities, law.mean_reward(), is_exact=law.reward_is_exact)


def _at(start: Start, rl_time: float, level: float) -> Figure:
    if isinstance(start, SampledStart):
        return mean_log_partition(start.rewards, rl_time, level=level)
    return mean_interval(start.log_partition(rl_time), unit="nats", level=level)


def _matched(start: Start, now: PromptScores, level: float) -> dict[str, Figure]:
    """Both figures from pseudo-values: E_x[R_x - R_x(pi_tau)] = 0 has slope -V(pi_tau) in tau, E log Z slope R."""
    reward = now.mean_reward()
    rl_time = start.matching_time(float(reward.mean()))
    if isinstance(rl_time, Unresolved):
        return {"log_partition": rl_time, "rl_time_matched_in_reward": rl_time}
    earned = start.tilted_reward(rl_time)
    time = rl_time + (reward - earned) / start.tilted_variance(rl_time)
    partition = start.log_partition(rl_time) + float(np.mean(earned)) * (time - rl_time)
    return {
        "log_partition": mean_interval(partition, unit="nats", method=METHOD, level=level),
        "rl_time_matched_in_reward": mean_interval(time, unit="per reward unit", method=METHOD, level=level),
    }
