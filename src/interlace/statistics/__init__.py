"""Intervals: no figure travels without one.

`intervals` (Student t over prompts or seeds, Wilson), `bounded` (levels of reward), `bootstrap` (prompts as clusters),
`partition` (C4), `divergence` (C5), `comparison` (paired differences, exact McNemar).
"""

from interlace.statistics.bootstrap import bootstrap_interval, prompt_weights
from interlace.statistics.bounded import bounded_mean_interval, reward_interval
from interlace.statistics.comparison import Flips, PairedDifference, mcnemar, paired_difference
from interlace.statistics.divergence import prefix_kl, response_kl
from interlace.statistics.intervals import (
    influence_interval,
    mean_interval,
    paired_change,
    paired_ratio_change,
    rate_interval,
    ratio_interval,
    seed_interval,
)
from interlace.statistics.partition import effective_samples, mean_log_partition, sampled_log_partition

__all__ = [
    # over prompts
    "mean_interval",
    "bounded_mean_interval",
    "reward_interval",
    "paired_change",
    "ratio_interval",
    "paired_ratio_change",
    "rate_interval",
    "influence_interval",
    # over seeds
    "seed_interval",
    # by resampling prompts
    "prompt_weights",
    "bootstrap_interval",
    # between two points
    "paired_difference",
    "PairedDifference",
    "mcnemar",
    "Flips",
    # of the theory's quantities
    "effective_samples",
    "sampled_log_partition",
    "mean_log_partition",
    "prefix_kl",
    "response_kl",
]
