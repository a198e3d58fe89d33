"""Probes: one file each. A new one is a file and a line in PROBES."""

from interlace.probes.base import Probe, Reading
from interlace.probes.context import ProbeContext
from interlace.probes.divergence import Divergence
from interlace.probes.reward import Reward
from interlace.probes.sft_loss import SftLoss
from interlace.probes.target import MeasuredTask

PROBES: dict[str, Probe] = {probe.name: probe for probe in (SftLoss(), Reward(), Divergence())}

PRESETS: dict[str, tuple[str, ...]] = {
    "light": ("sft_loss", "reward"),
    "standard": ("sft_loss", "reward", "divergence"),
}
"""Price lists: which probes a preset pays for."""

__all__ = ["PRESETS", "PROBES", "MeasuredTask", "Probe", "ProbeContext", "Reading"]
