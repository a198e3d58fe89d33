"""Training under observation is training without it, bit for bit."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Trainer

import interlace
from interlace.errors import ModelError
from interlace.policies import make_embedded
from interlace.store import read_run
from interlace.tasks import Task
from tests.attachment import worlds


class State:
    """Everything that a look must leave alone."""

    def __init__(self, trainer: Trainer) -> None:
        self.weights = worlds.weights(trainer)
        self.optimizer = trainer.optimizer.state_dict()["state"]
        self.generators = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
        self.losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        self.modes = [module.training for module in trainer.model.modules()]
        self.gradients = [parameter.grad is None for parameter in trainer.model.parameters()]


def same(one: State, other: State) -> None:
    assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
    for key, state in one.optimizer.items():
        assert all(torch.equal(state[name], other.optimizer[key][name]) for name in state)
    assert torch.equal(one.generators[0], other.generators[0])
    assert np.array_equal(one.generators[1][1], other.generators[1][1])
    assert one.losses == other.losses and one.losses
    assert (one.modes, one.gradients) == (other.modes, other.gradients)


def restless(task: Task) -> Task:
    """The same task with a reward that draws from every global generator, as a user's may."""

    def reward(completions: list[str], **columns: Any) -> list[float]:
        random.random()
        np.random.rand()  # noqa: NPY002
        torch.rand(1)
        assert task.reward is not None
        return [float(value or 0.0) for value in task.reward(completions=completions, **columns)]

    heldout = tuple(replace(example, rewarded=None) for example in task.heldout)
    return replace(task, heldout=heldout, reward=reward)


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (worlds.sft, {"gradient_accumulation_steps": 2}),
        (worlds.sft, {"gradient_checkpointing": True, "logging_steps": 1}),
        (worlds.grpo, {"gradient_accumulation_steps": 2}),
        (worlds.grpo, {"num_iterations": 2, "loss_type": "grpo"}),
    ],
)
def test_training_with_it_is_training_without_it(
    build: Callable[..., Trainer], options: dict[str, Any], tmp_path: Path
) -> None:
    task = restless(worlds.make_task())
    states = []
    for attached in (False, True):
        trainer = build(tmp_path, task, **options)
        if attached:
            interlace.attach(trainer, task, every=1, overhead=None)
        trainer.train()
        states.append(State(trainer))
    same(*states)


@pytest.mark.parametrize("build", [worlds.sft, worlds.grpo])
def test_every_probe_there_is_changes_nothing(build: Callable[..., Trainer], tmp_path: Path) -> None:
    """Preset `full` under gradient accumulation, with an expert-SFT policy beside: every by-product too."""
    task = restless(worlds.make_task())
    expert = make_embedded(tmp_path / "expert", task.alphabet, 7, worlds.SMALL)
    states = []
    for attached in (False, True):
        trainer = build(tmp_path, task, gradient_accumulation_steps=4, max_steps=2)
        if attached:
            callback = interlace.attach(trainer, task, 1, None, preset="full", expert_policy=expert, completions=2)
        trainer.train()
        states.append(State(trainer))
    same(*states)
    assert callback.folder is not None and not callback.is_off
    (stage,) = read_run(callback.folder).stages
    measured = {item.quantity for item in stage.measurements}
    assert {"kl_policy_expert_nats_per_response", "update_displacement_cosine", "entropy"} <= measured
    assert {"norm_layer_gradient_noise_scale", "displacement_norm", "gradient_cosine"} <= measured
    assert build is not worlds.sft or "curvature_along_displacement" in measured  # untrained, GRPO has no signal
    assert not stage.flags


def test_an_expert_policy_must_have_the_policys_vocabulary(tmp_path: Path) -> None:
    task = worlds.make_task()
    other = make_embedded(tmp_path / "other", task.alphabet + "xyz", 7, worlds.SMALL)
    with pytest.raises(ModelError, match="expert_policy must have the policy's vocabulary"):
        interlace.attach(worlds.sft(tmp_path, task), task, expert_policy=other)


def test_a_callback_alone_changes_nothing_either(tmp_path: Path) -> None:
    task = restless(worlds.make_task())
    states = []
    for callbacks in ([], [interlace.CouplingCallback(task, every=1, overhead=None)]):
        trainer = worlds.grpo(tmp_path, task, callbacks)
        trainer.train()
        states.append(State(trainer))
    same(*states)


PYTHONS_OWN = """
import random, sys
from pathlib import Path
import interlace
from tests.attachment import worlds
from tests.attachment.test_untouched import restless
task, ends = restless(worlds.make_task()), []
for attached in (False, True):
    trainer = worlds.grpo(Path(sys.argv[1]), task)
    if attached:
        interlace.attach(trainer, task, every=1, overhead=None)
    trainer.train()
    ends.append(random.getstate())
assert ends[0] == ends[1]
print("the same")
"""


def test_pythons_own_generator_is_untouched(root: Path, tmp_path: Path) -> None:
    """In a process of its own: the checks of types in tests draw from it."""
    command = [sys.executable, "-c", PYTHONS_OWN, str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("the same\n"), done.stderr
