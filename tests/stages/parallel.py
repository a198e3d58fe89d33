"""One of several processes that train a hybrid stage together; run by torchrun. Writes its weights and counters
after an update.

What a process samples is its own. Where one process is to be compared with two, completions are written instead: a
function of prompt and place in the group alone, of unequal lengths, some of which earn the reward. Two processes have
12 rows each of three groups of 8: the middle group is of both.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from safetensors.torch import save_file
from trl import GRPOTrainer

from interlace.tasks.demonstrations import with_demonstrations
from tests.stages.worlds import GRPO, start, task, trainer

METHODS = {
    "rl": {"name": "joint", "mu": 0.0},
    "half": {"name": "joint", "mu": 0.5},
    "sft": {"name": "joint", "mu": 1.0},
    "frontier": {"name": "frontier"},
    "luffy": {"name": "luffy"},
    "lspo": {"name": "lspo_like"},
    "short": {"name": "noise_control", "least": 0.1},
}
WRITTEN = {
    "rows": {"name": "joint", "mu": 1.0},
    "written": {"name": "joint", "mu": 0.5},
    "pooled": {"name": "data_mixing"},
    "written-luffy": {"name": "luffy"},
    "written-luffy-few": {"name": "luffy"},
    "written-hpt": {"name": "hpt", "gate": 0.6},
    "written-frontier": {"name": "frontier"},
    "written-frontier-few": {"name": "frontier"},
    "written-prefixes": {"name": "prefix_rft_like", "begin": 0.5},
    "written-hints": {"name": "uft", "low": 0.6, "up": 0.6, "coef": 0.5},
}
"""Methods whose completions are written."""
FEW = 26
"""Of 32 training prompts those that the expert answers under a name that ends so: two of the three of the update."""
OPTIONS = {**GRPO, "max_steps": 1, "optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 1e9}
GROUPS = {"per_device_train_batch_size": 24, "num_generations": 8}
"""Where completions are written."""


def written(trained: Any, prompt_ids: Sequence[Sequence[int]], *rest: Any) -> tuple[list[list[int]], None]:
    """Digits that follow from the prompt and the place in the group, one to three of them, and the end of text."""
    tokenizer = trained.experts.tokenizer
    places = [trained._place(row)[1] for row in range(len(trained._inputs)) if not trained._is_expert(row)]
    texts = [
        str((sum(ids) + 3 * place) % 7) * (1 + (sum(ids) + place) % 3)
        for ids, place in zip(prompt_ids, places, strict=True)
    ]
    return [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in texts], None


def options_of(name: str, processes: int) -> dict[str, Any]:
    """A stage's, whose batch is shared out over the processes."""
    options = OPTIONS | (GROUPS if name in WRITTEN else {})
    options["per_device_train_batch_size"] //= processes
    if name.endswith("few"):
        options["task"] = replace(task(), train=with_demonstrations(task().train, FEW, "few"))
    return options | ({"ddp_backend": "gloo"} if processes > 1 else {})


def main() -> None:
    folder, processes = Path(sys.argv[1]), int(sys.argv[2])
    for name, method in (METHODS | WRITTEN).items():
        made = trainer("hybrid", folder / f"{name}-{processes}", method=method, **options_of(name, processes))
        begin = torch.cat([weight.flatten() for weight in start().model.parameters()])
        with patch.object(GRPOTrainer, "_generate_single_turn", written) if name in WRITTEN else nullcontext():
            made.train()
        moved = torch.cat([weight.detach().flatten() for weight in made.model.parameters()]) - begin
        of_rank = f"{name}-{made.accelerator.process_index}-of-{processes}"
        save_file({"moved": moved.detach()}, folder / f"{of_rank}.safetensors")
        counted = {**made.counters, "tokens": float(made.state.num_input_tokens_seen)}
        (folder / f"{of_rank}.json").write_text(json.dumps(counted))


if __name__ == "__main__":
    main()
