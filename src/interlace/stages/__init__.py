"""Stages: one stage config -> one trainer with the callback. A new one is a file and a line in STAGES.

The registry is light: TRL takes seconds to import, so a stage's own file is loaded when it is run.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from interlace.environment import forbid_telemetry
from interlace.stages.reserved import RESERVED

if TYPE_CHECKING:
    from interlace.stages.base import Stage

__all__ = ["RESERVED", "STAGES", "StageKind", "load_stage"]


@dataclass(frozen=True, slots=True)
class StageKind:
    """A registered kind of stage: its sentence, the TRL config whose options it takes, and where its code is.

    `config`: None for a stage that trains nothing.
    """

    name: str
    sentence: str
    config: str | None
    implementation: str
    source: str = "TRL"
    cost: str = "training"

    @property
    def trains(self) -> bool:
        """Whether it takes optimizer steps."""
        return self.config is not None

    @property
    def samples(self) -> bool:
        """Whether it learns from completions that it samples, and their rewards."""
        return self.config == "GRPOConfig"


STAGES: dict[str, StageKind] = {
    "sft": StageKind(
        name="sft",
        sentence="supervised fine-tuning on the task's expert responses, by TRL's SFTTrainer",
        config="SFTConfig",
        implementation="interlace.stages.sft:SftStage",
    ),
    "rl": StageKind(
        name="rl",
        sentence="reinforcement learning on the task's reward (GRPO), by TRL's GRPOTrainer",
        config="GRPOConfig",
        implementation="interlace.stages.rl:RlStage",
    ),
    "hybrid": StageKind(
        name="hybrid",
        sentence="imitation and reinforcement mixed by a method (interlace list methods), on TRL's GRPOTrainer",
        config="GRPOConfig",
        implementation="interlace.stages.hybrid:HybridStage",
    ),
    "merge": StageKind(
        name="merge",
        sentence="the ends of earlier stages merged into one set of weights (interlace list merges), without training",
        config=None,
        implementation="interlace.stages.merge:MergeStage",
        source="WARP (arXiv 2406.16768), TIES-merging (arXiv 2306.01708), task arithmetic (arXiv 2212.04089)",
        cost="no training",
    ),
}


def load_stage(kind: str) -> Stage:
    """The stage of a registered kind, its code imported; its trainer reports nothing home."""
    forbid_telemetry()
    module, name = STAGES[kind].implementation.split(":")
    return cast("Stage", getattr(importlib.import_module(module), name)())
