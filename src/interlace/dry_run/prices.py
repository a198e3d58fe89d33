"""What training and looking cost on this machine, from counted FLOPs and one measured speed; and what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from interlace.ledger import estimated_flops
from interlace.pipeline import EMBEDDED
from interlace.probes.context import MAX_PROMPTS_FOR_DIVERGENCE
from interlace.recipe import Recipe, StageConfig
from interlace.stages import STAGES
from interlace.stages.spending import Lengths, Spending
from interlace.tasks.base import Task
from interlace.tasks.example import prompt_texts

REACHED_IN_TRAINING, REACHED_IN_LOOKING = 0.25, 0.5
"""Of a matrix product's speed, what training steps and looks reach (measured on the embedded and the 135M model)."""
SAMPLED_TOKEN_COST = 9.0
"""Forwards that sampling one token costs (measured)."""
STAGE_SECONDS, COMMAND_SECONDS = 1.1, 9.0
"""What a stage takes beside its steps and looks (weights, trainer, checkpoints, records), and a command beside its
stages (imports, tasks, the report): CPU seconds (measured on stages of 2 to 4 steps)."""
CHARACTERS_A_TOKEN = 4.0
CHECKPOINT_BYTES, AVERAGE_BYTES = 12, 4
"""Bytes a parameter: weights and two moments of the optimizer in float32; the average of the weights, or a fork's."""


@dataclass(frozen=True)
class Prices:
    """What steps and looks of a recipe cost here: on a model of `parameters` (None: it is not on this machine, and no
    seconds and bytes are known), at `speed`, FLOPs a second of matrix products."""

    recipe: Recipe
    tasks: Mapping[str, Task]
    parameters: int | None
    speed: float

    def seconds(self, trained: float, looked: float) -> float | None:
        """Of FLOPs a parameter in training and in looks, each at the share of the speed that it reaches."""
        reached = trained / REACHED_IN_TRAINING + looked / REACHED_IN_LOOKING
        return None if self.parameters is None else self.parameters * reached / self.speed

    def disk(self, a_parameter: float) -> float | None:
        """Bytes of so many a parameter."""
        return None if self.parameters is None else float(self.parameters * a_parameter)

    def lengths(self) -> dict[str, Lengths]:
        """Of each task."""
        return {name: mean_tokens(task, self.recipe.model) for name, task in self.tasks.items()}

    def look(self, task: Task) -> float:
        """FLOPs a parameter of one look: the expert's responses scored, completions sampled and walked by two
        policies."""
        mean, measure = mean_tokens(task, self.recipe.model), self.recipe.measure
        prompts = min(measure.prompts or len(task.heldout), len(task.heldout))
        prompts += min(measure.training_prompts or 0, len(task.train))
        is_enumerated = task.heldout[0].rewarded is not None
        completions = min(prompts, MAX_PROMPTS_FOR_DIVERGENCE) if is_enumerated else prompts * measure.completions
        walked = completions * (2 * mean.both + SAMPLED_TOKEN_COST * mean.response)
        return estimated_flops(1, 0, int(prompts * (mean.both + mean.response) + walked), 0)

    def every(self, config: StageConfig) -> int:
        """Optimizer steps from one look at a stage to the next."""
        return config.measure_every or self.recipe.measure.every


def matrix_flops_per_second(size: int = 512, repeats: int = 12) -> float:
    """Speed of float32 matrix products here: one thread's best of `repeats`, times the threads.

    One thread, because several on a busy machine wait for each other and would say how busy it is.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    matrix = torch.ones(size, size)
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - began)
    torch.set_num_threads(threads)
    return threads * 2.0 * size**3 / min(seconds)


def kept_bytes(config: StageConfig) -> int:
    """What a finished stage keeps, bytes a parameter: its last checkpoint, with the average twice (to resume and to
    start from); of one that trains nothing the weights alone."""
    whole = CHECKPOINT_BYTES if STAGES[config.kind].trains else AVERAGE_BYTES
    return whole + (2 * AVERAGE_BYTES if config.averaged_weights else 0)


def timed_flops(spending: Spending) -> float:
    """FLOPs a parameter of training that take as long: sampling a token costs several forwards."""
    generated = spending.sampled * SAMPLED_TOKEN_COST + spending.prefilled
    return estimated_flops(1, int(generated), int(spending.trained + spending.scored), int(spending.trained))


def mean_tokens(task: Task, model: str) -> Lengths:
    """From their characters."""
    a_token = 1.0 if model == EMBEDDED else CHARACTERS_A_TOKEN
    few = (task.demonstrated or task.train)[:200]
    prompt = float(np.mean([sum(map(len, prompt_texts(example.prompt))) for example in few])) / a_token
    response = 1.0 + float(np.mean([len(item.text) for example in few for item in example.responses] or [0])) / a_token
    return Lengths(prompt, response)
