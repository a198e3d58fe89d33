"""Label words and an expert who errs: what is known of it is what it does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlace.tasks.labels import Labels

THREE = {"n": " no", "y": " yes", "m": " maybe", "k": " no"}


@given(st.floats(0.0, 1.0), st.sampled_from(sorted(set(THREE.values()))))
def test_the_law_sums_to_1_and_is_uniform_over_the_other_words(error, word):
    law = Labels(THREE, error).law(word)
    assert math.fsum(law.values()) == pytest.approx(1.0) and all(law.values())
    assert law.get(word, 0.0) == 1.0 - error
    assert len({p for other, p in law.items() if other != word}) <= 1


def test_draws_follow_the_law():
    labels, draws = Labels(THREE, 0.3), np.random.default_rng(0).random((20_000, 2))
    drawn = [labels.drawn(" yes", *pair) for pair in draws.tolist()]
    for text, probability in labels.law(" yes").items():
        deviation = math.sqrt(probability * (1 - probability) / len(drawn))
        assert abs(drawn.count(text) / len(drawn) - probability) < 5 * deviation


def test_an_expert_without_error_draws_the_true_word():
    assert Labels(THREE).law(" no") == {" no": 1.0} and Labels(THREE).drawn(" no", 0.0, 0.9) == " no"
