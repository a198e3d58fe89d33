"""What laws need, as sentences and as predicates on a law's inputs."""
# ruff: noqa: RUF001 -- mathematical signs

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interlace.theory.finite import FiniteProblem, reward_range, sft_loss
from interlace.theory.laws.law import Condition


def _start_is_finite(problem: FiniteProblem) -> bool:
    return np.isfinite(sft_loss(problem, problem.reference)).item()


def _expert_is_reference(problem: FiniteProblem) -> bool:
    counts = problem.prompts > 0.0
    return bool(np.allclose(problem.expert[counts], problem.reference[counts], rtol=1e-9, atol=1e-12))


def _reward_is_binary(problem: FiniteProblem) -> bool:
    given = (problem.expert > 0.0) & (problem.prompts > 0.0)[:, None]
    return bool(np.isin(problem.reward[given], (0.0, 1.0)).all())


def _not_flat(problem: FiniteProblem) -> bool:
    return reward_range(problem) > 0.0


def _start_covers_expert(problem: FiniteProblem, start: Float[np.ndarray, "prompt response"]) -> bool:
    return not ((problem.expert > 0.0) & (start == 0.0))[problem.prompts > 0.0].any()


BOUNDED = Condition("the reward is fixed and bounded, and L(π_ref) is finite", _start_is_finite)
ON_PATH = Condition("the policy is on the RL path π_τ: no off-path part (A10)")
NOT_FLAT = Condition("the reward is not flat: r(x, ·) varies on the reference's support for some prompt", _not_flat)

STARTS_AT_EXPERT = Condition("the RL stage starts at the expert: π_ref = p_D", _expert_is_reference)
COVERED = Condition("p_D ≪ π₀: the start of SFT covers the expert's responses", _start_covers_expert)
BINARY = Condition("the reward is 0 or 1 on the expert's responses", _reward_is_binary)
KL_REGULARISED = Condition("RL reached the optimum of R − β KL(π, π_ref): the KL anchor is its own start (else D6)")
STEPS_IN_PROBABILITIES = Condition("natural-gradient flow, or finite steps taken in probabilities, not in logits")
