"""The RL loss's gradient at a second point: against TRL's loss written out, and without a trace in what is trained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from interlace.errors import TrainingError
from interlace.stages.second_point import displaced
from tests.stages.worlds import GRPO, start, trainer, weights_of

ONE_STEP = {"max_steps": 1, "optim": "sgd", "learning_rate": 0.0, "max_grad_norm": 1e9, "logging_steps": 1}
SPLIT = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}


def bridge(folder: Path, method: Any = "bridge_like", **options: Any) -> Any:
    return trainer("hybrid", folder, method=method, **{**GRPO, **options})


def named() -> list[tuple[str, torch.nn.Parameter]]:
    return list(start().model.named_parameters())


def elsewhere() -> dict[str, Tensor]:
    """A place so far away that some ratios are clipped."""
    generator = torch.Generator().manual_seed(1)
    return {name: 0.1 * torch.randn(each.shape, generator=generator) for name, each in named()}


def flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([each.detach().flatten() for each in tensors.values()])


class Seen:
    """The gradients that a trainer's method is handed, and the completions that they are of."""

    def __init__(self, mixed: Any) -> None:
        self.second: dict[str, Tensor] = {}
        self.rl: dict[str, Tensor] = {}
        self.sft: dict[str, Tensor] = {}
        self.output: dict[str, Tensor] = {}
        generate = mixed._generate_and_score_completions
        see, combine = mixed.method.see_second_point, mixed.method.combine
        mixed._generate_and_score_completions = lambda inputs: self.output.update(generate(inputs)) or {**self.output}
        mixed.method.see_second_point = lambda rl: (self.second.update(rl), see(rl))[1]
        mixed.method.combine = lambda rl, sft, metric: (
            self.rl.update(rl),
            self.sft.update(sft),
            combine(rl, sft, metric),
        )[2]


def logprobs(model: Any, output: dict[str, Tensor]) -> Tensor:
    """Of each completion's tokens."""
    ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
    attention = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
    every = model(input_ids=ids, attention_mask=attention).logits[:, :-1].log_softmax(-1)
    return every.gather(-1, ids[:, 1:, None]).squeeze(-1)[:, -output["completion_ids"].shape[1] :]


