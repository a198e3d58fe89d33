"""GRPO trainers at TRL's seams: one that counts what it samples, one whose rewards carry no information (C9)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from jaxtyping import Float
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer

from interlace.errors import RecipeError
from interlace.stages.moving_anchor import load_anchor, save_anchor
from interlace.stages.prompt_order import PromptOrder

SAMPLING = ("tokens_sampled", "tokens_prefilled")
NUM_TOKENS = "num_tokens"
"""The column of a batch of generations that says how many tokens a row has, prompt and completion."""


class CountingGRPOTrainer(GRPOTrainer):
    """TRL's GRPO, counting into `counters` sampled tokens, the prompt tokens that are read for them (by each completion
    of a group; by vLLM, which shares them, once), and those that are scored by a reference, or for the ratio by the
    policy that sampled them; over all processes.

    TRL raises `num_input_tokens_seen` once a batch of generations; here each loss does, by the rows that it is of: a
    batch may be trained on several times (num_iterations), over several updates, or in part.
    """

    counters: dict[str, float]
    _lengths: Sequence[int] = ()

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        return PromptOrder(super()._get_train_sampler(*args, **kwargs), lambda: int(self.state.epoch))

    def _generate_single_turn(self, prompt_ids: Any, *args: Any, **kwargs: Any) -> Any:
        completion_ids, logprobs = super()._generate_single_turn(prompt_ids, *args, **kwargs)
        sampled, prefilled = (sum(map(len, ids)) for ids in (completion_ids, prompt_ids))
        counted = [(sampled, prefilled / (self.num_generations if self.use_vllm else 1))]
        for name, each in zip(SAMPLING, zip(*gather_object(counted), strict=True), strict=True):
            self._count(name, float(sum(each)))
        return completion_ids, logprobs

    def _count(self, counter: str, amount: float) -> None:
        self.counters[counter] = self.counters.get(counter, 0.0) + amount

    def _generate(self, prompts: list[Any]) -> Any:
        prompt_ids, completion_ids, *others = super()._generate(prompts)
        self._lengths = [len(prompt) + len(ids) for prompt, ids in zip(prompt_ids, completion_ids, strict=True)]
        return prompt_ids, completion_ids, *others

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        before = self.state.num_input_tokens_seen
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        made, self.state.num_input_tokens_seen = self.state.num_input_tokens_seen - before, before
        forwards = (self.beta != 0.0) + ("old_per_token_logps" in output)  # over prompts and completions
        if forwards:
            self._count("tokens_scored", float(forwards * made))
        output[NUM_TOKENS] = torch.tensor(self._lengths, device=output["advantages"].device)
        return output

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        if self.model.training:
            self.state.num_input_tokens_seen += int(self.accelerator.gather(inputs[NUM_TOKENS]).sum())
        loss: Tensor = super()._compute_loss(model, inputs)
        return loss

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if self.args.sync_ref_model and self.args.should_save:
            folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
            save_anchor(self.accelerator.unwrap_model(self.ref_model), folder)

    def _load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if self.args.sync_ref_model and checkpoint is not None:
            load_anchor(self.accelerator.unwrap_model(self.ref_model), Path(checkpoint))


class PlaceboGRPOTrainer(CountingGRPOTrainer):
    """GRPO whose final rewards are permuted within each group, one permutation for all reward functions (C9).

    Given the completions the advantages then have mean exactly 0, so the expected gradient is 0; what the policy still
    does is noise and reward-free drift. `strict` refuses every setting under which that argument fails; `as_configured`
    takes the user's; `mirrored` is strict with every advantage's sign turned, the partner of the strict run of the
    same seed. `bernoulli` draws rewards anew instead (`drawn_anew`), under the user's settings: the random-reward runs
    of the literature. Rewards are logged as changed. What is drawn depends on the seed and on its place in training
    alone, so that a resumed run draws as an unbroken one.
    """

    placebo_mode: str
    placebo_seed: int

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Float[Tensor, "completion function"]:
        rewards = super()._calculate_rewards(*args, **kwargs)
        part = self._step % self.args.gradient_accumulation_steps
        rng = np.random.default_rng([self.placebo_seed, self.state.global_step, part])
        if self.placebo_mode == "bernoulli":
            return drawn_anew(rewards, rng)
        return permuted_within_groups(rewards, self.num_generations, rng)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self.placebo_mode == "mirrored":
            output["advantages"] = -output["advantages"]
        return output


def permuted_within_groups(
    rewards: Float[Tensor, "completion function"], group_size: int, rng: np.random.Generator
) -> Float[Tensor, "completion function"]:
    """Every group's rows in a random order of their own; the columns of a row stay together."""
    groups = len(rewards) // group_size
    order = np.stack([rng.permutation(group_size) for _ in range(groups)]) + np.arange(groups)[:, None] * group_size
    return rewards[torch.from_numpy(order.ravel()).to(rewards.device)]


def drawn_anew(
    rewards: Float[Tensor, "completion function"], rng: np.random.Generator
) -> Float[Tensor, "completion function"]:
    """Every row replaced by one drawn from all of them, each as likely: of 0 and 1, a Bernoulli draw of their mean.

    Given the rewards, draws are independent of completions and of each other, with the batch's mean and (population)
    variance. Unlike a permutation it keeps neither within a group: groups that all succeed or all fail get noise too.
    """
    return rewards[torch.from_numpy(rng.integers(len(rewards), size=len(rewards))).to(rewards.device)]


def refuse_leaks(arguments: GRPOConfig) -> None:
    """Raise RecipeError for the first setting under which a placebo's expected gradient would not be 0."""
    leaks = {
        "num_iterations": (arguments.num_iterations != 1, "must be 1: the ratio leaves 1 after the first inner step"),
        "steps_per_generation": (
            (arguments.steps_per_generation or 1) > arguments.gradient_accumulation_steps,
            "must not exceed gradient_accumulation_steps: rollouts go stale",
        ),
        "beta": (arguments.beta != 0.0, "must be 0: the KL term has a gradient of its own"),
        "use_vllm": (arguments.use_vllm, "must be off: another engine's ratio is not 1"),
    }
    for name, (broken, rule) in leaks.items():
        if broken:
            raise RecipeError(
                f"placebo: strict needs `{name}`, which {rule}. Change it, or use placebo: as_configured."
            ).about(name)
