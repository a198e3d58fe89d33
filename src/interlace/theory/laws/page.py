"""docs/laws.md: the registry of laws as a page, with the symbols it uses."""
# ruff: noqa: RUF001 -- mathematical signs

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from interlace.theory.laws import LAWS, Law

SYMBOLS = (
    ("x ~ ρ", "prompts", "prompts and their weights"),
    ("p_D, H", "expert, entropy", "the expert's responses to a prompt (SFT data); their entropy, nats per response"),
    ("π, π_ref", "policy, reference", "a policy; the policy at the start of the RL stage"),
    ("L(π)", "sft_loss", "E_x E_{y ~ p_D}[−log π(y given x)], nats per response; L(π) − H = KL(p_D, π)"),
    ("R(π), R_D", "expected_reward, expert_reward", "mean reward, reward units; R(π) − R_D is the parity gap"),
    ("R_x", "prompt_reward", "mean reward within prompt x, reward units"),
    ("V(π), k₃", "reward_variance, third_central_moment", "central moments of the reward WITHIN prompts"),
    ("KL, X², TV", "kl, chi_square, total_variation", "E_x of the divergence between two policies; KL in nats"),
    (
        "w",
        "reward_range",
        "the widest range of reward within one prompt; in D8, D10 and D11 the weight of SFT, 1 − e^{−s}",
    ),
    (
        "τ",
        "rl_time",
        "1/β at the optimum of R − β KL(π, π_ref); step size × steps of natural policy gradient without KL",
    ),
    ("π_τ, Z_τ", "tilted_policy, log_partition", "the RL path π_ref exp(τ r)/Z_τ and its normaliser"),
    ("top(x)", "top_reward", "the greatest reward on the reference's support, prompt by prompt"),
    ("β", "kl_coefficient", "reward units that one nat of KL costs inside RL's own objective"),
    ("λ", "exchange_rate", "reward units that one nat of SFT loss is worth to you"),
    ("s", "sft_time", "time of the natural-gradient flow on the SFT loss"),
    ("θ, d", "", "the parameters; one update of them, as really applied"),
    ("μ_S, μ_R", "pl_constant", "PL constants: ‖∇L‖² ≥ 2 μ_S (L − L*), ‖∇R‖² ≥ 2 μ_R (R* − R), on the path used"),
    ("l_S, l_R", "smoothness", "the largest curvature of L and of R on the path used"),
    ("κ", "curvature", "the curvature along the displacement: of L in B5; MINUS that of R in B6"),
    (
        "c, g",
        "alignment, gradient_norm",
        "cos(−∇L, d) and ‖∇L‖ in B3 and B5; cos(∇R, d) and ‖∇R‖ in B6; c in D12 is the gradients' own cosine",
    ),
    ("D₀, u", "gap, progress", "what is still to gain at the start, R* − R₀ (L₀ − L* in B6); 1 − e^{−μt}"),
    ("ε, σ₁", "outside_sft, outside_rl, largest_singular_value", "what B7 reads of two gradients' leading directions"),
    ("K, p", "group_size, pass_rate", "completions a prompt in one step of GRPO; the chance that one is right"),
    ("g_K", "group_step_scale", "length of GRPO's expected step along π(· | right) − π(· | wrong), reward units"),
    ("q", "anchor", "the policy that RL's KL term holds to, if it is not the start (D6); a = e^{−βs} in D6"),
    ("ν, ζ", "", "the one number a prompt that makes D9's and D11's policy sum to 1; h is D11's RL time a cycle"),
    ("allowed", "", "responses that the reference or the expert can give: what D9's policies are made of"),
)
"""Symbol, name in code, meaning with unit."""

INTRODUCTION = """\
# Laws

What interlace knows about SFT and RL undoing each other, by label. Code, messages and reports quote these labels. This
page is generated: `python -m interlace.theory.laws > docs/laws.md`.

A **law** can fail on a real run: then a verdict says HOLDS, CONTRADICTS, NOT RESOLVED or OUTSIDE ITS CONDITIONS. A
**self-check** holds for any policy: if it fails, an estimator is at fault.

RL strictly raises SFT loss under four conditions together: the reward is fixed and bounded; the policy is on the RL
path; the reward is not flat (it varies on the reference's support for some prompt; that it varies on the expert's
support is A2's business alone); and, for the whole change, R(π_ref) ≥ R_D or τ > τ†, for the slope, R(π_τ) > R_D.
"""


def markdown() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_symbols(), "", *(_section(law) for law in LAWS.values())])


def _symbols() -> list[str]:
    rows = [f"| {symbol} | {_code(name)} | {meaning} |" for symbol, name, meaning in SYMBOLS]
    return ["## Symbols", "", "| symbol | name in code | meaning |", "|---|---|---|", *rows]


def _code(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split(", ")) if names else ""


def _section(law: Law) -> str:
    functions = (law.function, *law.also)
    lines = [
        f"## {law.label}: {law.name}",
        "",
        law.statement,
        "",
        *([law.details, ""] if law.details else []),
        f"- Conditions: {'; '.join(map(str, law.conditions)) or 'none'}.",
        f"- Kind: {law.kind}. Unit: {law.unit}. Source: {law.source}.",
        f"- Computed by: {', '.join(map(_name, functions))}.",
        "",
    ]
    return "\n".join(lines)


def _name(function: Callable[..., Any]) -> str:
    """Where it is imported from: the room, not the file in it."""
    room = ".".join(function.__module__.split(".")[:3])
    return f"`{room}.{function.__qualname__}`"
