"""Intervals: no figure travels without one.

`smoothing` and `resampled_means` (curves along a run, whose steps ask different prompts), `intervals` (Student t over
prompts or seeds), `rates` (Wilson, Jeffreys, Clopper-Pearson), `bounded` (levels and changes of reward), `pass_at_k`,
`sequential` (at every n at once), `bootstrap` and `jackknife` (prompts as clusters),
`clustered` (seeds as the outer level), `independent` (sums of means), `comparison`,
`paired_rates` and `sampled` (paired differences, exact McNemar), `multiplicity` and `power` (many comparisons, the
least change that is found), `aggregate` (tasks and seeds), `unbiased` and `signal_share` (C2), `partition` (C4),
`divergence` (C5). What covers how often: `benchmarks/coverage.py`.
"""

from interlace.statistics.aggregate import (
    improvement_interval,
    interquartile_mean,
    interquartile_mean_interval,
    probability_of_improvement,
)
from interlace.statistics.bootstrap import bootstrap_interval, prompt_weights
from interlace.statistics.bounded import bounded_mean_interval, reward_interval, sampled_change, share_interval
from interlace.statistics.clustered import (
    crossed_interval,
    seed_bootstrap_interval,
    seed_prompt_interval,
    seed_prompt_left_out,
    seed_prompt_weights,
)
from interlace.statistics.comparison import Flips, PairedDifference, mcnemar, paired_difference, tested
from interlace.statistics.divergence import prefix_kl, response_kl
from interlace.statistics.independent import sum_of_means_interval
from interlace.statistics.intervals import (
    influence_interval,
    mean_interval,
    paired_change,
    paired_ratio_change,
    ratio_interval,
    seed_interval,
)
from interlace.statistics.jackknife import jackknife_interval, left_out_weights
from interlace.statistics.multiplicity import ADJUSTMENTS, adjusted, simultaneous_intervals, together
from interlace.statistics.paired_rates import rate_change
from interlace.statistics.partition import effective_samples, mean_log_partition, sampled_log_partition
from interlace.statistics.pass_at_k import mean_pass_at_k, pass_at_k
from interlace.statistics.power import detectable_between_seeds, detectable_change, detectable_rate_change
from interlace.statistics.rates import RATE_INTERVALS, rate_interval
from interlace.statistics.resampled_means import Segments, resampled_means
from interlace.statistics.sampled import sampled_difference
from interlace.statistics.sequential import ConfidenceSequence, confidence_sequence, sequential_interval
from interlace.statistics.signal_share import noise_scale, signal_share
from interlace.statistics.smoothing import Smoother, choose_smoother
from interlace.statistics.unbiased import (
    cosine,
    cross_product,
    inner_product,
    inner_products,
    projection,
    squared_norm,
)

__all__ = [
    # over prompts
    "mean_interval",
    "bounded_mean_interval",
    "reward_interval",
    "share_interval",
    "paired_change",
    "sampled_change",
    "sampled_difference",
    "ratio_interval",
    "sum_of_means_interval",
    "paired_ratio_change",
    "influence_interval",
    # of rates
    "rate_interval",
    "RATE_INTERVALS",
    "rate_change",
    "pass_at_k",
    "mean_pass_at_k",
    # at every n at once
    "sequential_interval",
    "confidence_sequence",
    "ConfidenceSequence",
    # over seeds
    "seed_interval",
    "seed_prompt_interval",
    # by resampling
    "prompt_weights",
    "bootstrap_interval",
    "seed_prompt_weights",
    "seed_bootstrap_interval",
    "seed_prompt_left_out",
    "left_out_weights",
    "jackknife_interval",
    "crossed_interval",
    "Segments",
    "resampled_means",
    # along a run
    "choose_smoother",
    "Smoother",
    # between two points
    "paired_difference",
    "PairedDifference",
    "tested",
    "mcnemar",
    "Flips",
    # between many
    "adjusted",
    "ADJUSTMENTS",
    "simultaneous_intervals",
    "together",
    # before a run
    "detectable_change",
    "detectable_rate_change",
    "detectable_between_seeds",
    # over tasks
    "interquartile_mean",
    "interquartile_mean_interval",
    "probability_of_improvement",
    "improvement_interval",
    # of the theory's quantities
    "inner_products",
    "squared_norm",
    "cross_product",
    "inner_product",
    "projection",
    "cosine",
    "signal_share",
    "noise_scale",
    "effective_samples",
    "sampled_log_partition",
    "mean_log_partition",
    "prefix_kl",
    "response_kl",
]
