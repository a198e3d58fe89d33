"""A model that draws in evaluation mode has no figures: it is refused at the first look, with a sentence."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from interlace.errors import ModelError
from interlace.policies import Policy
from interlace.probes import ProbeContext
from interlace.probes.determinism import refuse_random

Look = Callable[..., ProbeContext]


def restless(policy: Policy) -> Policy:
    """Dropout that was left on: `F.dropout(x)` has training=True by default, whatever the module's mode."""
    model = copy.deepcopy(policy.model)
    norm = model.model.norm
    plain = norm.forward
    norm.forward = lambda x: torch.nn.functional.dropout(plain(x), p=0.1)
    return policy.with_model(model)


def test_what_draws_in_evaluation_mode_is_refused_and_the_random_state_is_kept(little: Policy, look: Look) -> None:
    before = torch.random.get_rng_state()
    with pytest.raises(ModelError, match="must give one response the same log-probability twice in evaluation mode"):
        refuse_random(restless(little), look().target)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_draws_in_training_mode_only_is_not(little: Policy, look: Look) -> None:
    little.model.train()
    assert little.model.config.attention_dropout > 0.0
    refuse_random(little, look().target)
    assert little.model.training


@pytest.mark.parametrize("value", [float("-inf"), float("nan")])
def test_a_model_that_says_nothing_finite_is_told_by_its_figures(little: Policy, look: Look, value: float) -> None:
    model = copy.deepcopy(little.model)
    with torch.no_grad():
        model.model.norm.weight.fill_(value)
    refuse_random(little.with_model(model), look().target)


def test_a_context_compares_gradients_of_parts_that_the_store_can_keep(look: Look) -> None:
    from interlace.probes.alignment import Alignment
    from interlace.statistics import cosine

    reading = Alignment().measure(look())
    kept: Any = reading.scores["gradients"]
    assert cosine(kept.loss, kept.reward, kept.cross) == reading.figures["gradient_cosine"]
