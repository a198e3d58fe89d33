"""C7, D1 to D8 and D15: how real updates move a policy."""
# ruff: noqa: RUF001 -- the statements use mathematical signs

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interlace.theory import paths
from interlace.theory.finite import FiniteProblem
from interlace.theory.laws.conditions import BOUNDED, NOT_FLAT, ON_PATH
from interlace.theory.laws.law import OURS, Condition, Law


def _covers_expert(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> bool:
    drawn = (problem.expert > 0.0) & (problem.prompts > 0.0)[:, None]
    return not bool((drawn & (policy == 0.0)).any())


def _binary_under_policy(problem: FiniteProblem, policy: Float[np.ndarray, "prompt response"]) -> bool:
    used = (policy > 0.0) & (problem.prompts > 0.0)[:, None]
    return bool(np.isin(problem.reward[used], (0.0, 1.0)).all())


def _rewards_vary(rewards: Float[np.ndarray, "*prompt sample"]) -> bool:
    return bool(np.ptp(rewards, axis=-1).max() > 0.0)


def _anchor_covers(problem: FiniteProblem, anchor: Float[np.ndarray, "prompt response"]) -> bool:
    needed = (problem.support | (problem.expert > 0.0)) & (problem.prompts > 0.0)[:, None]
    return not bool((needed & (anchor == 0.0)).any())


def _steps_settle(step_size: float, kl_coefficient: float) -> bool:
    return step_size * kl_coefficient < 2.0


def _symmetric(
    preconditioner: Float[np.ndarray, "parameter"] | Float[np.ndarray, "parameter parameter"] | None,
) -> bool:
    matrix = np.atleast_1d(1.0 if preconditioner is None else preconditioner)
    return matrix.ndim == 1 or bool(np.allclose(matrix, matrix.T, rtol=1e-9, atol=1e-12))


COVERS = Condition("the policy is positive wherever the expert is: L(π) is finite", _covers_expert)
TABULAR = Condition("one logit a response (tabular), exact gradients")
ONE_GEOMETRY = Condition("one symmetric preconditioner serves both updates; for the prices, the tabular Fisher matrix")
PLAIN_GROUPS = Condition("the expected step of fresh groups: policy ratio 1, no clipping, no KL term")
BINARY_UNDER_POLICY = Condition("the reward is 0 or 1 on the policy's responses", _binary_under_policy)
DRAWN_FROM_POLICY = Condition("the responses are drawn from the policy, or weighed by it")
REWARDS_VARY = Condition("rewards vary within some prompt", _rewards_vary)
ANCHOR_COVERS = Condition("the anchor is positive wherever the reference or the expert is", _anchor_covers)
PULLED_TO_START = Condition("the KL term of the objective pulls to the start of the run")
STEPS_SETTLE = Condition("finite steps settle: ηβ < 2 (from one side: ηβ ≤ 1)", _steps_settle)
ON_MIXTURE_LINE = Condition("SFT moves on the mixture line (A8)")
SYMMETRIC = Condition("the preconditioner is symmetric, and the one that the RL optimiser applies", _symmetric)
FIRST_ORDER = Condition("the update is small: first order")

PATHS = (
    Law(
        label="C7",
        name="SFT loss predicted from rewards alone",
        statement=(
            "On the RL path L − L₀ = ∫ (R − R_D)/V dR: on-policy rewards alone predict the change of SFT loss, "
            "without any RL time."
        ),
        conditions=(BOUNDED, ON_PATH, NOT_FLAT),
        unit="nats/response",
        function=paths.reward_only_sft_change,
        source=OURS,
    ),
    Law(
        label="D1",
        name="Any update",
        statement="While logits move at v(x, y): dL/dt = E_π v − E_{p_D} v and dR/dt = E_x Cov_π(v, r).",
        details=(
            "Natural policy gradient in any parametrisation moves them at the advantage's least-squares projection "
            "(under π) on the score features, and |dL/dτ − (R(π) − R_D)| ≤ √(ε X²(p_D, π)), ε the projection's mean "
            "squared residual."
        ),
        conditions=(COVERS,),
        unit="nats/response per unit of time",
        function=paths.loss_rate,
        source=OURS,
        also=(paths.reward_rate, paths.natural_velocity, paths.projection_bound, paths.follow),
    ),
    Law(
        label="D2",
        name="Mirror law",
        statement="Under one symmetric preconditioner P, dL/dt under RL = ⟨∇L, P∇R⟩ = −dR/dt under SFT.",
        details=(
            "In the tabular Fisher geometry ⟨∇L, ∇R⟩ = R − R_D, |∇R|² = V(π), |∇L|² = X²(p_D, π), so |R − R_D| ≤ √(V "
            "X²). Where R > R_D, RL gains V/(R − R_D) reward a nat and SFT costs (R − R_D)/X² reward a nat: the first "
            "is never smaller, their ratio is 1/cos², and they are equal (= λ) exactly on the front (D9) of the "
            "policies on π's own support."
        ),
        conditions=(COVERS, ONE_GEOMETRY),
        unit="reward per nat",
        function=paths.reward_per_nat,
        source=OURS,
        kind="self-check",
        also=(paths.sft_cost_per_nat,),
    ),
    Law(
        label="D3",
        name="Plain softmax policy gradient",
        statement=(
            "dL/dt = Σ_x ρ² Σ_y π (π − p_D)(r − R_x), whose sign can differ from that of R − R_D either way, for a "
            "perfect expert too."
        ),
        details=(
            "It is the same if π is uniform on supports of one size and prompts weigh the same; or if (π − p_D)(r − "
            "R_x) has one sign over all prompts and responses; or for one prompt, binary reward and p_D proportional "
            "to π within right and within wrong. In general it is the sign of ⟨∇L, ∇R⟩: measure it."
        ),
        conditions=(COVERS, TABULAR),
        unit="nats/response per unit of time",
        function=paths.softmax_loss_rate,
        source=OURS,
        also=(paths.softmax_velocity, paths.softmax_sign_follows_parity),
    ),
    Law(
        label="D4",
        name="Groups (GRPO)",
        statement=(
            "A group's expected step moves a prompt's logits by ρ g_K (π(·|right) − π(·|wrong)): g_K = E√(p̂(1 − "
            "p̂)), p̂ ~ Bin(K, p)/K, with advantages divided by the group's std (× √((K − 1)/K) for ddof 1); (1 − "
            "1/K) p(1 − p) with the group mean as the baseline; p(1 − p) with the leave-one-out mean."
        ),
        details=(
            "Matched in reward a step takes the RL time η ρ g_K (c_right + c_wrong), c the chance that two such "
            "responses are the same. L moves by D3's sum with weights g_K/(p(1 − p)). Natural gradient with "
            "std-normalised advantages: dL/dt = E_x (R_x − R_D,x)/sd_x, not the parity gap; for binary reward p_t = "
            "sin²(arcsin √p₀ + t/2) if p₀ > 0 (a prompt never solved stays so), at 1 in finite time, with L convex in "
            "t."
        ),
        conditions=(BINARY_UNDER_POLICY, TABULAR, PLAIN_GROUPS),
        unit="RL time (per reward unit)",
        function=paths.group_rl_time,
        source=OURS,
        also=(
            paths.group_step_scale,
            paths.group_velocity,
            paths.std_natural_velocity,
            paths.std_natural_loss_rate,
            paths.std_natural_pass_rate,
        ),
    ),
    Law(
        label="D5",
        name="RL time of a real run",
        statement=(
            "The pooled within-prompt regression of log(π/π_ref) on the reward, under π, has the RL time as its slope "
            "and the on-path share as its R², which is 1 exactly on the path."
        ),
        details="From rewards alone: dτ = dR/V.",
        conditions=(DRAWN_FROM_POLICY, REWARDS_VARY),
        unit="RL time (per reward unit)",
        function=paths.rl_time_from_log_ratios,
        source=OURS,
        also=(paths.rl_time_from_rewards,),
    ),
    Law(
        label="D6",
        name="KL anchor other than the start",
        statement=(
            "Natural gradient of R − β KL(π, q) from π₀ moves on π₀^a q^{1−a} exp(r(1 − a)/β)/norm., a = e^{−βs}: the "
            "RL path of the reward r + β log(q/π₀), run by D7's clock."
        ),
        details=(
            "dL/ds = [R − β KL(π, q)] − [R_D − β(L(q) − L(π))]. At the end L has risen by L(q) − L(π₀) + A1(q, 1/β) "
            "if q stays within π₀'s support (else q counts only there): drift back to q costs SFT loss even if the "
            "reward is constant. L is convex in the clock, not in s."
        ),
        conditions=(ANCHOR_COVERS,),
        unit="probability",
        function=paths.anchored_policy,
        source=OURS,
        also=(paths.anchored_loss_rate,),
    ),
    Law(
        label="D7",
        name="RL clock",
        statement=(
            "A KL term to the start inside the objective keeps the RL path and slows its clock: τ(s) = (1 − "
            "e^{−βs})/β, or (1 − (1 − ηβ)^k)/β after k steps of size η."
        ),
        details="It saturates at 1/β, by steps only if ηβ < 2.",
        conditions=(PULLED_TO_START, STEPS_SETTLE),
        unit="RL time (per reward unit)",
        function=paths.rl_clock,
        source=OURS,
        also=(paths.rl_clock_steps,),
    ),
    Law(
        label="D8",
        name="SFT after RL",
        statement=(
            "On the mixture line from π₀ with R(π₀) > R_D, the reward lost per nat gained, counted from the start, "
            "rises from (R(π₀) − R_D)/X²(p_D, π₀) to (R(π₀) − R_D)/KL(p_D, π₀)."
        ),
        details=(
            "R − λL is concave in w: w* = 1 iff R(π₀) − R_D ≤ λ E_x π₀(outside supp p_D); else w* = 0 iff λ X²(p_D, "
            "π₀) ≤ R(π₀) − R_D; else stop where λ X²(p_D, π) = R(π) − R_D. Any SFT: the least reward at KL(π, π_τ) = "
            "k is that of π_{τ−a} with KL(π_{τ−a}, π_τ) = k (RL walked back), for k up to E_x[−log π_τ(worst "
            "responses)], from where on only those are left."
        ),
        conditions=(ON_MIXTURE_LINE,),
        unit="weight in [0, 1]",
        function=paths.optimal_sft_weight,
        source=OURS,
        also=(paths.least_reward,),
    ),
    Law(
        label="D15",
        name="Cost of one objective on another, linearised",
        statement=(
            "RL on one objective moves the parameters along P∇R, so another's loss moves by dL/dR = ⟨∇L, P∇R⟩ / ⟨∇R, "
            "P∇R⟩ (positive: damage), whatever the two share."
        ),
        details="With the tabular Fisher matrix it is (R − R_D)/V (D2).",
        conditions=(SYMMETRIC, FIRST_ORDER),
        unit="nats per reward unit",
        function=paths.linearised_cost,
        source=OURS,
    ),
)
