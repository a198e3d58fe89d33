"""Merging whole models: what is merged, what stays the base's, and what cannot be merged."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from interlace.errors import ModelError
from interlace.policies import Policy, load_policy, make_embedded
from interlace.policies.merging import MERGES
from interlace.policies.policy import independent_copy
from interlace.stages.base import StageRequest
from interlace.stages.merge import merge_into
from tests.stages.worlds import SIZES, start, task


def moved(policy: Policy, seed: int, folder: Path) -> str:
    """A copy of the policy, elsewhere, in `folder`."""
    model, rng = independent_copy(policy.model), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=rng))
    model.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)
    return str(folder)


def request(folder: Path, *ends: str, **how: object) -> StageRequest:
    return StageRequest("m", task(), {}, folder, 0, how={"name": "linear", **how}, ends=ends)


def test_the_mean_of_two_models_keeps_ties_buffers_and_precision(tmp_path: Path) -> None:
    base = start()
    ends = [moved(base, seed, tmp_path / f"end-{seed}") for seed in (1, 2)]
    one, other = (load_policy(end).model for end in ends)
    model = independent_copy(base.model).to(torch.bfloat16)
    model.register_buffer("counts", torch.arange(3))
    merge_into(model, request(tmp_path, *ends))
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert torch.equal(model.counts, torch.arange(3)) and model.counts.dtype == torch.int64
    for name, weight in model.named_parameters():
        mean = (one.get_parameter(name).double() + other.get_parameter(name).double()) / 2
        assert weight.dtype == torch.bfloat16
        torch.testing.assert_close(weight.double(), mean, rtol=2**-8, atol=1e-6)  # one rounding, not one a step


@pytest.mark.parametrize("name", MERGES)
def test_merging_twice_gives_the_same_bits(tmp_path: Path, name: str) -> None:
    base = start()
    ends = [moved(base, seed, tmp_path / f"end-{seed}") for seed in (1, 2, 3)]
    first, second = independent_copy(base.model), independent_copy(base.model)
    for model in (first, second):
        merge_into(model, request(tmp_path, *ends, name=name))
    pairs = zip(first.parameters(), second.parameters(), base.model.parameters(), strict=True)
    assert all(torch.equal(one, two) and not torch.equal(one, was) for one, two, was in pairs)


def test_another_architecture_is_refused_with_the_parameter_that_differs(tmp_path: Path) -> None:
    wider = make_embedded(tmp_path / "wider", task().alphabet, 0, {**SIZES, "intermediate_size": 48})
    deeper = make_embedded(tmp_path / "deeper", task().alphabet, 0, {**SIZES, "num_hidden_layers": 2})
    wrong = dataclasses.replace(request(tmp_path), ends=(str(wider),))
    with pytest.raises(ModelError, match=r"gate_proj.weight is 32x16 in the base and 48x16 in .*wider. Merge what"):
        merge_into(start().model, wrong)
    with pytest.raises(ModelError, match=r"model.layers.1.* is missing in the base and .* in .*deeper"):
        merge_into(start().model, dataclasses.replace(wrong, ends=(str(deeper),)))
