"""B: the laws of landscapes, conditional on smoothness and PL on the path used."""
# ruff: noqa: RUF001 -- the statements use mathematical signs

from __future__ import annotations

from interlace.theory import landscape, misalignment
from interlace.theory.laws.law import OURS, PAPER, Condition, Law


def _step_is_short(step_size: float, smoothness: float) -> bool:
    return step_size * smoothness <= 1.0 + 1e-9


def _constants_are_of_one_region(pl_constant: float, smoothness: float) -> bool:
    return 0.0 < pl_constant <= smoothness


def _alignment_is_positive(alignment: float) -> bool:
    return alignment > 0.0


PL_REWARD = Condition("PL of the reward on the RL path used: ‖∇R‖² ≥ 2μ_R (R* − R), μ_R > 0 measured there")
PL_LOSS = Condition("PL of the SFT loss where the gap is read: ‖∇L‖² ≥ 2μ_S (L − L*), μ_S > 0 measured there")
PL_DESCENT = Condition("PL of the SFT loss along the SFT descent from θ, not only on the RL path that led there")
SMOOTH_STEP = Condition("L is l_S-smooth on the segment of the update (and R l_R-smooth, where R is meant)")
SMOOTH_SEGMENT = Condition("L is l_S-smooth on the segment to its nearest minimum")
SHORT_STEPS = Condition("gradient flow, or gradient steps of size η ≤ 1/l_R", _step_is_short)
ONE_REGION = Condition("both constants belong to one region: 0 < μ_S ≤ l_S", _constants_are_of_one_region)
DESCENDING = Condition("for the PL threshold: the update points down, c > 0", _alignment_is_positive)
TIGHT_PL = Condition("PL is tight along the path: the gap falls as e^{−2μt}")
STRAIGHT = Condition("the parameters move straight, and the other objective is quadratic along them, of measured κ")
SECOND_ORDER = Condition("updates so small that third order is negligible (exact if L is quadratic)")
INDEPENDENT = Condition("updates or runs are independent given their common start")

