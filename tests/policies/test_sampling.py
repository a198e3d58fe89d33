"""Where completions are drawn, and how much memory a batch of them takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from interlace.policies import Policy, encode_prompt, sampling
from interlace.policies import sample_completions as sample


def cached_bytes(policy: Policy, tokens: int) -> int:
    """What one sequence's keys and values really take."""
    cache = policy.model(input_ids=torch.zeros((1, tokens), dtype=torch.long)).past_key_values
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)


def test_a_batch_is_no_larger_than_its_cache_may_be(tiny: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [encode_prompt(tiny.tokenizer, text) for text in ("a=", "b=", "ab=", "ba=", "aa=")]
    longest = max(map(len, prompts)) + 6
    sizes: list[int] = []
    own = sampling._sample_batch

    def watched(policy: Policy, batch: list[list[int]], *rest: object) -> object:
        sizes.append(len(batch))
        return own(policy, batch, *rest)

    monkeypatch.setattr(sampling, "_sample_batch", watched)
    for room, expected in ((1e9, [5]), (8.5, [2, 2, 1]), (0.1, [1] * 5)):  # in sequences; groups of 4
        monkeypatch.setattr(sampling, "MAX_CACHE_BYTES", int(room * cached_bytes(tiny, longest)))
        sizes.clear()
        groups = sample(tiny, prompts, 4, 6, torch.Generator().manual_seed(0))
        assert sizes == expected and [len(group) for group in groups] == [4] * 5


def test_on_the_cpu_the_given_generator_draws() -> None:
    rng = torch.Generator().manual_seed(3)
    before = rng.get_state()
    assert sampling._generator_on(torch.device("cpu"), rng) is rng and torch.equal(rng.get_state(), before)


def test_a_device_without_generators_is_drawn_for_on_the_cpu() -> None:
    rng = torch.Generator().manual_seed(3)
    assert sampling._generator_on(torch.device("meta"), rng) is rng


@pytest.fixture
def gpu(tiny: Policy) -> Iterator[Policy]:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    yield tiny.with_model(tiny.model.to("cuda"))
    tiny.model.to("cpu")


def test_on_a_gpu_draws_follow_the_seed(gpu: Policy) -> None:
    prompts = [encode_prompt(gpu.tokenizer, "a=")]
    state = torch.cuda.get_rng_state()
    first, second, other = (sample(gpu, prompts, 16, 6, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first == second != other and torch.equal(torch.cuda.get_rng_state(), state)
