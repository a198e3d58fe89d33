"""Probes: one file each. A new one is a file and a line in PROBES."""

from interlace.probes.alignment import Alignment
from interlace.probes.base import Probe, Reading
from interlace.probes.chi_square import ChiSquare
from interlace.probes.concentration import Concentration
from interlace.probes.context import Look, ProbeContext
from interlace.probes.curvature import Curvature
from interlace.probes.divergence import Divergence
from interlace.probes.entropy import Entropy
from interlace.probes.expert_divergence import ExpertDivergence
from interlace.probes.landscape import Landscape
from interlace.probes.lenient_reward import LenientReward
from interlace.probes.linearised import LinearisedCost
from interlace.probes.log_partition import LogPartition
from interlace.probes.moment import Moment
from interlace.probes.movement import Movement
from interlace.probes.noise import GradientNoise
from interlace.probes.norm_noise import NormLayerNoise
from interlace.probes.pass_at_k import PassAtK
from interlace.probes.pl_constants import PlConstants
from interlace.probes.reward import Reward
from interlace.probes.rl_path import RlPath
from interlace.probes.sft_loss import SftLoss
from interlace.probes.smoothness import Smoothness
from interlace.probes.target import MeasuredTask
from interlace.probes.update import Update

_BYPRODUCT = (Movement(), NormLayerNoise())
_FORWARD = (
    SftLoss(),
    Reward(),
    Divergence(),
    LenientReward(),
    PassAtK(),
    ChiSquare(),
    LogPartition(),
    Entropy(),
    RlPath(),
    ExpertDivergence(),
)
_BACKWARD = (Alignment(), LinearisedCost(), GradientNoise(), Update(), Concentration(), PlConstants())
_CURVATURE = (Curvature(), Smoothness(), Landscape())

PROBES: dict[str, Probe] = {probe.name: probe for probe in (*_BYPRODUCT, *_FORWARD, *_BACKWARD, *_CURVATURE)}

PRESETS: dict[str, tuple[str, ...]] = {
    "light": ("sft_loss", "reward"),
    "standard": ("sft_loss", "reward", "divergence", "lenient_reward", "pass_at_k", "chi_square"),
    "planning": ("sft_loss", "reward", "linearised_cost"),  # what a forecast is made of, across tasks too
    "full": tuple(PROBES),
}
"""Price lists: which probes a preset pays for. What follows `divergence` in `standard` computes next to nothing."""

OVERHEADS: dict[str, float] = {"light": 0.005, "standard": 0.03, "planning": 0.03, "full": 0.03}
"""The largest share of a training's CPU time that a preset takes of a trainer in hand, where its user names none."""

EXPERT = "expert_divergence"


def probes_of(preset: str, *, with_expert: bool = False) -> list[Probe]:
    """The probes of a preset, and `EXPERT` where an expert-SFT policy was named, whatever the preset.

    Raises KeyError for an unknown preset.
    """
    names = PRESETS[preset]
    return [PROBES[name] for name in (*names, *[EXPERT] * (with_expert and EXPERT not in names))]


__all__ = [
    "OVERHEADS",
    "PRESETS",
    "PROBES",
    "Look",
    "MeasuredTask",
    "Moment",
    "Probe",
    "ProbeContext",
    "Reading",
    "probes_of",
]
