"""The registry of laws: what code, messages, reports and docs/laws.md quote by label.

``python -m interlace.theory.laws`` prints docs/laws.md.
"""
# ruff: noqa: RUF001 -- the statements use mathematical signs

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from interlace.theory import distributional, frontier, paths
from interlace.theory.finite import FiniteProblem, expected_reward, reward_range, sft_loss

Kind: TypeAlias = Literal["law", "self-check"]
"""A law can fail on a real run; a self-check is a theorem that holds for any policy: if it fails, an estimator is at
fault."""


@dataclass(frozen=True)
class Condition:
    """What a law needs. `holds` decides it on a finite problem; None: it must be measured on the run itself."""

    sentence: str
    holds: Callable[[FiniteProblem], bool] | None = None

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class Law:
    """One statement of the theory. `function` computes it; `also` are the functions that answer questions about it."""

    label: str
    name: str
    statement: str
    conditions: tuple[Condition, ...]
    unit: str
    function: Callable[..., Any] | None
    source: str
    kind: Kind = "law"
    also: tuple[Callable[..., Any], ...] = ()


def _start_is_finite(problem: FiniteProblem) -> bool:
    return np.isfinite(sft_loss(problem, problem.reference)).item()


def _expert_is_reference(problem: FiniteProblem) -> bool:
    return bool(np.allclose(problem.expert, problem.reference, rtol=1e-9, atol=1e-12))


def _reward_is_binary(problem: FiniteProblem) -> bool:
    return bool(np.isin(problem.reward[problem.expert > 0.0], (0.0, 1.0)).all())


def _not_flat(problem: FiniteProblem) -> bool:
    return reward_range(problem) > 0.0


def _start_earns_at_least_the_expert(problem: FiniteProblem) -> bool:
    return expected_reward(problem, problem.reference) >= problem.expert_reward


def _start_covers_expert(problem: FiniteProblem) -> bool:
    return not bool(((problem.expert > 0.0) & ~problem.support).any())


BOUNDED = Condition("the reward is fixed and bounded, and L(π_ref) is finite", _start_is_finite)
ON_PATH = Condition("the policy is on the RL path π_τ: no off-path part (A10)")
NOT_FLAT = Condition("the reward is not flat: r(x, ·) varies on the reference's support for some prompt", _not_flat)

STARTS_AT_EXPERT = Condition("the RL stage starts at the expert: π_ref = p_D", _expert_is_reference)
COVERED = Condition("p_D ≪ π₀: the start of SFT covers the expert's responses", _start_covers_expert)
BINARY = Condition("the reward is 0 or 1 on the expert's responses", _reward_is_binary)
STEPS_IN_PROBABILITIES = Condition("natural-gradient flow, or finite steps taken in probabilities, not in logits")

PAPER = "after Niu, Bai, Han, Zhang, arXiv 2601.07389; proved by test here"
OURS = "interlace; proved by test"

