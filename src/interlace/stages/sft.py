"""Supervised fine-tuning on the expert's responses, by TRL's SFTTrainer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import Trainer, TrainingArguments
from trl import SFTConfig, SFTTrainer

from interlace.callback import CountingCallback
from interlace.errors import RecipeError
from interlace.policies import Policy, encode_responses, refuse_long_responses, response_logprobs
from interlace.stages.base import StageRequest, built, common_options, quieted
from interlace.stages.foreseen import refuse_what_fails_later
from interlace.stages.mixing import imitated_tasks, mixed_rows, refuse_what_does_not_mix
from interlace.stages.spending import LengthsOf, Spending, rows_of_a_step, spent_imitating
from interlace.tasks.base import Example, Prompt, Task
from interlace.tasks.example import completion_for, for_trainer

DEFAULTS: Mapping[str, Any] = {"per_device_train_batch_size": 8, "num_train_epochs": 1.0}
RECONCILED_ROWS = 64
TOLERANCE_NATS_PER_TOKEN, TOLERANCE_IN_BF16 = 1e-3, 0.1
"""How far our loss and the trainer's may differ: by summation order, or by the trainer's rounding to bfloat16."""


class SftStage:
    """Minimises L_S, the token mean of -log pi over the expert's responses (end-of-sequence included)."""

    def configure(self, request: StageRequest) -> TrainingArguments:
        """TRL's SFTConfig; steps are `max_steps`, else as many as the epochs over the task's rows take."""
        refuse_what_does_not_mix(request)
        options = {**DEFAULTS, **request.options}
        processes = built(SFTConfig, request.stage, _fields(request, options, 1)).world_size
        planned = _planned_steps(request.task, options, processes)
        arguments = built(SFTConfig, request.stage, _fields(request, options, planned))
        _refuse_unprepared_rows(request, arguments)
        refuse_what_fails_later(request.stage, arguments)
        return arguments

    def spends(self, request: StageRequest, arguments: TrainingArguments, lengths: LengthsOf) -> Spending:
        """Rows of its own task and of those mixed in, each forward and backward."""
        others = [(lengths[task.name], share) for task, share in request.mixed]
        own = lengths[request.task.name], 1.0 - sum(share for _, share in others)
        return spent_imitating(arguments, [own, *others])

    def resumable_every(self, arguments: TrainingArguments) -> int:
        """Every step."""
        return 1

    def trainer(
        self, request: StageRequest, arguments: TrainingArguments, policy: Policy, callback: CountingCallback
    ) -> Trainer:
        """TRL's SFTTrainer over rows drawn from the expert."""
        examples = (example for task in imitated_tasks(request) for example in task.demonstrated)
        pairs = [(example.prompt, response.text) for example in examples for response in example.responses]
        limit = min(arguments.max_length or policy.context_tokens, policy.context_tokens)
        refuse_long_responses(policy.tokenizer, pairs, limit)
        trainer = SFTTrainer(
            policy.model,
            args=arguments,
            train_dataset=Dataset.from_list(_training_rows(request, arguments.max_steps * rows_of_a_step(arguments))),
            eval_dataset=Dataset.from_list([_row(*pair) for pair in _reconciled_pairs(request.task)]),
            processing_class=policy.tokenizer,
            callbacks=[callback],
        )
        return quieted(trainer)

    def reconcile(self, trainer: Trainer, request: StageRequest, policy: Policy) -> dict[str, Any] | None:
        """The trainer's evaluation loss and ours over the same held-out rows, nats a token."""
        theirs = float(trainer.evaluate()["eval_loss"])
        pairs = _reconciled_pairs(request.task)
        logprobs = response_logprobs(policy, encode_responses(policy.tokenizer, pairs, policy.context_tokens))
        ours = -float(np.concatenate(logprobs).mean())
        tolerance = TOLERANCE_IN_BF16 if request.bf16 else TOLERANCE_NATS_PER_TOKEN
        return {
            "ours": ours,
            "trainers": theirs,
            "difference": ours - theirs,
            "tolerance": tolerance,
            "agrees": bool(abs(ours - theirs) <= tolerance),
            "rows": len(pairs),
            **_conventions(request, policy),
        }


