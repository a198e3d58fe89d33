"""One of several processes that train a hybrid stage together; run by torchrun. Writes its weights after an update.

What a process samples is its own. Where one process is to be compared with two, completions are written instead: a
function of prompt and place in the group alone, of unequal lengths, some of which earn the reward.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.stages.worlds import GRPO, start, trainer

METHODS = {
    "rl": {"name": "joint", "mu": 0.0},
    "half": {"name": "joint", "mu": 0.5},
    "sft": {"name": "joint", "mu": 1.0},
    "frontier": {"name": "frontier"},
    "luffy": {"name": "luffy"},
    "lspo": {"name": "lspo_like"},
    "short": {"name": "noise_control", "least": 0.1},
}
WRITTEN = {"written": {"name": "joint", "mu": 0.5}, "pooled": {"name": "data_mixing"}}
"""Methods whose completions are written."""
OPTIONS = {**GRPO, "max_steps": 1, "optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 1e9}


def write_completions(trainer: Any) -> None:
    """Digits that follow from the prompt and the place in the group, one to three of them, and the end of text."""
    tokenizer, size = trainer.experts.tokenizer, trainer.num_generations

    def written(prompt_ids: Sequence[Sequence[int]], *rest: Any) -> tuple[list[list[int]], None]:
        texts = [
            str((sum(ids) + 3 * (row % size)) % 7) * (1 + (sum(ids) + row % size) % 3)
            for row, ids in enumerate(prompt_ids)
        ]
        return [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in texts], None

    trainer._generate_single_turn = written


def main() -> None:
    folder, processes = Path(sys.argv[1]), int(sys.argv[2])
    batch = OPTIONS["per_device_train_batch_size"] // processes
    more = {"ddp_backend": "gloo"} if processes > 1 else {}
    for name, method in (METHODS | WRITTEN).items():
        options = OPTIONS | {"per_device_train_batch_size": batch} | more
        made = trainer("hybrid", folder / f"{name}-{processes}", method=method, **options)
        if name in WRITTEN:
            write_completions(made)
        begin = torch.cat([weight.flatten() for weight in start().model.parameters()])
        made.train()
        moved = torch.cat([weight.detach().flatten() for weight in made.model.parameters()]) - begin
        rank = made.accelerator.process_index
        save_file({"moved": moved.detach()}, folder / f"{name}-{rank}-of-{processes}.safetensors")


if __name__ == "__main__":
    main()