def clipped_loss(new: Tensor, old: Tensor, output: dict[str, Tensor]) -> tuple[Tensor, float]:
    """GRPO's token mean, and the share of tokens whose ratio is clipped where that counts."""
    mask, advantages, ratio = output["completion_mask"], output["advantages"][:, None], (new - old).exp()
    gain = torch.min(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
    clipped = ((ratio > 1.2) & (advantages > 0)) | ((ratio < 0.8) & (advantages < 0))
    return -(gain * mask).sum() / mask.sum(), float((clipped * mask).sum() / mask.sum())


@pytest.mark.parametrize("split", [{}, SPLIT], ids=["whole", "split"])
def test_the_gradient_there_is_that_of_the_clipped_loss_on_the_joint_policys_completions(
    tmp_path: Path, split: Any
) -> None:
    """Written out over the whole batch, whatever it was split into; the weights stay what they were, to the bit."""
    mixed, by = bridge(tmp_path, {"name": "bridge_like", "mu": 0.3}, **ONE_STEP, **split), elsewhere()
    seen = Seen(mixed)
    mixed.method.displacement = lambda: by
    mixed.train()
    assert torch.equal(weights_of(mixed), torch.cat([weight.detach().flatten() for _, weight in named()]))
    here, there = start().model, start().model
    with torch.no_grad():
        old = logprobs(here, seen.output)
        for name, weight in there.named_parameters():
            weight.add_(by[name])
    loss, share = clipped_loss(logprobs(there, seen.output), old, seen.output)
    (0.7 * loss).backward()
    expected = {name: weight.grad for name, weight in there.named_parameters()}
    torch.testing.assert_close(flat(seen.second), flat(expected), rtol=0, atol=1e-6)
    assert flat(expected).norm() > 1e-3 and 0.0 < share < 1.0
    logged = next(each for each in mixed.state.log_history if "entropy" in each)
    assert logged["second_point/clip_ratio/region_mean"] == pytest.approx(share, abs=0.05 if split else 1e-6)
    assert logged["clip_ratio/region_mean"] == 0.0


def test_at_no_displacement_it_is_the_rl_gradient_to_the_bit(tmp_path: Path) -> None:
    """Before base and baseline part. TRL logs what it logs of a joint loss; the ledger has the completions once more,
    trained on and not sampled."""
    options = {**ONE_STEP, **SPLIT}
    joint = bridge(tmp_path / "a", "joint", **options)
    joint.train()
    mixed = bridge(tmp_path / "b", **options)
    seen = Seen(mixed)
    mixed.train()
    assert all(torch.equal(seen.second[name], each) for name, each in seen.rl.items()) and flat(seen.rl).norm() > 0
    spent = [each.state.num_input_tokens_seen for each in (joint, mixed)]
    assert spent[1] - spent[0] == seen.output["num_tokens"].sum() > 0
    assert joint.counters == mixed.counters
    logs = [{**each.state.log_history[0]} for each in (joint, mixed)]
    differ = {name for name, value in logs[0].items() if logs[1][name] != value}
    assert differ <= {"loss", "grad_norm", "num_tokens", "step_time"}  # with gradients apart TRL logs RL's loss alone
    extra = {name.split("/")[0] for name in logs[1].keys() - logs[0].keys()}
    assert extra == {"second_point", "coupling"}


def test_without_rl_nothing_is_sampled_and_what_has_no_adapter_moves_as_by_imitation(tmp_path: Path) -> None:
    method = {"name": "bridge_like", "mu": 1.0}
    mixed = bridge(tmp_path / "a", method, max_steps=1)
    mixed.train()
    plain = bridge(tmp_path / "b", {"name": "joint", "mu": 1.0}, max_steps=1)
    plain.train()
    assert "tokens_sampled" not in mixed.counters and mixed.counters == plain.counters
    assert mixed.state.num_input_tokens_seen == plain.state.num_input_tokens_seen
    ends = [dict(each.model.named_parameters()) for each in (mixed, plain)]
    same = {name for name in ends[0] if torch.equal(ends[0][name], ends[1][name])}
    assert same == {name for name, each in ends[0].items() if each.dim() == 1 or "embed" in name or "lm_head" in name}
    assert mixed.method.displacement() == {}


def test_a_failure_there_leaves_the_weights_and_the_logs(tmp_path: Path) -> None:
    mixed, by = bridge(tmp_path, **ONE_STEP), elsewhere()
    mixed.method.displacement = lambda: by
    noted = mixed._metrics

    class Failing:
        def add(self, loss: Tensor, trained: Any) -> None:
            assert not torch.equal(weights_of(mixed), torch.cat([each.detach().flatten() for _, each in named()]))
            raise RuntimeError("no memory left")

    mixed._elsewhere = Failing()
    with pytest.raises(RuntimeError, match="no memory left"):
        mixed.train()
    assert torch.equal(weights_of(mixed), torch.cat([weight.detach().flatten() for _, weight in named()]))
    assert mixed._metrics is noted and "second_point/clip_ratio/region_mean" not in noted["train"]


def test_displaced_weights_are_elsewhere_inside_and_the_same_memory_afterwards() -> None:
    model, by = start().model, elsewhere()
    trained = list(model.named_parameters())
    by.pop(trained[0][0])
    before = {name: (weight.data_ptr(), weight.detach().clone()) for name, weight in trained}
    with displaced(trained, by):
        for name, weight in trained:
            expected = before[name][1] + by[name] if name in by else before[name][1]
            assert torch.equal(weight.detach(), expected)
    for name, weight in trained:
        assert weight.data_ptr() == before[name][0] and torch.equal(weight.detach(), before[name][1])


def test_what_is_not_trained_is_not_displaced() -> None:
    trained = named()
    for name in ("vee", trained[0][0]):
        asked = f"each by a tensor of its shape. Got {name}, shape (1,)."
        with pytest.raises(TrainingError, match=re.escape(asked)), displaced(trained, {name: torch.ones(1)}):
            raise AssertionError("nothing is trained there")
