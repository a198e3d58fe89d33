"""A: the laws of policies as distributions."""
# ruff: noqa: RUF001 -- the statements use mathematical signs

from __future__ import annotations

from interlace.theory import distributional
from interlace.theory.laws.conditions import (
    BINARY,
    BOUNDED,
    COVERED,
    KL_REGULARISED,
    NOT_FLAT,
    ON_PATH,
    STARTS_AT_EXPERT,
    STEPS_IN_PROBABILITIES,
)
from interlace.theory.laws.law import OURS, PAPER, Law

DISTRIBUTIONAL = (
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
        conditions=(ON_PATH, STARTS_AT_EXPERT),
        unit="nats/response",
        function=distributional.optimal_sft_increase,
        source=PAPER,
    ),
    Law(
        label="A3",
        name="Lower bound of the increase",
        statement="L(π_τ) − L(π_ref) ≥ τ (R(π_ref) − R_D), strictly for τ > 0 unless the reward is flat.",
        details=(
            "So RL raises SFT loss at every τ > 0 if the reward is not flat and the reference earns at least what the "
            "expert earns."
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
        details=(
            "The parity time τ_par is 0 if R(π_ref) ≥ R_D, the root of R(π_τ) = R_D if R(π_ref) < R_D < E_x top(x), "
            "and ∞ if R_D = E_x top(x)."
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
            "RL leaves SFT loss lower than it found it if and only if τ > 0 and F(τ) < R_D, that is for 0 < τ < τ†, "
            "where F(τ) = E_x log Z_τ(x) / τ."
        ),
        details=(
            "F rises from R(π_ref) to E_x top(x). For a perfect expert (R_D = E_x top) τ† = ∞: SFT loss falls for "
            "ever, in all by E_x[−log π_ref(best responses)]. Else τ† is above the parity time τ_par of A4, at least "
            "twice it while E_x k₃ ≤ 0 on the way, at most while E_x k₃ ≥ 0."
        ),
        conditions=(BOUNDED, ON_PATH),
        unit="RL time",
        function=distributional.non_decoupling_threshold,
        source=OURS,
        also=(distributional.parity_rl_time, distributional.free_energy, distributional.perfect_expert_limit),
    ),
    Law(
        label="A6",
        name="Optimal RL duration",
        statement=(
            "Φ(τ) = R(π_τ) − λ L(π_τ) has Φ′ = V(π_τ) − λ (R(π_τ) − R_D) and Φ″ = E_x k₃ − λ V(π_τ): stationary where "
            "the within-prompt variance is λ × the parity gap, both known from on-policy rewards."
        ),
        details=(
            "There may be several maxima (two prompts suffice), so that a stop at the first is only a local one; "
            "there is a single one if λ exceeds the range of reward within every prompt, and with one prompt and "
            "binary reward. τ* = ∞ if λ = 0 or the expert is perfect, 0 if the reward is flat."
        ),
        conditions=(BOUNDED, ON_PATH),
        unit="RL time",
        function=distributional.optimal_rl_time,
        source=OURS,
        also=(distributional.tradeoff, distributional.tradeoff_slope, distributional.tradeoff_is_unimodal),
    ),
    Law(
        label="A7",
        name="RL then SFT, the identity",
        statement=(
            "J_β(π) = R(π) − β KL(π, π_ref) is greatest at π_τ, τ = 1/β, where it is β E_x log Z_τ; every other "
            "policy loses exactly J_β(π_τ) − J_β(π) = β KL(π, π_τ), so any SFT that moves a policy off π_τ loses "
            "that."
        ),
        details="R itself may rise meanwhile, if R_D > R(π_τ).",
        conditions=(KL_REGULARISED,),
        unit="reward",
        function=distributional.regularised_reward_loss,
        source=PAPER,
        also=(distributional.regularised_reward, distributional.optimal_regularised_reward),
    ),
    Law(
        label="A8",
        name="SFT path",
        statement=(
            "Natural-gradient SFT moves on the mixture line π_s = p_D + e^{−s}(π₀ − p_D), so R(π_s) = R_D + "
            "e^{−s}(R(π₀) − R_D): SFT lowers reward if and only if its start earns more than the expert."
        ),
        details=(
            "dL/ds = −X²(p_D, π_s), and KL(p_D, π_s) ≤ e^{−s} KL(p_D, π₀). To lose at most δ of reward SFT may run "
            "for s ≤ −log(1 − δ/(R(π₀) − R_D)), for any time if δ ≥ R(π₀) − R_D."
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
            "For every policy π and every τ: L(π) − L(π_ref) = [E_x log Z_τ − τ R_D] − E_{p_D} log(π/π_τ): a tilt "
            "part (A1) and an off-path part."
        ),
        details="E_π log(π/π_τ) = KL(π, π_τ) ≥ 0. The KL-nearest tilt is the one that earns R(π).",
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
        details=(
            "On the RL path, within the prompts concerned, the mean change is E log Z_τ − τ < 0 on right responses "
            "and E log Z_τ > 0 on wrong ones."
        ),
        conditions=(BOUNDED, BINARY),
        unit="nats/response",
        function=distributional.split_right_wrong,
        source=OURS,
        kind="self-check",
    ),
)
