"""GRPO whose updates a method mixes with imitation, at TRL's seams.

Of an update that mixes, the loss is rl * L_R + sft * L_S, each a token mean over the global batch: L_R is TRL's own
(loss type dapo), L_S is -log pi over the tokens of the responses imitated, over all micro-batches and processes. Where
a weight is 0 that side is neither computed nor sampled for, so that an update of RL alone or of imitation alone is bit
for bit the one that TRL's GRPO or SFT trainer makes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from interlace.encoding import dumps
from interlace.methods import ExpertTokens, Imitated, SampledTokens, Weights, blamed_on
from interlace.stages.composed_groups import ADVANTAGES, IS_EXPERT, NUM_GIVEN, ComposingGRPOTrainer
from interlace.stages.expert_rows import ImitationBatch, imitation_batch
from interlace.stages.gradients_apart import GradientsApart, SummedGradients
from interlace.stages.moments_apart import MomentsApart
from interlace.stages.second_point import displaced

IMITATED, CLIPPED = "imitated", "clip_ratio/region_mean"
STATE, TENSORS, MOMENTS = "interlace_method.json", "interlace_method.safetensors", "interlace_moments.pt"


class HybridTrainer(ComposingGRPOTrainer):
    """A method's two losses; `start` is the stage's start, where the method reads its distributions."""

    start: torch.nn.Module | None = None
    moments: MomentsApart | None = None
    _counted: int = -1
    _drawn: tuple[int, Sequence[Imitated]] | None = None
    _mixed: Weights
    _in_loss: dict[str, Any] | None = None
    _metrics: Any
    _once_more: tuple[float, dict[str, Any]] | None = None

    # What an update is of

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        if not self.model.training:
            return dict(super()._prepare_inputs(generation_batch))
        if self._weights.rl or self.method.follows == "groups":
            inputs = dict(super()._prepare_inputs(generation_batch))
        else:
            self._pass_over()
            inputs = {}
        imitation = self._imitation_of_this_part() if self._weights.sft else None
        if self._counted != self.state.global_step:
            self._counted = self.state.global_step
            self._mixed = self._as_mixed(inputs, imitation)
            self._count_update()
        if self._weights.rl == 0.0 and imitation is not None:
            return {IMITATED: imitation}
        return {**inputs, IMITATED: imitation}

    def _pass_over(self) -> None:
        """Of a batch of generations a part that is not reinforced, and if it is the first, not sampled: the next part
        that is samples the whole batch, as TRL does where none is in hand."""
        if self._step % (self.args.steps_per_generation * self.num_iterations) == 0:
            self._buffered_inputs = None

    @property
    def _weights(self) -> Weights:
        return self.method.weights(self.state.global_step)

    @property
    def _sft_weight(self) -> float:
        return self._weights.sft * (1.0 if self.regrouped is None else self.regrouped.sft)

    @property
    def _part(self) -> int:
        """Which micro-batch of the update this is."""
        return self._step % self.args.gradient_accumulation_steps

    def _imitation_of_this_part(self) -> ImitationBatch | None:
        rows, world = self._imitated_rows(), self.accelerator.num_processes
        part = self._part * world + self.accelerator.process_index
        parts = self.args.gradient_accumulation_steps * world
        return imitation_batch(rows, part, parts, self._tokenizer.pad_token_id, self.accelerator.device)

    def _imitated_rows(self) -> Sequence[Imitated]:
        """All of this update, over its micro-batches and all processes; those that do not come from its groups are
        asked for once, at its first micro-batch."""
        if self.method.follows in ("stream", "kept"):
            step = self.state.global_step
            if self._drawn is None or self._drawn[0] != step:
                self._drawn = step, self.method.imitated(step, self.experts.stream)
            return self._drawn[1]
        if self.regrouped is None:
            return ()
        return self.regrouped.imitated[self.state.global_step % self._updates :: self._updates]

    @property
    def _updates(self) -> int:
        """Optimizer steps that one batch of generations lasts."""
        return max(1, self.args.steps_per_generation // self.args.gradient_accumulation_steps)

    def _count_update(self) -> None:
        """Into the ledger: tokens of imitation that go forward and backward, beside those of completions, which their
        loss counts, at a second point once more."""
        rows = self._imitated_rows() if self._weights.sft else ()
        tokens = sum(row.response.num_tokens for row in rows)
        self.state.num_input_tokens_seen += tokens
        self._count("expert_examples", sum(not row.is_own for row in rows))
        if self.start is not None:
            self._count("tokens_scored", tokens)

    def _as_mixed(self, inputs: Mapping[str, Any], imitation: ImitationBatch | None) -> Weights:
        """Of both sides in this update, of pooled tokens with their numbers."""
        if imitation is None or not inputs:
            return Weights(self._weights.rl, 0.0 if imitation is None else self._sft_weight)
        return Weights(*(self._scale(inputs, imitation, rl=rl) for rl in (True, False)))

    # The loss

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        imitation: ImitationBatch | None = inputs.pop(IMITATED, None)
        if not inputs:
            assert imitation is not None
            return self._sft_weight * self._imitation_loss(model, imitation)
        factor = self._scale(inputs, imitation, rl=True)
        self._in_loss = inputs
        rl = factor * super()._compute_loss(model, inputs)
        self._in_loss = None
        if self.method.second_point and self.model.training:
            self._once_more = factor, inputs
        if imitation is None or self._sft_weight == 0.0:
            return rl
        sft = self._scale(inputs, imitation, rl=False) * self._imitation_loss(model, imitation)
        if self.method.splits_gradient and self.model.training:
            self._apart.add(sft, self._trained(model))
            return rl
        return rl + sft

    def _scale(self, inputs: Mapping[str, Any], imitation: ImitationBatch | None, rl: bool) -> float:
        """The factor of one side's token mean; of pooled tokens both are divided by the number of all of them."""
        factor = self._weights.rl if rl else self._sft_weight
        if not self.method.pools_tokens or imitation is None:
            return factor
        sampled, imitated = float(inputs["num_items_in_batch"]), imitation.num_tokens
        sampled = sampled * self.args.gradient_accumulation_steps / self.args.steps_per_generation  # of this update
        return factor * (sampled if rl else imitated) / (sampled + imitated)

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        """TRL's; in the loss, where the method says what advantages completions and their tokens have."""
        logprobs, entropies, auxiliary = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        if self._in_loss is not None:
            inputs, self._in_loss = self._in_loss, None
            tokens = _sampled_tokens(logprobs.detach(), entropies.detach(), inputs)
            inputs[ADVANTAGES] = self.method.token_advantages(inputs[ADVANTAGES], tokens)
            if self.method.second_point and inputs.get("old_per_token_logps") is None:  # as TRL has it, for both points
                inputs["old_per_token_logps"] = tokens.logprobs
            if inputs.get("old_per_token_logps") is not None:  # the ratio of what was not sampled is 1
                given = tokens.is_expert[:, None] | tokens.is_hint
                inputs["old_per_token_logps"] = torch.where(given, tokens.logprobs, inputs["old_per_token_logps"])
        return logprobs, entropies, auxiliary

    def _imitation_loss(self, model: Any, batch: ImitationBatch) -> Tensor:
        """The update's token mean over what is imitated, this part's share of it, times the processes (DDP divides)."""
        loss = self.method.expert_loss(self._expert_tokens(model, batch))
        total = (loss * batch.weights).masked_fill(~batch.mask, 0.0).sum()
        return total / (batch.num_tokens or 1.0) * self.accelerator.num_processes

    def _expert_tokens(self, model: Any, batch: ImitationBatch) -> ExpertTokens:
        """By TRL's fused head where it can be had: at temperature 1, and no method reads whole distributions."""
        asked = {"input_ids": batch.ids, "attention_mask": batch.attention}
        with self.accelerator.autocast():
            if self.temperature == 1.0 and not self.method.reads_distributions:
                output = model(**asked, labels=batch.labels, fused_lm_head=True)
                return ExpertTokens(output.log_probs, output.entropy.detach(), batch.mask, batch.labels[:, 1:])
            logits = model(**asked, use_cache=False).logits[:, :-1].float()
        every = logits.log_softmax(-1)
        ids = batch.labels[:, 1:].clamp(min=0)
        chosen = every.gather(-1, ids[..., None]).squeeze(-1).masked_fill(~batch.mask, 0.0)
        entropies = -(every.exp() * every).sum(-1).detach().masked_fill(~batch.mask, 0.0)
        return ExpertTokens(chosen, entropies, batch.mask, ids, every, self._start_logprobs(asked))

    def _start_logprobs(self, asked: Mapping[str, Tensor]) -> Tensor | None:
        if self.start is None:
            return None
        with torch.no_grad():
            return self.start(**asked, use_cache=False).logits[:, :-1].float().log_softmax(-1)

    # Gradients apart

    @cached_property
    def _apart(self) -> GradientsApart:
        return GradientsApart()

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """TRL's; after an update's last micro-batch the method combines the gradients, if it takes them apart, and the
        share of imitation is counted."""
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        if self._once_more is not None:
            self._add_second_point(model)
        if not self.accelerator.sync_gradients:
            return loss
        if self.method.second_point:
            self.method.see_second_point(self._elsewhere.take())
        if self.method.splits_gradient:
            found = self._apart.combine(self.method, self._trained(model), self.optimizer, self._mixed)
            for name, value in found.items():
                self._metrics["train"][name].append(value)  # TRL logs their mean since the last time
        share = self.method.imitation(self._mixed)
        if share is not None:
            self._count("imitation_share", share)
        self._counted, self._drawn = -1, None  # training may begin again, at this very step
        return loss

    @cached_property
    def _elsewhere(self) -> SummedGradients:
        return SummedGradients()

    def _add_second_point(self, model: Any) -> None:
        """The RL loss of the micro-batch in hand once more, at the method's second point: its gradient is kept, and of
        what TRL notes of a loss the share of clipped tokens, under a name of its own."""
        assert self._once_more is not None
        (factor, inputs), self._once_more = self._once_more, None
        trained, noted = self._trained(model), self._metrics
        self._metrics = defaultdict(lambda: defaultdict(list))
        try:
            with displaced(trained, self.method.displacement()):
                with self.compute_loss_context_manager():
                    loss = factor * super()._compute_loss(model, inputs)
                self._elsewhere.add(loss, trained)
        finally:
            there, self._metrics = self._metrics["train"], noted
        noted["train"][f"second_point/{CLIPPED}"] += there[CLIPPED]

    def _trained(self, model: Any) -> list[tuple[str, torch.nn.Parameter]]:
        named = self.accelerator.unwrap_model(model).named_parameters()
        return [(name, weight) for name, weight in named if weight.requires_grad]

    # State

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
            with blamed_on(type(self.method), "state"):
                state = dumps(self.method.state)
            (folder / STATE).write_text(state)
            if self.moments is not None:
                torch.save(self.moments.written(self.optimizer), folder / MOMENTS)
            if self.method.tensors:
                save_file({name: each.contiguous() for name, each in self.method.tensors.items()}, folder / TENSORS)

    def _load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self.recall_method(Path(checkpoint))
            if self.moments is not None:
                saved = torch.load(Path(checkpoint) / MOMENTS, map_location="cpu", weights_only=True)
                self.moments.restore(self.optimizer, saved)

    def recall_method(self, folder: Path) -> None:
        """What the method remembered at the checkpoint in `folder`: also where no step is left, and it concludes."""
        self.method.restore(json.loads((folder / STATE).read_text()))
        if (folder / TENSORS).exists():
            self.method.restore_tensors(load_file(folder / TENSORS))


def _sampled_tokens(logprobs: Tensor, entropies: Tensor, inputs: Mapping[str, Any]) -> SampledTokens:
    mask = inputs["completion_mask"].bool()
    is_hint = torch.arange(mask.shape[1], device=mask.device) < inputs[NUM_GIVEN][:, None]
    return SampledTokens(logprobs, entropies, mask, inputs[IS_EXPERT], is_hint)
