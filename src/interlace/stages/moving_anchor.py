"""The reference model that follows the policy (TRL's `sync_ref_model`), kept with each checkpoint.

TRL (1.16) saves nothing of it: a resumed training would begin again with the anchor of its start.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from interlace.policies.policy import CausalModel

FILE_NAME = "interlace_anchor.safetensors"


def save_anchor(anchor: CausalModel, folder: Path) -> None:
    """Keep the anchor's weights in a checkpoint folder."""
    save_file({name: weight.detach().contiguous() for name, weight in anchor.named_parameters()}, folder / FILE_NAME)


@torch.no_grad()
def load_anchor(anchor: CausalModel, folder: Path) -> None:
    """Take up the anchor's weights that a checkpoint folder holds."""
    kept = load_file(folder / FILE_NAME)
    for name, weight in anchor.named_parameters():
        weight.copy_(kept[name])
