"""Figures as a trainer's logs carry them: `coupling/NAME`, with its interval's ends beside it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from interlace.analysis.parity_gap import UNIT, parity_gap
from interlace.analysis.reward_change import reward_difference
from interlace.analysis.trajectory import Snapshot
from interlace.estimate import Estimate, Figure
from interlace.measurement import HeldOut, PromptScores
from interlace.statistics import paired_change

PREFIX = "coupling/"

RECORD_ONLY = {
    "train_completion_tokens", "train_truncated_fraction", "train_flat_groups_fraction",  # TRL logs each by itself
    "train_reward_variance", "train_advantage_size", "reward_variance",  # D5's parts: RL time is what they make
    "sft_loss_per_token", "sft_loss_right", "sft_loss_wrong",  # sft_loss in other units, and its parts
}  # fmt: skip
"""Figures that the run folder has and the logs do not: each costs three keys, and says little without the report. With
them go those whose name holds a slash: one figure of many (pass@k at each k, a layer's share, another task's price)."""


def logged(figures: Mapping[str, Figure], task: str = "") -> dict[str, float]:
    """Value, lower and upper end of every main figure that is resolved; what is not is left out, never logged as 0.

    `task` goes into the names where several are measured. Ends are left out where a figure is exact.

    >>> from interlace.estimate import Unresolved
    >>> logged({"reward": Estimate(0.5, 0.4, 0.6, 0.95, 9, "t", "reward units"), "kl": Unresolved("why")})
    {'coupling/reward': 0.5, 'coupling/reward_lower': 0.4, 'coupling/reward_upper': 0.6}
    """
    found: dict[str, float] = {}
    for name, figure in figures.items():
        if isinstance(figure, Estimate) and name not in RECORD_ONLY and "/" not in name:
            full = PREFIX + (f"{task}/{name}" if task else name)
            found[full] = figure.value
            if not figure.method.startswith("exact"):
                found |= {f"{full}_lower": figure.lower, f"{full}_upper": figure.upper}
    return found


def is_of_evaluation(logs: Mapping[str, object]) -> bool:
    """Whether a trainer logs an evaluation: Transformers adds ``PREFIX_runtime`` to it, of training ``train_runtime``.

    >>> is_of_evaluation({"eval_loss": 1.0}), is_of_evaluation({"loss": 1.0}), is_of_evaluation({"train_runtime": 9.0})
    (True, False, False)
    """
    return any(name.startswith("eval_") or (name.endswith("_runtime") and name != "train_runtime") for name in logs)


def changes(held: HeldOut, start: PromptScores, now: PromptScores) -> dict[str, Figure]:
    """What both objectives changed since the stage's start, and the parity gap, on the same prompts.

    Of sampled rewards as everywhere: `reward_difference`, `parity_gap`.
    """
    found: dict[str, Figure] = {}
    if start.expert_logprobs is not None and now.expert_logprobs is not None and held.prompt.size:
        losses = (
            held.per_prompt(-scores.expert_logprobs) for scores in (start, now) if scores.expert_logprobs is not None
        )
        found["sft_loss_change"] = paired_change(*losses, unit="nats/response")
    if start.reward_values is not None and now.reward_values is not None:
        before, after = Snapshot(held, 0, None, start), Snapshot(held, 1, None, now)
        found["reward_change"] = reward_difference(before, after, UNIT).change
        if held.prompt.size and np.isfinite(held.reward).all():
            found["parity_gap"] = parity_gap(after, held.per_prompt(held.reward))
    return found