_LAWS = (
    Law(
        label="A1",
        name="SFT then RL, the identity",
        statement="L(π_τ) − L(π_ref) = E_x log Z_τ(x) − τ R_D.",
        conditions=(BOUNDED, ON_PATH),
        unit="nats/response",
        function=distributional.sft_loss_increase,
        source=PAPER,
        also=(distributional.log_partition, distributional.tilted_policy),
    ),
    Law(
        label="A2",
        name="RL after perfect SFT",
        statement=(
            "If π_ref = p_D, RL of any time τ > 0 raises SFT loss by KL(p_D, π_τ) = τ² V(p_D)/2 + τ³ E_x k₃/6 + O(τ⁴) "
            "≥ 0, which is 0 if and only if the reward is constant on the expert's support for almost every prompt."
        ),
        conditions=(BOUNDED, ON_PATH, STARTS_AT_EXPERT),
        unit="nats/response",
        function=distributional.optimal_sft_increase,
        source=PAPER,
    ),
    Law(
        label="A3",
        name="Lower bound of the increase",
        statement=(
            "L(π_τ) − L(π_ref) ≥ τ (R(π_ref) − R_D), strictly for τ > 0 unless the reward is flat. So RL raises SFT "
            "loss at every τ > 0 if the reward is not flat and the reference earns at least what the expert earns."
        ),
        conditions=(BOUNDED, ON_PATH),
        unit="nats/response",
        function=distributional.sft_loss_increase_lower_bound,
        source=OURS,
    ),
    Law(
        label="A4",
        name="Reward parity law",
        statement=(
            "dL(π_τ)/dτ = R(π_τ) − R_D, and d²L/dτ² = dR/dτ = V(π_τ) ≥ 0: RL lowers SFT loss while the policy earns "
            "less than the expert and raises it from then on; SFT loss is least at reward parity (of the averages "
            "over prompts, not prompt by prompt)."
        ),
        conditions=(BOUNDED, ON_PATH, NOT_FLAT),
        unit="nats/response per RL time",
        function=distributional.sft_loss_slope,
        source=OURS,
        also=(distributional.parity_rl_time, distributional.tilted_reward, distributional.tilted_reward_variance),
    ),
    Law(
        label="A5",
        name="Non-decoupling threshold",
        statement=(
            "F(τ) = E_x log Z_τ(x) / τ rises from R(π_ref) to E_x top(x). RL leaves SFT loss lower than it found it if "
            "and only if τ > 0 and F(τ) < R_D, that is for 0 < τ < τ†. For a perfect expert (R_D = E_x top) τ† = ∞: "
            "SFT loss falls for ever, in all by E_x[−log π_ref(best responses)]."
        ),
        conditions=(BOUNDED, ON_PATH),
        unit="RL time",
        function=distributional.non_decoupling_threshold,
        source=OURS,
        also=(distributional.free_energy, distributional.perfect_expert_limit),
    ),
    Law(
        label="A8",
        name="SFT path",
        statement=(
            "Natural-gradient SFT moves on the mixture line π_s = p_D + e^{−s}(π₀ − p_D), so R(π_s) = R_D + "
            "e^{−s}(R(π₀) − R_D): SFT lowers reward if and only if its start earns more than the expert."
        ),
        conditions=(COVERED, STEPS_IN_PROBABILITIES),
        unit="reward",
        function=distributional.sft_path_reward,
        source=OURS,
        also=(distributional.sft_path, distributional.largest_sft_time),
    ),
    Law(
        label="A9",
        name="Bounded change of reward",
        statement=(
            "|R(p) − R(q)| ≤ w E_x TV(p, q) ≤ w √(KL/2), KL in either direction, w the range of reward within a prompt."
        ),
        conditions=(),
        unit="reward",
        function=distributional.reward_change_bounds,
        source="Pinsker's inequality; constants are tight",
        kind="self-check",
    ),
    Law(
        label="A10",
        name="Exact split into tilt and off-path part",
        statement=(
            "For every policy π and every τ: L(π) − L(π_ref) = [E_x log Z_τ − τ R_D] − E_{p_D} log(π/π_τ): a tilt part "
            "(A1) and an off-path part. The KL-nearest tilt is the one that earns R(π)."
        ),
        conditions=(BOUNDED,),
        unit="nats/response",
        function=distributional.split_tilt_off_path,
        source=OURS,
        kind="self-check",
        also=(distributional.nearest_rl_time, distributional.matching_rl_time),
    ),
    Law(
        label="A11",
        name="Damage and wanted unlearning",
        statement=(
            "With binary reward the change of SFT loss is P_D(r = 1) × its mean on the expert's right responses "
            "(damage) + P_D(r = 0) × its mean on the wrong ones (unlearning that the reward asks for)."
        ),
        conditions=(BOUNDED, BINARY),
        unit="nats/response",
        function=distributional.split_right_wrong,
        source=OURS,
        kind="self-check",
    ),
    Law(
        label="C7",
        name="SFT loss predicted from rewards alone",
        statement=(
            "On the RL path L − L₀ = ∫ (R − R_D)/V dR: on-policy rewards alone predict the change of SFT loss, without "
            "any RL time."
        ),
        conditions=(BOUNDED, ON_PATH, NOT_FLAT),
        unit="nats/response",
        function=paths.reward_only_sft_change,
        source=OURS,
    ),
    Law(
        label="D13",
        name="Path-free cost law",
        statement=(
            "Any policy, by any method: L(π) ≥ H + 2 ((R(π) − R_D)₊ / w)², H the expert's entropy, w the range of "
            "reward within a prompt over the supports of both."
        ),
        conditions=(),
        unit="nats/response",
        function=frontier.sft_loss_floor,
        source=OURS,
        kind="self-check",
        also=(frontier.sft_loss_floor_from_figures,),
    ),
)

LAWS: dict[str, Law] = {law.label: law for law in _LAWS}
"""Every law by its label, in the theory's order."""

if __name__ == "__main__":
    from interlace.theory.laws_page import markdown

    sys.stdout.write(markdown())
