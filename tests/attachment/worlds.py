"""A trainer as a user writes it, in a few lines, on the smallest model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, Trainer, TrainerCallback
from trl import (
    DPOConfig,
    DPOTrainer,
    GRPOConfig,
    GRPOTrainer,
    KTOConfig,
    KTOTrainer,
    RLOOConfig,
    RLOOTrainer,
    SFTConfig,
    SFTTrainer,
)

from interlace.policies import Policy, load_policy, make_embedded
from interlace.tasks import Task, build_task

SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 32, "attention_dropout": 0.2}
COMMON: dict[str, Any] = {
    "max_steps": 4,
    "learning_rate": 1e-2,
    "per_device_train_batch_size": 8,
    "report_to": "none",
    "use_cpu": True,
    "bf16": False,
    "logging_steps": 2,
    "save_strategy": "no",
    "disable_tqdm": True,
    "seed": 3,
    "gradient_checkpointing": False,
    "dataloader_pin_memory": False,
}

Options = dict[str, Any]


def make_task(heldout: int = 16) -> Task:
    return build_task("sums", {"kind": "addition", "digits": 1, "error_kind": "off_by_one", "heldout": heldout}, 0)


def make_model(folder: Path, task: Task) -> Policy:
    if not (folder / "config.json").exists():
        make_embedded(folder, task.alphabet, 0, SMALL)
    return load_policy(str(folder))


def quiet(trainer: Trainer) -> Trainer:
    trainer.remove_callback(PrinterCallback)
    return trainer


def sft_rows(task: Task) -> Dataset:
    return Dataset.from_list([{"prompt": e.prompt, "completion": e.responses[0].text} for e in task.train])


def sft(
    folder: Path, task: Task, callbacks: Sequence[TrainerCallback] = (), peft: Any = None, **options: Any
) -> Trainer:
    policy = make_model(folder / "model", task)
    return quiet(
        SFTTrainer(
            policy.model,
            args=SFTConfig(str(folder / "out"), **{**COMMON, **options}),
            train_dataset=sft_rows(task),
            processing_class=policy.tokenizer,
            callbacks=list(callbacks),
            peft_config=peft,
        )
    )


def _online(kind: Any, config: Any) -> Callable[..., Trainer]:
    def build(folder: Path, task: Task, callbacks: Sequence[TrainerCallback] = (), **options: Any) -> Trainer:
        policy = make_model(folder / "model", task)
        rl: Options = {"per_device_train_batch_size": 16, "num_generations": 4, "max_completion_length": 3}
        return quiet(
            kind(
                policy.model,
                reward_funcs=options.pop("reward_funcs", task.reward),
                args=config(str(folder / "out"), **{**COMMON, **rl, **options}),
                train_dataset=Dataset.from_list(task.rl_rows()),
                processing_class=policy.tokenizer,
                callbacks=list(callbacks),
            )
        )

    return build


grpo, rloo = _online(GRPOTrainer, GRPOConfig), _online(RLOOTrainer, RLOOConfig)


def dpo(folder: Path, task: Task, **options: Any) -> Trainer:
    policy = make_model(folder / "model", task)
    rows = [
        {"prompt": e.prompt, "chosen": e.responses[0].text, "rejected": e.responses[0].text + "0"} for e in task.train
    ]
    return quiet(
        DPOTrainer(
            policy.model,
            args=DPOConfig(str(folder / "out"), **{**COMMON, **options}),
            train_dataset=Dataset.from_list(rows),
            processing_class=policy.tokenizer,
        )
    )


def kto(folder: Path, task: Task, **options: Any) -> Trainer:
    policy = make_model(folder / "model", task)
    rows = [
        {"prompt": e.prompt, "completion": e.responses[0].text, "label": i % 2 == 0} for i, e in enumerate(task.train)
    ]
    return quiet(
        KTOTrainer(
            policy.model,
            args=KTOConfig(str(folder / "out"), **{**COMMON, **options}),
            train_dataset=Dataset.from_list(rows),
            processing_class=policy.tokenizer,
        )
    )


def plain(folder: Path, task: Task, **options: Any) -> Trainer:
    """A Transformers Trainer whose user tokenizes and collates."""
    from transformers import DataCollatorForLanguageModeling, TrainingArguments

    policy = make_model(folder / "model", task)
    texts = [e.prompt + e.responses[0].text + str(policy.tokenizer.eos_token) for e in task.train]
    rows = [{"input_ids": policy.tokenizer(text=text)["input_ids"]} for text in texts]
    return quiet(
        Trainer(
            policy.model,
            args=TrainingArguments(str(folder / "out"), **{**COMMON, **options}),
            train_dataset=Dataset.from_list(rows),
            eval_dataset=Dataset.from_list(rows[:8]),
            processing_class=policy.tokenizer,
            data_collator=DataCollatorForLanguageModeling(policy.tokenizer, mlm=False),
        )
    )


class Reporter(TrainerCallback):
    """A tracker as Transformers sets them up: before the user's callbacks."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        self.seen |= logs or {}


def with_reporter(trainer: Trainer) -> Reporter:
    reporter = Reporter()
    trainer.callback_handler.callbacks.insert(1, reporter)
    return reporter


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}
