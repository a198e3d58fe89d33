from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from interlace.statistics.divergence import prefix_kl, response_kl

VOCABULARY, LENGTH, END = 3, 3, 0


def model(seed):
    """Next-token log-probabilities after each prefix of an autoregressive toy."""
    rng = np.random.default_rng(seed)
    prefixes = [prefix for length in range(LENGTH) for prefix in itertools.product(range(VOCABULARY), repeat=length)]
    return {prefix: np.log(rng.dirichlet(np.ones(VOCABULARY))) for prefix in prefixes}


def responses():
    """All responses: tokens up to END or to the length."""
    for tokens in itertools.product(range(VOCABULARY), repeat=LENGTH):
        stop = tokens.index(END) + 1 if END in tokens else LENGTH
        if all(token == END for token in tokens[stop:]):
            yield tokens[:stop]


def along(tokens, policy):
    """[position, vocabulary], the rest filled with what was not visited; and what was."""
    rows = [
        policy[tokens[:t]] if t < len(tokens) else np.log(np.full(VOCABULARY, 1 / VOCABULARY)) for t in range(LENGTH)
    ]
    return np.array(rows), np.arange(LENGTH) < len(tokens)


def test_C5_mean_is_the_exact_kl_and_variance_is_below_the_log_ratios():
    policy, reference = model(0), model(1)
    probability, ratio, ours = [], [], []
    for tokens in responses():
        p, visited = along(tokens, policy)
        q, _ = along(tokens, reference)
        log_p, log_q = (
            rows[np.arange(len(tokens)), list(tokens)].sum() for rows in (p[: len(tokens)], q[: len(tokens)])
        )
        probability.append(np.exp(log_p))
        ratio.append(log_p - log_q)
        ours.append(response_kl(p, q, visited))
    exact = np.dot(probability, ratio)
    assert sum(probability) == pytest.approx(1.0) and np.dot(probability, ours) == pytest.approx(exact, rel=1e-12)
    variances = [np.dot(probability, (np.array(values) - exact) ** 2) for values in (ours, ratio)]
    assert variances[0] < 0.5 * variances[1] and min(ours) >= 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_C5_torch_and_numpy_agree(dtype):
    draw = torch.Generator().manual_seed(0)
    p, q = (torch.log_softmax(torch.randn(2, 4, 7, generator=draw, dtype=dtype), -1) for _ in range(2))
    visited = torch.tensor([[True, True, False, False], [True] * 4])
    tensor = response_kl(p, q, visited)
    assert isinstance(tensor, torch.Tensor) and tensor.dtype == dtype
    expected = (torch.nn.functional.kl_div(q, p, log_target=True, reduction="none").sum(-1) * visited).sum(-1)
    assert torch.allclose(tensor, expected, rtol=1e-4)
    assert np.allclose(response_kl(p.numpy(), q.numpy(), visited.numpy()), expected.numpy(), rtol=1e-4)


def test_C5_zero_probabilities():
    masked, full = np.log(np.array([0.5, 0.5, 1.0])), np.log(np.array([0.25, 0.25, 0.5]))
    masked[2] = -np.inf
    assert prefix_kl(masked, full) == pytest.approx(np.log(2))
    assert prefix_kl(full, masked) == np.inf
    assert prefix_kl(masked, masked) == 0.0
