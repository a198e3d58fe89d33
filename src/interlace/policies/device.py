"""Where policies live: the device that the Trainer will train on, so that what is compared stands side by side."""

from __future__ import annotations

import torch


def training_device() -> torch.device:
    """The current CUDA device where there is one, else the CPU: what a Trainer takes with `use_cpu` set accordingly."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
