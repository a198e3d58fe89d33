"""The ends of earlier stages merged into one set of weights, without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from interlace.callback import CountingCallback
from interlace.errors import ModelError
from interlace.policies import Policy, load_policy
from interlace.policies.merging import merge_options
from interlace.policies.parameters import widened
from interlace.policies.policy import CausalModel
from interlace.stages.base import StageRequest, built, common_options, quieted
from interlace.stages.spending import LengthsOf, Spending


class MergeStage:
    """Starts from the base and takes one step, which no optimizer makes: to the merged weights.

    So it is looked at, blended, kept and continued as any other stage is.
    """

    def configure(self, request: StageRequest) -> TrainingArguments:
        """Transformers' arguments of one step; the checkpoint has no optimizer in it."""
        return built(TrainingArguments, request.stage, {**common_options(request, 1), "save_only_model": True})

    def spends(self, request: StageRequest, arguments: TrainingArguments, lengths: LengthsOf) -> Spending:
        """Nothing."""
        return Spending()

    def resumable_every(self, arguments: TrainingArguments) -> int:
        """The one step."""
        return 1

    def trainer(
        self, request: StageRequest, arguments: TrainingArguments, policy: Policy, callback: CountingCallback
    ) -> Trainer:
        """What merges the policies in `request.ends` into `policy`, which is their base."""
        trainer = Merger(policy.model, args=arguments, processing_class=policy.tokenizer, callbacks=[callback])
        trainer.request = request
        return quieted(trainer)

    def reconcile(self, trainer: Trainer, request: StageRequest, policy: Policy) -> dict[str, Any] | None:
        """None: nothing is trained."""
        return None


class Merger(Trainer):
    """Tells callbacks what a trainer of one step does, and merges where that step would be."""

    request: StageRequest

    def train(self, *args: Any, **kwargs: Any) -> None:
        """Merge, and keep a checkpoint of it."""
        self.state.max_steps = self.args.max_steps
        told, events = (self.args, self.state, self.control), self.callback_handler
        events.on_train_begin(*told)
        merge_into(self.model, self.request)
        self.state.global_step = self.args.max_steps
        events.on_step_end(*told)
        self._save_checkpoint(self.model, trial=None)
        events.on_save(*told)
        events.on_train_end(*told)


@torch.no_grad()
def merge_into(model: CausalModel, request: StageRequest) -> None:
    """Replace the parameters of `model`, the base, by those merged from `request.ends`.

    Computed in float32, or in the weights' own precision where that is wider, on the CPU. Tied weights are merged once
    and stay tied; buffers, and parameters that are not floats, stay the base's. Memory: each end once more.

    Raises ModelError for an end whose parameters are not those of the base.
    """
    assert request.how is not None
    way, options = merge_options(request.how, len(request.ends))
    dtype = "float64" if model.dtype == torch.float64 else "float32"
    base = _floats(model)
    ends = [_floats(load_policy(source, dtype).model) for source in request.ends]
    _refuse_other_architecture(base, ends, request)
    merged = way.merge(base, ends, options)
    for name, weight in model.named_parameters():
        if name in merged:
            weight.copy_(merged[name])


def _floats(model: CausalModel) -> dict[str, torch.Tensor]:
    named = model.named_parameters()
    return {name: widened(weight.detach().cpu()) for name, weight in named if weight.is_floating_point()}


def _refuse_other_architecture(
    base: dict[str, torch.Tensor], ends: Sequence[dict[str, torch.Tensor]], request: StageRequest
) -> None:
    shapes = {name: weight.shape for name, weight in base.items()}
    for source, end in zip(request.ends, ends, strict=True):
        found = {name: weight.shape for name, weight in end.items()}
        differs = next((name for name in {**shapes, **found} if shapes.get(name) != found.get(name)), None)
        if differs is not None:
            raise ModelError(
                f"of must name policies of one architecture. {differs} is {_shape(shapes.get(differs))} in the base "
                f"and {_shape(found.get(differs))} in {source}. Merge what began with the same weights."
            )


def _shape(shape: torch.Size | None) -> str:
    return "missing" if shape is None else "x".join(map(str, shape))
