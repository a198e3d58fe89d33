"""Checkpoints small enough to measure in a second: three models of one shape, a run, adapters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from interlace.policies import load_policy, make_embedded
from interlace.tasks import Task, build_task

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "intermediate_size": 32,
}


@pytest.fixture(scope="session")
def task() -> Task:
    options = {"kind": "addition", "digits": 1, "error_kind": "off_by_one", "heldout": 40}
    return build_task("sums", options, seed=0)


def save_moved(folder: Path, base: Path, seed: int, size: float) -> Path:
    """The model of `base` with noise of `size` added to its matrices."""
    policy, rng = load_policy(str(base)), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            if parameter.dim() > 1:
                parameter.add_(size * torch.randn(parameter.shape, generator=rng))
    policy.model.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def models(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models a, b and c, each further from a."""
    place = tmp_path_factory.mktemp("models")
    make_embedded(place / "a", task.alphabet, 1, SIZES)
    for seed, name in enumerate("bc", start=1):
        save_moved(place / name, place / "a", seed, 0.1 * seed)
    return place


@pytest.fixture(scope="session")
def adapters(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the LoRA adapters first and second on model a, of different rank."""
    place = tmp_path_factory.mktemp("adapters")
    for seed, (name, rank) in enumerate((("first", 2), ("second", 4))):
        config = LoraConfig(r=rank, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = get_peft_model(load_policy(str(models / "a")).model, config)
            for parameter_name, parameter in model.named_parameters():
                if "lora_B" in parameter_name:
                    torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(place / name)
    return place
