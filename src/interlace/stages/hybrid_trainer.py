"""GRPO whose updates a method mixes with imitation, at TRL's seams.

Of an update that mixes, the loss is rl * L_R + sft * L_S, each a token mean over the global batch: L_R is TRL's own
(loss type dapo), L_S is -log pi over the tokens of the responses imitated, over all micro-batches and processes. Where
a weight is 0 that side is neither computed nor sampled for, so that an update of RL alone or of imitation alone is bit
for bit the one that TRL's GRPO or SFT trainer makes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from jaxtyping import Float
from torch import Tensor

from interlace.encoding import dumps
from interlace.methods import ONLY_SFT, ExpertTokens, Groups, Hint, Imitated, Method, Regrouped, SampledTokens, Weights
from interlace.policies import EncodedResponse
from interlace.stages.expert_rows import ExpertRows, ImitationBatch, imitation_batch
from interlace.stages.grpo import CountingGRPOTrainer

EXAMPLE = "interlace_example"
"""The column that says which of the task's training examples a prompt is."""
IMITATED, IS_EXPERT, ADVANTAGES = "imitated", "is_expert", "advantages"
STATE = "interlace_method.json"


class HybridTrainer(CountingGRPOTrainer):
    """TRL's GRPO with a `method`, and the expert's responses in `experts`; `start` is the stage's start where the
    method reads its logits."""

    method: Method
    experts: ExpertRows
    start: torch.nn.Module | None = None
    _inputs: list[dict[str, Any]]
    _hints: dict[int, Sequence[int]]
    _scored: Float[Tensor, "completion"]
    _regrouped: Regrouped | None = None
    _counted: int = -1
    _in_loss: dict[str, Any] | None = None
    _sft_gradients: dict[str, Tensor]

    # What an update is of

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        if not self.model.training:
            return dict(super()._prepare_inputs(generation_batch))
        if self._weights.rl or self.method.follows == "groups":
            inputs = dict(super()._prepare_inputs(generation_batch))
        else:
            self._buffered_inputs, inputs = None, {}
        return {**inputs, IMITATED: self._imitation_of_this_part() if self._weights.sft else None}

    @property
    def _weights(self) -> Weights:
        return self.method.weights(self.state.global_step)

    @property
    def _sft_weight(self) -> float:
        return self._weights.sft * (1.0 if self._regrouped is None else self._regrouped.sft)

    @property
    def _part(self) -> int:
        """Which micro-batch of the update this is."""
        return self._step % self.args.gradient_accumulation_steps

    def _imitation_of_this_part(self) -> ImitationBatch | None:
        rows, world = self._imitated_rows(), self.accelerator.num_processes
        if self._counted != self.state.global_step:
            self._counted = self.state.global_step
            self._count(rows)
        part = self._part * world + self.accelerator.process_index
        parts = self.args.gradient_accumulation_steps * world
        return imitation_batch(rows, part, parts, self._tokenizer.pad_token_id, self.accelerator.device)

    def _imitated_rows(self) -> Sequence[Imitated]:
        """All of this update, over its micro-batches and all processes."""
        if self.method.follows == "stream":
            return [Imitated(response) for response in self.experts.stream(self.state.global_step)]
        if self._regrouped is None:
            return ()
        updates = max(1, self.args.steps_per_generation // self.args.gradient_accumulation_steps)
        return self._regrouped.imitated[self.state.global_step % updates :: updates]

    def _count(self, rows: Sequence[Imitated]) -> None:
        """Into the ledger: tokens that go forward and backward beside those of completions."""
        tokens = sum(row.response.num_tokens for row in rows)
        self.state.num_input_tokens_seen += tokens
        self._add("expert_examples", len(rows))
        if self.start is not None:
            self._add("tokens_scored", tokens)

    def _add(self, counter: str, amount: float) -> None:
        self.counters[counter] = self.counters.get(counter, 0.0) + amount

    # Sampling: hints, and the expert's responses inside the group

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._inputs = inputs
        self._hints = {row: ids for row in range(len(inputs)) if (ids := self._hint(row, in_prompt=True))}
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        groups = self._groups(output)
        self._regrouped = self.method.regroup(groups)
        local = slice(self._first_row, self._first_row + len(inputs))
        for name, of_group in ((ADVANTAGES, self._regrouped.advantages), (IS_EXPERT, groups.is_expert)):
            values = torch.as_tensor(np.ascontiguousarray(of_group).reshape(-1)[local])
            output[name] = values.to(output[ADVANTAGES].device)
        output[ADVANTAGES] = output[ADVANTAGES].to(output["completion_mask"].device, self._scored.dtype)
        return output

    @property
    def _first_row(self) -> int:
        return int(self.accelerator.process_index) * len(self._inputs)

    def _place(self, row: int) -> tuple[int, int]:
        """The example of a local row, and its place in its group."""
        return int(self._inputs[row][EXAMPLE]), (self._first_row + row) % self.num_generations

    def _is_expert(self, row: int) -> bool:
        return self._place(row)[1] < self.method.expert_rows

    def _hint(self, row: int, in_prompt: bool) -> tuple[int, ...]:
        """The leading ids of an expert response that a completion is given; never its end."""
        example, completion = self._place(row)
        hint: Hint | None = self.method.hint(self.state.global_step, example, completion)
        if hint is None or hint.in_prompt != in_prompt:
            return ()
        response = self.experts.response(example, self.state.global_step).response
        return response[: min(round(hint.share * len(response)), len(response) - 1)]

    def _tokenize_prompts(self, prompts: list[Any]) -> Any:
        prompt_ids, *others = super()._tokenize_prompts(prompts)
        return [[*ids, *self._hints.get(row, ())] for row, ids in enumerate(prompt_ids)], *others

    def _generate_single_turn(self, prompt_ids: Any, *args: Any, **kwargs: Any) -> Any:
        prefixes = [self._hint(row, in_prompt=False) for row in range(len(prompt_ids))]
        own = [row for row in range(len(prompt_ids)) if not self._is_expert(row)]
        asked = [[*prompt_ids[row], *prefixes[row]] for row in own]
        sampled, logprobs = super()._generate_single_turn(asked, *args, **kwargs)
        completions = dict(zip(own, sampled, strict=True))
        step = self.state.global_step
        return [
            [*prefixes[row], *completions[row]]
            if row in completions
            else list(self.experts.response(self._place(row)[0], step).response)
            for row in range(len(prompt_ids))
        ], logprobs

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, ids: Any) -> Any:
        if self._hints:
            completions = [self._whole(row, completion) for row, completion in enumerate(completions)]
            ids = [[*self._hints.get(row, ()), *completion] for row, completion in enumerate(ids)]
        rewards = super()._calculate_rewards(inputs, prompts, completions, ids)
        self._scored = (rewards * self.reward_weights.to(rewards.device)).nansum(dim=1)
        return rewards

    def _whole(self, row: int, completion: Any) -> Any:
        """A completion with the hint that stood in its prompt: what the reward is of."""
        text = self._tokenizer.decode(list(self._hints.get(row, ())), skip_special_tokens=True)
        if isinstance(completion, str):
            return text + completion
        return [{**completion[0], "content": text + completion[0]["content"]}, *completion[1:]]

    def _groups(self, output: Mapping[str, Any]) -> Groups:
        """The groups of all processes, as the method sees them."""
        rows = gather_object(self._local_rows(output))
        size, step = self.num_generations, self.state.global_step
        examples = [row[0] for row in rows[::size]]

        def own(prompt: int, completion: int) -> EncodedResponse:
            _, _, context, ids, _ = rows[prompt * size + completion]
            return EncodedResponse(tuple(context), tuple(ids), len(ids))

        def column(place: int, kind: type) -> Any:
            return np.array([row[place] for row in rows], dtype=kind).reshape(-1, size)

        return Groups(
            step=step,
            rewards=self._scored.cpu().double().numpy().reshape(-1, size),
            advantages=column(1, np.float32),
            examples=examples,
            completions=[[rows[p * size + k][3] for k in range(size)] for p in range(len(examples))],
            is_expert=column(4, np.bool_),
            expert=lambda prompt: self.experts.response(examples[prompt], step),
            own=own,
        )

    def _local_rows(self, output: Mapping[str, Any]) -> list[tuple[int, float, list[int], list[int], bool]]:
        """Of each row: example, advantage, ids of prompt and completion, whether it is the expert's."""
        contexts = _unpadded(output["prompt_ids"], output["prompt_mask"])
        completions = _unpadded(output["completion_ids"], output["completion_mask"])
        advantages = output[ADVANTAGES].tolist()
        examples = [self._place(row)[0] for row in range(len(advantages))]
        experts = map(self._is_expert, range(len(advantages)))
        return list(zip(examples, advantages, contexts, completions, experts, strict=True))

    # The loss

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        imitation: ImitationBatch | None = inputs.pop(IMITATED, None)
        if not inputs:
            assert imitation is not None
            return self._weights.sft * self._imitation_loss(model, imitation)
        self._in_loss = inputs
        rl = self._scale(inputs, imitation, rl=True) * super()._compute_loss(model, inputs)
        self._in_loss = None
        if imitation is None or self._sft_weight == 0.0:
            return rl
        sft = self._scale(inputs, imitation, rl=False) * self._imitation_loss(model, imitation)
        if self.method.splits_gradient and self.model.training:
            self._set_apart(model, sft)
            return rl
        return rl + sft

    def _scale(self, inputs: Mapping[str, Any], imitation: ImitationBatch | None, rl: bool) -> float:
        """The factor of one side's token mean; of pooled tokens both are divided by the number of all of them."""
        factor = self._weights.rl if rl else self._sft_weight
        if not self.method.pools_tokens or imitation is None:
            return factor
        updates = max(1, self.args.steps_per_generation // self.args.gradient_accumulation_steps)
        sampled, imitated = float(inputs["num_items_in_batch"]) / updates, imitation.num_tokens
        return factor * (sampled if rl else imitated) / (sampled + imitated)

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        """TRL's; in the loss, where the method says what advantages completions and their tokens have."""
        logprobs, entropies, auxiliary = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        if self._in_loss is not None:
            inputs, self._in_loss = self._in_loss, None
            is_expert, plain = inputs[IS_EXPERT], logprobs.detach()
            tokens = SampledTokens(plain, entropies.detach(), inputs["completion_mask"].bool(), is_expert)
            inputs[ADVANTAGES] = self.method.token_advantages(inputs[ADVANTAGES], tokens)
            if inputs.get("old_per_token_logps") is not None:  # the ratio of what was not sampled is 1
                inputs["old_per_token_logps"] = torch.where(is_expert[:, None], plain, inputs["old_per_token_logps"])
        return logprobs, entropies, auxiliary

    def _imitation_loss(self, model: Any, batch: ImitationBatch) -> Tensor:
        """The update's token mean over what is imitated, this part's share of it, times the processes (DDP divides)."""
        loss = self.method.expert_loss(self._expert_tokens(model, batch))
        total = (loss * batch.weights).masked_fill(~batch.mask, 0.0).sum() if self._is_weighed(batch) else loss.sum()
        return total / max(1.0, batch.num_tokens) * self.accelerator.num_processes

    def _is_weighed(self, batch: ImitationBatch) -> bool:
        return bool((batch.weights != 1.0).any()) or self.method.reads_logits

    def _expert_tokens(self, model: Any, batch: ImitationBatch) -> ExpertTokens:
        """By TRL's fused head where it can be had: at temperature 1, and no method reads whole distributions."""
        asked = {"input_ids": batch.ids, "attention_mask": batch.attention}
        with self.accelerator.autocast():
            if self.temperature == 1.0 and not self.method.reads_logits:
                output = model(**asked, labels=batch.labels, fused_lm_head=True)
                return ExpertTokens(output.log_probs, output.entropy.detach(), batch.mask, batch.labels[:, 1:])
            logits = model(**asked, use_cache=False).logits[:, :-1].float()
        every = logits.log_softmax(-1)
        ids = batch.labels[:, 1:].clamp(min=0)
        chosen = every.gather(-1, ids[..., None]).squeeze(-1).masked_fill(~batch.mask, 0.0)
        entropies = -(every.exp() * every).sum(-1).detach().masked_fill(~batch.mask, 0.0)
        return ExpertTokens(chosen, entropies, batch.mask, ids, every, self._start_logits(asked))

    def _start_logits(self, asked: Mapping[str, Tensor]) -> Tensor | None:
        if self.start is None:
            return None
        with torch.no_grad():
            return self.start(**asked, use_cache=False).logits[:, :-1].float().log_softmax(-1)

    # Gradients apart

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """TRL's; after an update's last micro-batch the method combines the two gradients, if it takes them apart."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        if self.accelerator.sync_gradients and getattr(self, "_sft_gradients", None):
            self._combine(model)
        return loss

    def _trained(self, model: Any) -> list[tuple[str, torch.nn.Parameter]]:
        named = self.accelerator.unwrap_model(model).named_parameters()
        return [(name, weight) for name, weight in named if weight.requires_grad]

    def _set_apart(self, model: Any, sft: Tensor) -> None:
        """Add the imitation loss's gradient to what earlier micro-batches gave."""
        trained = self._trained(model)
        found = torch.autograd.grad(sft, [weight for _, weight in trained], allow_unused=True)
        kept = getattr(self, "_sft_gradients", None) or {}
        self._sft_gradients = {
            name: _sum(kept.get(name), torch.zeros_like(weight) if gradient is None else gradient)
            for (name, weight), gradient in zip(trained, found, strict=True)
        }

    def _combine(self, model: Any) -> None:
        trained = dict(self._trained(model))
        rl = {name: _gradient(weight) for name, weight in trained.items()}
        sft, self._sft_gradients = self._sft_gradients, {}
        for name, gradient in self.method.combine(rl, sft, self._metric(trained)).items():
            trained[name].grad = gradient

    def _metric(self, trained: Mapping[str, torch.nn.Parameter]) -> dict[str, Tensor]:
        """The optimizer's step length a unit of gradient, by parameter: of Adam 1/(sqrt(v) + eps), else 1 (D12)."""
        state, optimizer = self.optimizer.state, self.optimizer
        eps = float(optimizer.defaults.get("eps", 0.0))
        return {
            name: 1.0 / (state[weight]["exp_avg_sq"].sqrt() + eps)
            if "exp_avg_sq" in state.get(weight, {})
            else torch.ones_like(weight)
            for name, weight in trained.items()
        }

    # State

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
            (folder / STATE).write_text(dumps(self.method.state))

    def _load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self.method.restore(json.loads((Path(checkpoint) / STATE).read_text()))


def _unpadded(ids: Tensor, mask: Tensor) -> list[list[int]]:
    return [row[keep].tolist() for row, keep in zip(ids, mask.bool(), strict=True)]


def _sum(kept: Tensor | None, new: Tensor) -> Tensor:
    return new if kept is None else kept + new


def _gradient(weight: torch.nn.Parameter) -> Tensor:
    return torch.zeros_like(weight) if weight.grad is None else weight.grad
