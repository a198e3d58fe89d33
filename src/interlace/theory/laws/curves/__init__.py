"""What can be drawn of which law. A picture is numbers and names; the report draws it."""

from __future__ import annotations

from interlace.theory.laws.curves import landscape, mixture, plane, rl_path
from interlace.theory.laws.curves.picture import Curve, Draw, Mark, Panel, Picture, Role, Spot

__all__ = ["PICTURES", "Curve", "Draw", "Mark", "Panel", "Picture", "Role", "Spot"]

PICTURES: dict[str, Draw] = {
    "A1": rl_path.plain,
    "A2": rl_path.from_the_expert,
    "A3": rl_path.with_lower_bound,
    "A4": rl_path.plain,
    "A5": rl_path.plain,
    "A6": rl_path.with_tradeoff,
    "A7": rl_path.with_regularised,
    "A8": mixture.from_start,
    "A9": rl_path.between,
    "A10": rl_path.with_policy,
    "A11": rl_path.with_parts,
    "B1": landscape.decay,
    "B5": landscape.rl_progress,
    "B6": landscape.sft_progress,
    "B7": landscape.cosine,
    "C7": rl_path.from_rewards,
    "D3": plane.path_models,
    "D4": plane.path_models,
    "D6": plane.path_models,
    "D7": landscape.clock,
    "D8": mixture.after_rl,
    "D9": plane.joint,
    "D10": plane.pipelines,
    "D11": plane.cycle,
    "D12": landscape.window,
    "D13": plane.floor,
}
"""By label. A law without one has nothing to draw."""
