"""Gradients are refused, with the bytes, where they do not fit; nothing is computed for them then."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from interlace.estimate import Unresolved
from interlace.probes import PROBES, ProbeContext, memory
from interlace.probes.instruments import _reading
from interlace.probes.memory import free_bytes, needed_bytes


def test_what_a_table_needs_is_what_its_vectors_take() -> None:
    """8 parts of a million parameters in float32; of 135 million four of each in bfloat16."""
    assert needed_bytes(10**6, 8, 4) == (8 + 6) * 4 * 10**6
    assert needed_bytes(135 * 10**6, 8, 4) == max(2 * 8 + 6 * 4, 10 * 4) * 135 * 10**6
    assert needed_bytes(10**6, 2, 4) == 10 * 4 * 10**6


def test_some_memory_is_free_here() -> None:
    assert 10**6 < free_bytes(torch.device("cpu")) < 10**14


@pytest.mark.parametrize("name", ["alignment", "smoothness", "linearised_cost", "landscape"])
def test_what_does_not_fit_is_refused(
    name: str, look: Callable[..., ProbeContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda _: 1000)
    seen = look()
    reading = _reading(seen, PROBES[name])
    (figure,) = reading.figures.values()
    needed = needed_bytes(seen.look.space.dimension, 24, 8)
    assert isinstance(figure, Unresolved) and set(reading.figures) == {name}
    assert f"need {needed:.2g} bytes and 1e+03 are free" in figure.reason
    assert "gradients" not in seen.look.__dict__ and not seen._readings
    assert (
        _reading(seen, PROBES["sft_loss"]).figures["sft_loss"] == seen.reading(PROBES["sft_loss"]).figures["sft_loss"]
    )
