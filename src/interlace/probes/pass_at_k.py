"""pass@k on held-out prompts: the chance that at least one of k completions is right, of rewards of 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace.estimate import Figure, Unresolved
from interlace.measurement import PromptScores
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.probes.reward import Reward
from interlace.statistics import bounded_mean_interval, mean_pass_at_k

KS = (2, 4, 8)


class PassAtK:
    """`pass_at_k/K` = E_x[1 - (1 - p_x)^K] with pass rate p_x = pi(right | x), fraction; pass@1 is the reward itself.

    Exact where rewards are enumerated (a lower bound, as the reward then is); from groups of n completions unbiased,
    for K <= n: the share of subsets of K that hold a right one (Chen et al. 2021). Of rewards of 0 and 1 alone: not
    resolved where another was seen. RL that raises the reward while pass@K falls has narrowed the policy.

    Cost: none beyond the probe `reward`, which is shared.
    """

    name = "pass_at_k"
    sentence = "the chance that one of k completions is right, exact from enumerated pass rates or from groups"
    source = "Chen et al. 2021"
    cost: Price = "forward"
    needs: tuple[str, ...] = ("logprobs", "completions")

    def __init__(self, ks: Sequence[int] = KS) -> None:
        self.ks = tuple(ks)

    def applies(self, context: ProbeContext) -> bool:
        """Where the task has a reward."""
        return context.target.task.reward is not None

    def measure(self, context: ProbeContext) -> Reading:
        """Read the law of the reward that `reward` found."""
        law = PromptScores(**context.reading(Reward()).scores)
        if law.reward_values is None:  # the reward failed, and said so
            return Reading({})
        drawn = max(self.ks) if law.reward_is_exact else law.reward_values.shape[1]
        return Reading({f"pass_at_k/{k}": _figure(law, k, context.level) for k in self.ks if k <= drawn})


def _figure(law: PromptScores, k: int, level: float) -> Figure:
    assert law.reward_values is not None and law.reward_probabilities is not None
    if not np.isin(law.reward_values, (0.0, 1.0)).all():
        return Unresolved("pass@k speaks of rewards of 0 and 1, and others were seen")
    right = law.reward_values == 1.0
    if law.reward_is_exact:
        rates = np.clip((law.reward_probabilities * right).sum(axis=1), 0.0, 1.0)
        passed = -np.expm1(k * np.log1p(-np.minimum(rates, 1.0 - 1e-16)))
        return bounded_mean_interval(passed, 0.0, 1.0, unit="fraction", is_exact=True, level=level)
    sampled = np.full(len(right), right.shape[1])
    return mean_pass_at_k(right.sum(axis=1), sampled, k, level=level)