LANDSCAPE = (
    Law(
        label="B1",
        name="Decay of the gap and length of the path",
        statement=(
            "Under gradient flow of R: R* − R_t ≤ (R* − R₀) e^{−2μ_R t}; a step of size η ≤ 1/l_R leaves at most 1 − "
            "ημ_R of the gap."
        ),
        details=(
            "The path is no longer than √(2/μ_R) (√(R* − R₀) − √(R* − R_t)), that of steps no longer than this / (1 − "
            "ηl_R/2). R_t is the reward really reached: with the exponential in its place the formula is the length "
            "under tight PL, and at finite t a steeper reward moves farther."
        ),
        conditions=(PL_REWARD, SHORT_STEPS),
        unit="reward; lengths in parameter units",
        function=landscape.reward_gap,
        source="Polyak 1963; Łojasiewicz 1963; proved by test here",
        also=(
            landscape.reward_gap_after_steps,
            landscape.path_length,
            landscape.path_length_bound,
            landscape.path_length_bound_of_steps,
        ),
    ),
    Law(
        label="B2",
        name="One update",
        statement=(
            "|L(θ + d) − L(θ) − ⟨∇L, d⟩| ≤ l_S ‖d‖²/2, d the update really applied (optimiser, clipping and all)."
        ),
        conditions=(SMOOTH_STEP,),
        unit="nats/response",
        function=landscape.loss_change_bounds,
        source="descent lemma; proved by test here",
    ),
    Law(
        label="B3",
        name="When one update surely lowers or raises SFT loss",
        statement=(
            "With c = cos(−∇L, d) and D = ‖d‖ > 0: SFT loss surely falls if c‖∇L‖ > l_S D/2, so under PL if c > 0 and "
            "L − L* > (l_S D)²/(8μ_S c²), a threshold that shrinks as D²."
        ),
        details=(
            "It surely rises if c‖∇L‖ < −l_S D/2, or if c‖∇L‖ < kD/2 where the curvature along the whole step is at "
            "least k."
        ),
        conditions=(SMOOTH_STEP, PL_LOSS, DESCENDING),
        unit="nats/response",
        function=landscape.suboptimality_threshold,
        source=PAPER,
        also=(landscape.update_lowers_loss, landscape.update_raises_loss),
    ),
    Law(
        label="B4",
        name="Quadratic growth",
        statement="μ_S dist(θ, argmin L)²/2 ≤ L(θ) − L* ≤ l_S dist(θ, argmin L)²/2.",
        details="argmin L is a set: moving along it costs nothing.",
        conditions=(PL_DESCENT, SMOOTH_SEGMENT, ONE_REGION),
        unit="nats/response",
        function=landscape.growth_bounds,
        source="Karimi, Nutini, Schmidt, arXiv 1608.04636; proved by test here",
    ),
    Law(
        label="B5",
        name="Optimal RL duration",
        statement=(
            "With D₀ = R* − R₀, S² = 2D₀/μ_R, u = 1 − e^{−μ_R t}, g = ‖∇L‖ and c = cos(−∇L, d) at the start and κ the "
            "curvature of L along d, R − λL has risen by Φ(u) = D₀(2u − u²) + λ(cgSu − κS²u²/2)."
        ),
        details=(
            "It is best at u* = clip((2D₀ + λcgS)/(2D₀ + λκS²), 0, 1) if the denominator is positive, else at the "
            "better end; t* = −log(1 − u*)/μ_R. From an SFT optimum t* = log(1 + μ_R/(λκ))/μ_R whatever D₀ > 0, and "
            "Φ* = D₀/(1 + λκ/μ_R). t* never rises with κ. For κ > 0 SFT loss is least at clip(cg/(κS), 0, 1) and, if "
            "c > 0, back at its start at 2cg/(κS)."
        ),
        conditions=(PL_REWARD, TIGHT_PL, STRAIGHT),
        unit="gradient-flow time; value in reward",
        function=landscape.optimal_duration,
        source=PAPER,
        also=(
            landscape.tradeoff_on_path,
            landscape.optimal_duration_at_optimum,
            landscape.least_loss_progress,
            landscape.break_even_progress,
        ),
    ),
    Law(
        label="B6",
        name="Optimal SFT duration",
        statement=(
            "SFT after RL is B5 mirrored: D₀ = L₀ − L*, μ_S for μ_R, g = ‖∇R‖, c = cos(∇R, d), κ = MINUS the "
            "curvature of R along d, 1/λ for λ; the value comes out in nats."
        ),
        conditions=(PL_LOSS, TIGHT_PL, STRAIGHT),
        unit="gradient-flow time; value in nats/response",
        function=landscape.optimal_sft_duration,
        source=PAPER,
    ),
    Law(
        label="B7",
        name="Gradient misalignment by spectral concentration",
        statement=(
            "For unit vectors g_S, g_R with shares ε_S, ε_R of squared norm outside the spans of orthonormal U_S, "
            "U_R, and σ₁ the largest singular value of U_SᵀU_R: |cos(g_S, g_R)| ≤ cos(max(0, arccos σ₁ − arcsin √ε_S "
            "− arcsin √ε_R))."
        ),
        details=(
            "For any subspaces some gradients attain it wherever it is below 1; where it is 1 it says nothing, and "
            "need not be attained. To be read beside the cosine that random subspaces of those ranks have."
        ),
        conditions=(),
        unit="cosine",
        function=misalignment.cosine_bound,
        source=PAPER,
        kind="self-check",
        also=(misalignment.random_subspace_cosine,),
    ),
    Law(
        label="B8",
        name="Drift and diffusion",
        statement=(
            "For a random update d from one state E L(θ + d) − L(θ) is, up to third order, drift ⟨∇L, E d⟩ + (E "
            "d)ᵀH(E d)/2 plus diffusion tr(H Cov d)/2."
        ),
        details=(
            "For independent d₁, d₂: E d₁ᵀHd₂/2 is drift's curvature term, E (d₁ − d₂)ᵀH(d₁ − d₂)/4 the diffusion, "
            "which three forwards show: L(θ + d₁) + L(θ + d₂) − 2L(θ + (d₁ + d₂)/2). Averaging the weights of S "
            "independent runs leaves diffusion/S. With momentum b a pair of single steps shows only (1 − b)² of the "
            "diffusion that they cause in the end, h steps the mean of (1 − bⁱ)², i ≤ h."
        ),
        conditions=(SECOND_ORDER, INDEPENDENT),
        unit="nats/response",
        function=landscape.drift_and_diffusion,
        source=OURS,
        also=(
            landscape.diffusion_from_pair,
            landscape.averaged_diffusion,
            landscape.drift_loss,
            landscape.noise_share,
        ),
    ),
)
