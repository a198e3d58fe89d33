"""D9 to D14: what no method can escape, and what a pipeline leaves on the table."""
# ruff: noqa: RUF001 -- the statements use mathematical signs

from __future__ import annotations

import math

import numpy as np

from interlace.theory import frontier
from interlace.theory.finite import FiniteProblem
from interlace.theory.laws.law import OURS, Condition, Law


def _rate_is_positive(exchange_rate: float) -> bool:
    return 0.0 < exchange_rate < math.inf


def _policy_is_allowed(problem: FiniteProblem, policy: np.ndarray) -> bool:
    given = (policy > 0.0) & (problem.prompts > 0.0)[:, None]
    return not bool((given & ~frontier.allowed(problem)).any())


def _parts_of_a_cycle(rl_time: float, sft_weight: float) -> bool:
    return rl_time >= 0.0 and 0.0 < sft_weight <= 1.0


RATE = Condition("λ, the reward that a nat of SFT loss is worth, is positive and finite", _rate_is_positive)
ALLOWED = Condition("the policy gives only responses that the reference or the expert can give", _policy_is_allowed)
EXACT_STAGES = Condition("each stage moves on its own path: the tilt (A6), the mixture line (A8)")
CYCLE = Condition("h ≥ 0 and 0 < w ≤ 1", _parts_of_a_cycle)
FULL_START = Condition("the start gives every response that the reference or the expert can give")
ONE_METRIC = Condition("norms, cosine and projections are taken in the metric of the update really applied")
SMALL_STEP = Condition("first order: the step is small, certainly if η < 2⟨g_i, d⟩/(l_i ‖d‖²) where i is l_i-smooth")
TABULAR = Condition("one logit a response, gradients in the Fisher metric (natural gradient)")

FRONTIER = (
    Law(
        label="D9",
        name="Joint optimum and Pareto front",
        statement=(
            "Among all policies on the allowed responses R − λ L is greatest at π* = λ p_D/(ν − r) on supp p_D, ν(x) "
            "> max r there making each prompt sum to 1; if an allowed response outside supp p_D earns r_o > ν, then ν "
            "= r_o and the mass left over sits on the best such."
        ),
        details=(
            "λ from 0 to ∞ sweeps the whole front of reward against SFT loss. Every policy π falls short of the "
            "optimum by exactly E_x{λ E_{p_D}[q − 1 − log q] + Σ outside supp p_D of π (ν − r)}, q = π/π*."
        ),
        conditions=(RATE, ALLOWED),
        unit="reward",
        function=frontier.joint_value,
        source=OURS,
        kind="self-check",
        also=(frontier.joint_optimum, frontier.regret, frontier.front, frontier.allowed),
    ),
    Law(
        label="D10",
        name="Price of decoupling",
        statement=(
            "The price of decoupling is what a pipeline of SFT and RL, each at its best duration, falls short of D9's "
            "optimum."
        ),
        details=(
            "SFT to p_D, then RL: about [E_x Var_{p_D}((r − R_D(x))²) − (E_x k₃)²/V(p_D)]/(8 λ³) for large λ; 0 for "
            "one prompt and binary reward if the expert is right sometimes or the reference never is (or λ ≥ 1). RL "
            "for τ, then SFT: about [V(p_D) − (R(π_τ) − R_D)₊²/X²(π_τ, p_D)]/(2 λ), X² = ∞ where π_τ leaves supp p_D: "
            "the order matters, RL last is the efficient one near p_D."
        ),
        conditions=(RATE, EXACT_STAGES),
        unit="reward",
        function=frontier.price_of_decoupling,
        source=OURS,
        also=(frontier.best_pipeline,),
    ),
    Law(
        label="D11",
        name="Interleaving",
        statement=(
            "RL for h, then SFT of weight w, again and again, settles at w ζ p_D/(ζ − e^{hr}) after SFT, ζ(x) > max "
            "e^{hr} making each prompt sum to 1 (held at e^{h r_o} as ν in D9), and at its tilt by h after RL."
        ),
        details=(
            "The distance (the tangent of the angle, prompt by prompt, in Σ a b e^{hr}/p_D; in the long run any) "
            "shrinks by a factor of at most 1 − w p_D(best allowed responses) a cycle; that is 1, and the approach "
            "may be as slow as 1/n, where the expert gives none of them. With w = 1 − e^{−λh} and h → 0 both ends are "
            "O(h) from π* of D9 (regret O(h²)), their mean and the point half-way through RL O(h²)."
        ),
        conditions=(CYCLE, FULL_START, EXACT_STAGES),
        unit="probability",
        function=frontier.interleaving_cycle,
        source=OURS,
    ),
    Law(
        label="D12",
        name="Combining the gradients",
        statement=(
            "g₁ = ∇L, g₂ = −∇R, n_i their norms, c their cosine, c < 0: −(g₁ + a g₂) lowers SFT loss and raises "
            "reward if and only if −c n₁/n₂ < a < n₁/(−c n₂)."
        ),
        details=(
            "PCGrad moves each at n_i² (1 − c²); projecting g₂ off g₁ leaves L and raises R at n₂² (1 − c²); the "
            "shortest d between g₁ and g₂ moves each at ‖d‖² or more. All fail only at c = −1, a Pareto stationary "
            "point."
        ),
        conditions=(ONE_METRIC, SMALL_STEP),
        unit="nats/response per reward",
        function=frontier.descent_window,
        source="first-order calculus; PCGrad: Yu et al., arXiv 2001.06782; shortest d: Désidéri, MGDA",
        also=(
            frontier.pcgrad_rates,
            frontier.projected_rates,
            frontier.least_norm_direction,
            frontier.step_limit,
        ),
    ),
    Law(
        label="D13",
        name="Path-free cost law",
        statement=(
            "Any policy, by any method: L(π) ≥ H + 2 ((R(π) − R_D)₊ / w)², H the expert's entropy, w the range of "
            "reward within a prompt over the supports of both."
        ),
        details="The exact floor is the front (D9): H up to R_D, ∞ from E_x max r on.",
        conditions=(),
        unit="nats/response",
        function=frontier.sft_loss_floor,
        source=OURS,
        kind="self-check",
        also=(frontier.sft_loss_floor_from_figures, frontier.least_sft_loss),
    ),
    Law(
        label="D14",
        name="PL constants of tabular policies",
        statement=(
            "‖∇L‖² = X²(p_D, π) ≥ KL(p_D, π) = L − H, so μ_S ≥ 1/2; ‖∇R‖² = V(π) ≥ m (R* − R), so μ_R ≥ m/2, m = "
            "min_x π(best responses) × gap to the second best over the prompts that are not flat."
        ),
        details="m is alive at R*.",
        conditions=(TABULAR, ALLOWED),
        unit="per SFT time; per RL time",
        function=frontier.tabular_pl_constants,
        source=OURS,
        kind="self-check",
    ),
)
