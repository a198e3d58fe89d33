"""Options that TRL takes and cannot train with are refused where a stage is configured, with the option at fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from interlace.errors import RecipeError
from interlace.stages import load_stage
from interlace.stages.base import StageRequest
from tests.stages.worlds import GRPO, task, trainer

SFT = {"per_device_train_batch_size": 8, "max_steps": 2, "learning_rate": 1e-2}
OPTIONS = {"sft": SFT, "rl": GRPO, "hybrid": {**GRPO, "method": "joint"}}
ALL, SAMPLING = ("sft", "rl", "hybrid"), ("rl", "hybrid")


def refused(kind: str, folder: Path, **options: Any) -> RecipeError:
    """What configuring says, before there is a trainer."""
    asked = {**OPTIONS[kind], **options}
    method = {"name": asked.pop("method")} if kind == "hybrid" else None
    with pytest.raises(RecipeError) as caught:
        load_stage(kind).configure(StageRequest("s", task(), asked, folder, 0, method=method))
    return caught.value


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"report_to": "foo"}, "Got ['foo'], of which is said: foo is not supported"),
        ({"log_level": "foo"}, "Got 'foo', of which is said: 'foo'"),
        ({"adam_beta1": 2.0}, "Got 'adamw_torch_fused', of which is said: Invalid beta parameter at index 0: 2.0"),
        ({"lr_scheduler_type": "cosine_with_min_lr"}, "One of min_lr or min_lr_rate should be set"),
        ({"dataloader_num_workers": -1}, "num_workers option should be non-negative"),
        ({"fsdp": "full_shard"}, "it works in distributed training only"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_no_trainer_can_begin_with(kind: str, tmp_path: Path, options: dict[str, Any], said: str) -> None:
    found = refused(kind, tmp_path, **options)
    (option,) = options
    assert said in str(found)
    assert found.option == ("optim" if option == "adam_beta1" else option)
    assert str(found).startswith(f"{found.option} of stage 's' must be what a trainer can be made with here. Got ")


@pytest.mark.parametrize("kind", SAMPLING)
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"reward_weights": [1.0, 2.0]}, "must be one number: a task has one reward. Got [1.0, 2.0]. Leave it out"),
        ({"sync_ref_model": True}, "must stand beside beta above 0, whose reference it moves. Got beta 0. Set beta"),
        ({"loss_type": "dappo"}, "must be one of bnpo, cispo, dapo, dr_grpo, grpo, luspo, sapo, vespo. Got 'dappo'. "
                                 "Did you mean 'dapo'?"),
        ({"scale_rewards": "groups"}, "must be one of batch, group, none. Got 'groups'. Did you mean 'group'?"),
        ({"importance_sampling_level": "foo"}, "must be one of sequence, token. Got 'foo'."),
        ({"temperature": 0.0}, "must be above 0. Got 0.0. Change it."),
        ({"min_p": 2.0}, "must be from 0 to 1. Got 2.0. Change it."),
        ({"top_k": -5}, "must be at least 0. Got -5. Change it."),
        ({"num_iterations": 0}, "must be at least 1. Got 0. Change it."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_what_no_stage_with_a_reward_can_train_with(
    kind: str, tmp_path: Path, options: dict[str, Any], sentence: str
) -> None:
    found = refused(kind, tmp_path, **options)
    (option,) = options
    assert found.option == option and f"{option} of stage 's' {sentence}" in str(found)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_length": None, "packing": True}, "must be a number beside packing. Got None."),
        ({"padding_free": True}, "must stand beside packing, or max_length: null"),
        ({"packing_strategy": "foo", "packing": True}, "must be of ('bfd', 'bfd_split', 'wrapped'). Got foo."),
        ({"truncation_mode": "foo"}, "must be of ('keep_start', 'keep_end'). Got foo."),
        ({"assistant_only_loss": True}, "must be off where prompts are no chats. Got True."),
        ({"dataset_kwargs": {"skip_prepare_dataset": True}}, "must leave rows to be tokenised"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_rows_of_which_no_batch_can_be_made(tmp_path: Path, options: dict[str, Any], sentence: str) -> None:
    found = refused("sft", tmp_path, **options)
    assert found.option == next(iter(options)) and f"{found.option} of stage 's' {sentence}" in str(found)


@pytest.mark.parametrize(
    ("options", "seam", "has"),
    [
        ({"use_vllm": True}, "interlace.stages.rl.is_vllm_available", "pip install trl[vllm]"),
        ({"use_liger_kernel": True}, "interlace.stages.foreseen.is_liger_kernel_available", "liger-kernel"),
    ],
    ids=["vllm", "liger"],
)
def test_a_package_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], seam: str, has: str
) -> None:
    monkeypatch.setattr(seam, lambda: False)
    found = refused("rl", tmp_path, **options)
    assert found.option in options and has in str(found)


def test_an_optimizer_whose_package_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> None:
        raise ImportError("You need to install `bitsandbytes`.")

    monkeypatch.setattr("interlace.stages.foreseen.Trainer.get_optimizer_cls_and_kwargs", missing)
    found = refused("sft", tmp_path, optim="adamw_bnb_8bit")
    assert found.option == "optim" and "Got 'adamw_bnb_8bit', of which is said: You need to install" in str(found)


def test_what_is_not_refused_is_trained_with(tmp_path: Path) -> None:
    """Settings that each trial lets pass."""
    asked = {"optim": "adafactor", "lr_scheduler_type": "polynomial", "warmup_steps": 1, "log_level": "error"}
    made = trainer("rl", tmp_path, **{**GRPO, **asked, "reward_weights": [2.0], "max_steps": 2})
    assert made.train().global_step == 2


@pytest.mark.parametrize("kind", ["sft", "rl"])
def test_what_is_tried_beforehand_draws_nothing(kind: str, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    options = {"max_steps": 1} | (dict(GRPO) if kind == "rl" else {})
    load_stage(kind).configure(StageRequest("s", task(), options, tmp_path, 0))
    assert torch.equal(torch.get_rng_state(), before)
