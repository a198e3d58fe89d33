"""A task of one letter, a policy that has learned it by half, and a stage whose gradients are noise alone."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import Trainer, TrainingArguments
from trl import SFTConfig

from interlace.callback import CountingCallback
from interlace.policies import Policy
from interlace.stages.base import StageRequest, built, common_options, quieted
from interlace.stages.spending import LengthsOf, Spending
from interlace.tasks import Task

SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64}
NOISE = 0.02
"""Standard deviation of every gradient entry of the noise stage."""


def is_right(completions: list[str], **_: Any) -> list[float]:
    return [float(completion == "a") for completion in completions]


def letters() -> Task:
    """Each of 81 prompts is answered a (the right answer), b or c with probabilities .7, .2, .1."""
    rng = np.random.default_rng(0)
    drawn = [str(rng.choice(list("abc"), p=[0.7, 0.2, 0.1])) for _ in range(81)]
    prompts = ["".join(letters) + "=" for letters in itertools.product("xyz", repeat=4)]
    rows = [{"prompt": prompt, "completion": letter} for prompt, letter in zip(prompts, drawn, strict=True)]
    return Task.from_rows(rows, is_right, name="letters", heldout=32, max_response_tokens=2)


def recipe(*stages: dict[str, Any], name: str = "letters") -> dict[str, Any]:
    """SFT, then `stages`."""
    sft = {"task": "letters", "max_steps": 60, "per_device_train_batch_size": 64, "learning_rate": 3e-3}
    return {"name": name, "model_options": SMALL, "stages": [{"sft": sft}, *stages], "measure": {"every": 4}}


def rl(**options: Any) -> dict[str, Any]:
    """A GRPO stage on letters."""
    defaults = {
        "task": "letters",
        "max_steps": 8,
        "per_device_train_batch_size": 64,
        "num_generations": 8,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "max_completion_length": 2,
    }
    return {"rl": {**defaults, **options}}


class NoiseTrainer(Trainer):
    """Its loss is <noise, weights>, the noise drawn anew for every step: the gradient has mean 0."""

    def compute_loss(self, model: torch.nn.Module, inputs: Any, return_outputs: bool = False, **_: Any) -> torch.Tensor:
        rng = torch.Generator().manual_seed(1000 * (self.args.seed % 10_000) + self.state.global_step)
        return sum((NOISE * torch.randn(w.shape, generator=rng) * w).sum() for w in model.parameters())  # type: ignore[return-value]


class NoiseStage:
    """Plain SGD on pure noise."""

    def configure(self, request: StageRequest) -> TrainingArguments:
        fields = {**common_options(request, request.options["max_steps"]), **request.options}
        return built(SFTConfig, request.stage, fields | {"bf16": False})

    def spends(self, request: StageRequest, arguments: TrainingArguments, lengths: LengthsOf) -> Spending:
        """Not asked here."""
        return Spending()

    def resumable_every(self, arguments: TrainingArguments) -> int:
        return 1

    def trainer(
        self, request: StageRequest, arguments: TrainingArguments, policy: Policy, callback: CountingCallback
    ) -> Trainer:
        rows = Dataset.from_list([{"input_ids": [0], "labels": [0]}] * 64)
        return quieted(NoiseTrainer(policy.model, arguments, train_dataset=rows, callbacks=[callback]))

    def reconcile(self, trainer: Trainer, request: StageRequest, policy: Policy) -> None:
        return None


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file's content by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
