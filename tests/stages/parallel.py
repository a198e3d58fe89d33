"""One of several processes that train a hybrid stage together; run by torchrun. Writes its weights after an update."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.stages.worlds import GRPO, start, trainer

METHODS = {
    "rl": {"name": "joint", "mu": 0.0},
    "half": {"name": "joint", "mu": 0.5},
    "sft": {"name": "joint", "mu": 1.0},
    "frontier": {"name": "frontier"},
    "luffy": {"name": "luffy"},
}
OPTIONS = {**GRPO, "max_steps": 1, "optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 1e9}


def main() -> None:
    folder, processes = Path(sys.argv[1]), int(sys.argv[2])
    batch = OPTIONS["per_device_train_batch_size"] // processes
    more = {"ddp_backend": "gloo"} if processes > 1 else {}
    for name, method in METHODS.items():
        options = OPTIONS | {"per_device_train_batch_size": batch} | more
        made = trainer("hybrid", folder / f"{name}-{processes}", method=method, **options)
        begin = torch.cat([weight.flatten() for weight in start().model.parameters()])
        made.train()
        moved = torch.cat([weight.detach().flatten() for weight in made.model.parameters()]) - begin
        rank = made.accelerator.process_index
        save_file({"moved": moved.detach()}, folder / f"{name}-{rank}-of-{processes}.safetensors")


if __name__ == "__main__":
    main()
