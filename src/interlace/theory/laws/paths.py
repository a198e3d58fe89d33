"""C7, D1 to D8 and D15: how real updates move a policy."""
# ruff: noqa: RUF001 -- the statements use mathematical signs

from __future__ import annotations

from interlace.theory import paths
from interlace.theory.laws.conditions import BOUNDED, NOT_FLAT, ON_PATH
from interlace.theory.laws.law import OURS, Law

PATHS = (
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
)