def _training_rows(request: StageRequest, count: int) -> list[dict[str, Any]]:
    """`count` rows where tasks are mixed or the expert is drawn anew, else each row of data once."""
    if request.mixed:
        return mixed_rows(request, count)
    return request.task.sft_rows(request.rows_rng(), count if request.task.fresh_draws else None)


def _fields(request: StageRequest, options: Mapping[str, Any], planned: int) -> dict[str, Any]:
    fields = {**common_options(request, planned), "include_num_input_tokens_seen": "non_padding", **options}
    return fields | {"max_steps": planned, "bf16": request.bf16, "per_device_eval_batch_size": RECONCILED_ROWS}


def _refuse_unprepared_rows(request: StageRequest, arguments: SFTConfig) -> None:
    """Raise RecipeError for the first setting under which TRL makes no batches of the rows, or cannot train on them."""
    packs, are_texts = arguments.packing, isinstance(request.task.train[0].prompt, str)
    strategies, modes = ("bfd", "bfd_split", "wrapped"), ("keep_start", "keep_end")
    kept_long = arguments.padding_free and not packs and arguments.max_length is not None
    skips = (arguments.dataset_kwargs or {}).get("skip_prepare_dataset")
    offloads = arguments.activation_offloading and not torch.cuda.is_available()
    rules = {
        "max_length": (packs and arguments.max_length is None, "must be a number beside packing"),
        "padding_free": (kept_long, "must stand beside packing, or max_length: null: rows are not cut without"),
        "packing_strategy": (packs and arguments.packing_strategy not in strategies, f"must be of {strategies}"),
        "truncation_mode": (arguments.truncation_mode not in modes, f"must be of {modes}"),
        "assistant_only_loss": (arguments.assistant_only_loss and are_texts, "must be off where prompts are no chats"),
        "dataset_kwargs": (skips, "must leave rows to be tokenised (skip_prepare_dataset)"),
        "activation_offloading": (offloads, "must be off where there is no GPU"),
    }
    for option, (broken, rule) in rules.items():
        if broken:
            got = getattr(arguments, option)
            raise RecipeError(f"{option} of stage {request.stage!r} {rule}. Got {got}. Change it.").about(option)


def _planned_steps(task: Task, options: Mapping[str, Any], processes: int) -> int:
    if options.get("max_steps", -1) > 0:
        return int(options["max_steps"])
    batch = options["per_device_train_batch_size"] * options.get("gradient_accumulation_steps", 1) * processes
    rows = sum(example.num_rows for example in task.demonstrated)
    return max(1, math.ceil(math.ceil(rows / batch) * options["num_train_epochs"]))


def _reconciled_pairs(task: Task) -> list[tuple[Prompt, str]]:
    """The likeliest expert response of each of the first held-out examples."""
    return [(example.prompt, _likeliest(example)) for example in task.heldout[:RECONCILED_ROWS]]


def _likeliest(example: Example) -> str:
    return max(example.responses, key=lambda response: response.probability).text


def _row(prompt: Prompt, text: str) -> dict[str, Any]:
    return {"prompt": for_trainer(prompt), "completion": completion_for(prompt, text)}


def _conventions(request: StageRequest, policy: Policy) -> dict[str, str]:
    chat = not isinstance(request.task.heldout[0].prompt, str)
    return {
        "template": "the model's chat template" if chat else "none: plain text",
        "eos": f"{policy.tokenizer.eos_token} counted as the response's last token",
        "mask": "prompt tokens are masked",
        "dtype": f"weights {policy.model.dtype}; the trainer's forward in {'bfloat16' if request.bf16 else 'the same'}",
    }
