"""Teacher forcing and sampling against the obvious slow way: one sequence, one forward, float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from interlace.errors import DataError
from interlace.policies import EncodedResponse, Policy, encode_prompt, encode_responses, response_logprobs, scoring
from interlace.policies import sample_completions as sample
from interlace.policies.policy import independent_copy


def naive_logprobs(policy: Policy, item: EncodedResponse) -> np.ndarray:
    """One forward over the unpadded sequence."""
    ids = torch.tensor([[*item.context, *item.response]])
    with torch.no_grad():
        logprobs = policy.model.eval()(input_ids=ids).logits[0].double().log_softmax(-1)
    rows = range(len(item.context) - 1, ids.shape[1] - 1)
    return np.array([float(logprobs[row, ids[0, row + 1]]) for row in rows])


PAIRS = [("a=", "b"), ("ab=", "aab"), ("b=", ""), ("aaaa=", "ba"), ("=", "abab")]


def test_batched_logprobs_equal_one_by_one(tiny: Policy) -> None:
    encoded = encode_responses(tiny.tokenizer, PAIRS, 64)
    for found, item in zip(response_logprobs(tiny, encoded), encoded, strict=True):
        np.testing.assert_allclose(found, naive_logprobs(tiny, item), atol=2e-5)


def test_the_limits_on_a_batch_do_not_change_what_is_found(tiny: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = encode_responses(tiny.tokenizer, PAIRS, 64)
    whole = response_logprobs(tiny, encoded)
    monkeypatch.setattr(scoring, "MAX_BATCH_TOKENS", 8)
    for found, expected in zip(response_logprobs(tiny, encoded), whole, strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_looking_leaves_modes_and_random_state_alone(tiny: Policy) -> None:
    tiny.model.train()
    tiny.model.model.layers[0].eval()
    before = torch.random.get_rng_state()
    response_logprobs(tiny, encode_responses(tiny.tokenizer, PAIRS, 64))
    sample(tiny, [encode_prompt(tiny.tokenizer, "a=")], 3, 4, torch.Generator().manual_seed(0))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert tiny.model.training and not tiny.model.model.layers[0].training
    assert tiny.model.model.layers[1].training


def test_a_trainers_forward_is_passed_by_and_put_back(tiny: Policy) -> None:
    """As accelerate's bfloat16 and TRL's chunked loss leave theirs on the model."""
    encoded = encode_responses(tiny.tokenizer, PAIRS, 64)
    expected = response_logprobs(tiny, encoded)

    def trainers(*_: object, **__: object) -> None:
        raise AssertionError("the trainer's forward was used")

    tiny.model.forward = trainers
    for found, wanted in zip(response_logprobs(tiny, encoded), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert tiny.model.forward is trainers
    np.testing.assert_array_equal(
        response_logprobs(tiny.with_model(independent_copy(tiny.model)), encoded)[0], expected[0]
    )


def test_completions_follow_the_policy(tiny: Policy) -> None:
    """Chi-square of 20 000 two-token completions against the enumerated distribution, for a padded prompt."""
    short, long = encode_prompt(tiny.tokenizer, "a="), encode_prompt(tiny.tokenizer, "bb=")
    groups = sample(tiny, [short, long], 20_000, 2, torch.Generator().manual_seed(7))
    vocabulary, eos = range(len(tiny.tokenizer)), tiny.eos_id
    outcomes = [(eos,), *itertools.product([token for token in vocabulary if token != eos], vocabulary)]
    items = [EncodedResponse(tuple(short), outcome, len(outcome)) for outcome in outcomes]
    expected = np.exp([values.sum() for values in response_logprobs(tiny, items)])
    assert expected.sum() == pytest.approx(1.0, abs=1e-5)
    drawn = [completion.response for completion in groups[0]]
    counts = np.array([drawn.count(outcome) for outcome in outcomes])
    common = expected * len(drawn) > 5
    observed = np.append(counts[common], counts[~common].sum())
    wanted = np.append(expected[common], max(1e-12, 1.0 - expected[common].sum()))
    assert stats.chisquare(observed, wanted / wanted.sum() * len(drawn)).pvalue > 1e-3


def test_completions_repeat_with_their_generator(tiny: Policy) -> None:
    prompts = [encode_prompt(tiny.tokenizer, "a="), encode_prompt(tiny.tokenizer, "abb=")]
    first, second, other = (sample(tiny, prompts, 4, 6, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first == second != other
    assert all(len(item.response) <= 6 for group in first for item in group)


def test_a_response_that_does_not_fit_is_named(tiny: Policy) -> None:
    with pytest.raises(DataError, match="must fit the context of 4 tokens. Got 7 for prompt 'a=' and response 'abab'"):
        encode_responses(tiny.tokenizer, [("a=", "abab")], 4)
