"""D9 to D14: what no method can escape."""
# ruff: noqa: RUF001 -- the statements use mathematical signs

from __future__ import annotations

from interlace.theory import frontier
from interlace.theory.laws.law import OURS, Law

FRONTIER = (
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
