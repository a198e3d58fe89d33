"""D6, D7: the KL term of an RL stage pulls to the weights that the stage starts from, not to the recipe's model. An
anchor that follows the policy is resumed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from interlace.callback import CountingCallback
from interlace.policies import load_policy, make_embedded
from interlace.policies.policy import independent_copy
from interlace.stages import load_stage
from interlace.stages.base import StageRequest
from interlace.tasks import build_task
from tests.checkpoints.conftest import SIZES
from tests.stages import worlds


def test_D7_the_reference_model_is_the_stages_start(tmp_path: Path) -> None:
    task = build_task("sums", {"kind": "addition", "digits": 1, "heldout": 12}, seed=0)
    make_embedded(tmp_path / "model", task.alphabet, 1, SIZES)
    earlier = load_policy(str(tmp_path / "model"))
    with torch.no_grad():
        for weight in earlier.model.parameters():
            weight.mul_(1.5)
    earlier.model.save_pretrained(tmp_path / "end of sft")
    earlier.tokenizer.save_pretrained(tmp_path / "end of sft")

    start = load_policy(str(tmp_path / "end of sft"))
    policy = start.with_model(independent_copy(start.model))
    options = {"max_steps": 1, "beta": 0.1, "learning_rate": 1e-3, "report_to": "none", "use_cpu": True}
    request, kind = StageRequest("rl", task, options, tmp_path / "rl", 0), load_stage("rl")
    callback = CountingCallback()
    callback.counters = {}
    trainer = kind.trainer(request, kind.configure(request), policy, callback)
    assert trainer.ref_model is not policy.model
    for name, weight in trainer.ref_model.named_parameters():
        torch.testing.assert_close(weight, start.model.get_parameter(name), rtol=0.0, atol=0.0)


@pytest.mark.parametrize("kind", ["rl", "hybrid"])
def test_an_anchor_that_follows_the_policy_is_resumed(tmp_path: Path, kind: str) -> None:
    """TRL's sync_ref_model: stopped at step 2 of 4 and gone on with, against four steps at once."""
    follows = {"beta": 1.0, "sync_ref_model": True, "ref_model_mixup_alpha": 0.5, "ref_model_sync_steps": 1}
    options = {**follows, "max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    method = {"method": {"name": "joint", "mu": 0.0}} if kind == "hybrid" else {}
    whole, resumed = (worlds.trainer(kind, tmp_path / name, **options, **method) for name in ("whole", "resumed"))
    whole.train()
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    assert torch.equal(worlds.weights_of(whole), worlds.weights_of(resumed))
    for name, weight in whole.ref_model.named_parameters():
        assert torch.equal(weight, resumed.ref_model.get_parameter(name))
    began = worlds.start().model
    assert any(
        not torch.equal(weight, began.get_parameter(name)) for name, weight in whole.ref_model.named_parameters()
    )
