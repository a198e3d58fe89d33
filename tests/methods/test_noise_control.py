"""Noise control: the scale of updates against arithmetic on gradients drawn here; what it remembers and concludes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from interlace.encoding import dumps
from interlace.methods import Plan, Update, build_method

PLAN = Plan("sums", "sums", max_steps=100, prompts=64, group_size=8, expert_batch=8, seed=0)
SHAPES = {"weight": (30, 10), "bias": (10,)}
SIZE = 310


def control(**options: Any) -> Any:
    return build_method({"name": "noise_control", **options}, PLAN)


def gradients(share: float, count: int, seed: int = 0) -> np.ndarray:
    """Rows of mean squared norm 1, of which `share` is one common mean."""
    noise = np.random.default_rng(seed).normal(size=(count, SIZE)) * np.sqrt((1.0 - share) / SIZE)
    return noise + np.sqrt(share / SIZE)


def updates(rows: np.ndarray, first: int = 0) -> Iterator[list[Update]]:
    """One a step: each parameter moves from 0 to minus its gradient, in float64."""
    for step, row in enumerate(torch.from_numpy(rows), start=first):
        parts = zip(SHAPES.items(), row.split([300, 10]), strict=True)
        yield [_update(step, name, g.view(shape)) for (name, shape), g in parts]


def _update(step: int, name: str, gradient: torch.Tensor) -> Update:
    return Update(step, name, torch.zeros_like(gradient), -gradient, gradient, 0.1)


def scales(method: Any, rows: np.ndarray, first: int = 0) -> list[float]:
    """What each update was scaled by: every coordinate of every parameter alike."""
    found = []
    for update in updates(rows, first):
        ratios = [(method.settle(part) / -part.gradient).flatten() for part in update]
        ratio = torch.cat(ratios)
        torch.testing.assert_close(ratio, ratio[0].expand_as(ratio), rtol=1e-5, atol=0)
        found.append(float(ratio[0]))
    return found


def test_C9_updates_are_scaled_by_the_share_of_those_before() -> None:
    """Ratio of exponentially weighted products and squares, computed from the rows outright."""
    rows = gradients(0.3, 60)
    found = scales(control(signal_share=0.6, decay=0.8), rows)
    products, norms = (rows[1:] * rows[:-1]).sum(1), (rows**2).sum(1)
    squares = (norms[1:] + norms[:-1]) / 2
    for step in range(20, 60):
        weights = 0.8 ** np.arange(step - 1)[::-1]
        share = (weights @ products[: step - 1]) / (weights @ squares[: step - 1])
        assert found[step] == pytest.approx(min(1.0, share / 0.6), rel=1e-5), step
    assert found[:2] == pytest.approx([0.1, 0.1])
    assert np.mean(found[20:]) == pytest.approx(0.5, abs=0.05)


def test_no_clear_signal_is_the_least_scale() -> None:
    found = scales(control(least=0.05), gradients(0.0, 200))
    assert np.mean(np.isclose(found, 0.05)) > 0.9


def test_an_update_of_enough_signal_is_left_bit_for_bit() -> None:
    method = control(signal_share=0.5)
    kept = [[method.settle(part) is part.after for part in update] for update in updates(gradients(0.9, 12))]
    assert kept[:2] == [[False] * 2] * 2 and kept[5:] == [[True] * 2] * 7
    always = control(least=1.0)
    assert all(always.settle(part) is part.after for update in updates(gradients(0.0, 9)) for part in update)


@pytest.mark.parametrize("stop", [1, 2, 7, 21])
def test_it_goes_on_where_it_was(stop: int) -> None:
    """Through JSON and tensors, between any two updates."""
    rows = gradients(0.4, 30)
    unbroken, first, second = control(), control(), control()
    expected = scales(unbroken, rows)
    begun = scales(first, rows[:stop])
    second.restore(json.loads(dumps(first.state)))
    second.restore_tensors({name: each.clone() for name, each in first.tensors.items()})
    assert begun + scales(second, rows[stop:], stop) == expected
    assert second.state == unbroken.state
    assert second.conclude(lambda *_: None) == unbroken.conclude(lambda *_: None)


def said(share: float, count: int = 100, **options: Any) -> str:
    method = control(**options)
    scales(method, gradients(share, count))
    sentence = method.conclude(lambda *_: None)
    assert sentence == method.conclude(lambda *_: None)
    return str(sentence)


def test_it_concludes_with_share_scale_and_the_batch_that_would_have_done() -> None:
    """A share of .2 at 64 prompts is one of .5 at 256: noise there is four times the signal."""
    rows = gradients(0.2, 100)
    mean = np.mean(scales(control(), rows))
    sentence = said(0.2)
    assert sentence.startswith(f"100 updates were scaled by {mean:.2f} on average (")
    assert "over 20 blocks); the share of signal in their gradients was 0.2" in sentence
    batch = sentence.rpartition(" at 64 prompts, what steps overshoot being noise; the batch at which it is 0.5 is ")[2]
    value, lower, upper = (float(word.strip("[],")) for word in batch.split()[:3])
    assert batch.endswith("] prompts") and lower < 256 < upper and lower < value < upper


def test_what_is_not_resolved_is_said() -> None:
    assert "the batch at which it is 0.5 is not resolved: the signal is not clearly positive: at least " in said(0.0)
    assert "is not resolved: it takes 6 blocks of updates, and there were 4: train longer" in said(0.5, count=20)
    assert control().conclude(lambda *_: None) is None
    back = control()
    alternating = gradients(0.9, 100) * np.where(np.arange(100) % 2, 1.0, -1.0)[:, None]
    scales(back, alternating)
    assert str(back.conclude(lambda *_: None)).endswith("the steps are too long to read it")
