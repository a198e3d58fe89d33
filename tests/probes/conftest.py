"""A two-layer model of a thousand parameters in float64, and a task whose expert and rewards are known."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from interlace.policies import Policy, load_policy, make_embedded
from interlace.probes import MeasuredTask, Moment, ProbeContext
from interlace.tasks import build_task
from interlace.tasks.base import Task

LITTLE = {
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 4,
    "intermediate_size": 8,
    "attention_dropout": 0.3,
}


@pytest.fixture(scope="session")
def little_task() -> Task:
    return build_task("sums", {"kind": "addition", "digits": 1, "error_kind": "off_by_one", "heldout": 48}, seed=0)


@pytest.fixture(scope="session")
def little_folder(little_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for a moment, so that both gradients have a direction that noise does not drown."""
    folder = make_embedded(tmp_path_factory.mktemp("little"), little_task.alphabet, 3, LITTLE)
    policy = load_policy(str(folder))
    imitate(policy, little_task, num_steps=12, learning_rate=3e-3)
    policy.model.save_pretrained(folder)
    return folder


def imitate(policy: Policy, task: Task, num_steps: int, learning_rate: float) -> None:
    """Plain steps on the expert's and the rewarded responses."""
    target = MeasuredTask.prepare(task, policy)
    ids = torch.tensor([[*item.context, *item.response] for item in target.responses if len(item.response) == 3])
    optimizer = torch.optim.Adam(policy.model.parameters(), lr=learning_rate)
    policy.model.eval()
    for _ in range(num_steps):
        logits = policy.model(input_ids=ids).logits[:, -4:-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, -3:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    optimizer.zero_grad()


@pytest.fixture
def little(little_folder: Path) -> Policy:
    return load_policy(str(little_folder), "float64")


@pytest.fixture
def look(little: Policy, little_task: Task) -> Callable[..., ProbeContext]:
    """A context of the little policy, its start and its last update a small way back."""

    def make(policy: Policy = little, task: Task = little_task, *, seed: int = 0, **fields: object) -> ProbeContext:
        start = moved(policy, seed=1, length=0.3)
        previous = moved(policy, seed=2, length=0.002).model.named_parameters()
        kept = Moment({name: weight.detach() for name, weight in previous})
        target = MeasuredTask.prepare(task, policy)
        return ProbeContext(policy, start, target, 4, seed, **{"moment": kept, **fields})  # type: ignore[arg-type]

    return make


def moved(policy: Policy, seed: int, length: float) -> Policy:
    """The policy with every weight moved by chance."""
    other = policy.with_model(copy.deepcopy(policy.model))
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in other.model.parameters():
            weight += (
                length
                * torch.randn(weight.shape, generator=rng, dtype=torch.float64).to(weight)
                / weight.numel() ** 0.5
            )
    return other
