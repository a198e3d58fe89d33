"""Supervised fine-tuning on the expert's responses, by TRL's SFTTrainer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from transformers import Trainer

from interlace.callback import CouplingCallback
from interlace.errors import DataError
from interlace.policies import encode_responses, response_logprobs
from interlace.stages.base import StageJob, common_arguments, finished, in_bf16, rows_rng
from interlace.tasks.base import Example, Prompt, Task

RECONCILED_ROWS = 64
TOLERANCE_NATS_PER_TOKEN = 1e-3


class SftStage:
    """Minimises L_S, the token mean of -log pi over the expert's responses (end-of-sequence included)."""

    default_options: Mapping[str, Any] = {"per_device_train_batch_size": 8, "num_train_epochs": 1.0}

    def planned_steps(self, task: Task, options: Mapping[str, Any]) -> int:
        """`max_steps`, else as many as the epochs over the task's rows take."""
        if options.get("max_steps", -1) > 0:
            return int(options["max_steps"])
        batches = math.ceil(len(task.train) / _batch(options))
        return max(1, math.ceil(batches * options.get("num_train_epochs", 1.0)))

    def resumable_every(self, options: Mapping[str, Any]) -> int:
        """Every step."""
        return 1

    def trainer(self, job: StageJob, callback: CouplingCallback) -> Trainer:
        """TRL's SFTTrainer over rows drawn from the expert."""
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer

        options = {**self.default_options, **job.options}
        planned = self.planned_steps(job.task, options)
        count = planned * _batch(options) if job.task.fresh_draws else None
        rows = job.task.sft_rows(rows_rng(job), count)
        fields = {**common_arguments(job, planned), "include_num_input_tokens_seen": "non_padding", **options}
        fields |= {"max_steps": planned, "bf16": in_bf16(job), "per_device_eval_batch_size": RECONCILED_ROWS}
        arguments = SFTConfig(**fields)
        _refuse_long_rows(job, rows, arguments.max_length)
        trainer = SFTTrainer(
            job.policy.model,
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            eval_dataset=Dataset.from_list([_row(prompt, text) for prompt, text in _reconciled_pairs(job.task)]),
            processing_class=job.policy.tokenizer,
            callbacks=[callback],
        )
        return finished(trainer, job)

    def reconcile(self, trainer: Trainer, job: StageJob) -> dict[str, Any]:
        """The trainer's evaluation loss and ours over the same held-out rows, nats a token."""
        theirs = float(trainer.evaluate()["eval_loss"])
        pairs = _reconciled_pairs(job.task)
        logprobs = response_logprobs(
            job.policy, encode_responses(job.policy.tokenizer, pairs, job.policy.context_tokens)
        )
        ours = -float(np.concatenate(logprobs).mean())
        return {
            "ours": ours,
            "trainers": theirs,
            "difference": ours - theirs,
            "tolerance": TOLERANCE_NATS_PER_TOKEN,
            "agrees": bool(abs(ours - theirs) <= TOLERANCE_NATS_PER_TOKEN),
            "rows": len(pairs),
            **_conventions(job),
        }


def _batch(options: Mapping[str, Any]) -> int:
    return int(options.get("per_device_train_batch_size", 8)) * int(options.get("gradient_accumulation_steps", 1))


def _reconciled_pairs(task: Task) -> list[tuple[Prompt, str]]:
    """One expert response each of the first held-out examples."""
    return [(example.prompt, _likeliest(example)) for example in task.heldout[:RECONCILED_ROWS]]


def _likeliest(example: Example) -> str:
    return max(example.responses, key=lambda response: response.probability).text


def _row(prompt: Prompt, text: str) -> dict[str, Any]:
    if isinstance(prompt, str):
        return {"prompt": prompt, "completion": text}
    return {"prompt": list(prompt), "completion": [{"role": "assistant", "content": text}]}


def _conventions(job: StageJob) -> dict[str, str]:
    chat = not isinstance(job.task.heldout[0].prompt, str)
    return {
        "template": "the model's chat template" if chat else "none: plain text",
        "eos": f"{job.policy.tokenizer.eos_token} counted as the response's last token",
        "mask": "prompt tokens are masked",
        "dtype": f"weights {job.policy.model.dtype}, forward {job.policy.autocast or job.policy.model.dtype}",
    }


def _refuse_long_rows(job: StageJob, rows: list[dict[str, Any]], max_length: int | None) -> None:
    """Raise DataError for a training row that TRL would cut off: an expert response that does not fit the context.

    Only rows with more characters than the limit has tokens can be too long, so only those are encoded.
    """
    limit = min(max_length or job.policy.context_tokens, job.policy.context_tokens)
    for example in job.task.train:
        for response in example.responses:
            if len(str(example.prompt)) + len(response.text) >= limit:
                encode_responses(job.policy.tokenizer, [(example.prompt, response.text)], limit)
    if not rows:
        raise DataError(f"task {job.task.name!r} must have training rows. It has none. Check its options.")
