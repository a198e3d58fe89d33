"""A small policy, a task with answers of unequal lengths, and trainers made by stages: no run folder, no looks."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer

from interlace.callback import CountingCallback
from interlace.policies import Policy, load_policy, make_embedded
from interlace.policies.policy import independent_copy
from interlace.stages import load_stage
from interlace.stages.base import StageRequest
from interlace.tasks import Task

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 8}
GRPO = {
    "per_device_train_batch_size": 16,
    "num_generations": 4,
    "max_steps": 3,
    "learning_rate": 1e-2,
    "lr_scheduler_type": "constant",
    "max_completion_length": 4,
    "save_strategy": "no",
}


def starts_with_its_digit(completions: list[str], prompts: list[str], **_: Any) -> list[float]:
    """1 for a completion that begins with the prompt's first character: half of it is luck, so groups differ."""
    return [float(text[:1] in ("0", "1", "2", "3")) for text in completions]


def rows() -> list[dict[str, str]]:
    return [{"prompt": f"{n}=", "completion": str(n * 7)} for n in range(40)]


@functools.cache
def task() -> Task:
    return Task.from_rows(rows(), starts_with_its_digit, heldout=8)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Where the start lies, until the tests end: TRL reads a reference from there."""
    return tempfile.TemporaryDirectory()


@functools.cache
def _start() -> Policy:
    folder = Path(_folder().name)
    make_embedded(folder, task().alphabet, seed=0, sizes=SIZES)
    return load_policy(str(folder))


def start() -> Policy:
    """The policy that every trainer begins with, a copy each."""
    policy = _start()
    return policy.with_model(independent_copy(policy.model))


class Counter(CountingCallback):
    """Counts, and looks at nothing."""

    def __init__(self) -> None:
        self.counters: dict[str, float] = {}


def trainer(kind: str, folder: Path, policy: Policy | None = None, **options: Any) -> Trainer:
    """Of a stage of `kind`; `task`, `method` and `imitate` are the request's, all else TRL's."""
    method, imitate = options.pop("method", None), options.pop("imitate", None)
    trained_on = options.pop("task", task())
    if isinstance(method, str):
        method = {"name": method}
    request = StageRequest("s", trained_on, options, folder, 0, method=method, imitate=imitate)
    stage, policy = load_stage(kind), policy or start()
    return stage.trainer(request, stage.configure(request), policy, Counter())


def weights_of(trainer: Trainer) -> torch.Tensor:
    """All of them, flat."""
    return torch.cat([weight.detach().flatten() for weight in trainer.model.parameters()])
