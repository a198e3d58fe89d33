"""A place on the line from start to end: what each rule chooses, and on which prompts it is judged."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from interlace.analysis.trajectory import Snapshot
from interlace.controllers import blended_sentence, choose_on_line
from interlace.measurement import HeldOut, PromptScores
from interlace.recipe.model import BlendConfig

PROMPTS = 64
HELD = HeldOut("t", PROMPTS, np.arange(PROMPTS), np.ones(PROMPTS), np.ones(PROMPTS), np.full(PROMPTS, 2), True)
SPREAD = 0.05 * np.tile([1.0, 1.0, -1.0, -1.0], PROMPTS // 4)
"""The same in both halves of the prompts."""


def place(position: float, loss: float, reward: float, skew: float = 0.0) -> Snapshot:
    """Mean loss and reward; `skew`: added to the loss of prompts that choose, taken from those that judge."""
    sides = np.tile([skew, -skew], PROMPTS // 2)
    losses = loss + (SPREAD * position) + sides
    rates = np.full(PROMPTS, reward)
    values = np.stack([np.ones(PROMPTS), np.zeros(PROMPTS)], axis=1)
    scores = PromptScores(-losses, values, np.stack([rates, 1 - rates], axis=1), True, None)
    return Snapshot(HELD, 10, position, scores)


LINE = [place(0.0, 1.0, 0.5), place(0.25, 0.9, 0.6), place(0.5, 1.0, 0.7), place(0.75, 1.2, 0.8), place(1.0, 1.5, 0.85)]


def chosen(places: list[Snapshot] = LINE, **options: float) -> float:
    return choose_on_line(places[0], places, **options).position


def test_a_budget_takes_the_most_reward_whose_upper_end_keeps_it() -> None:
    """The rise at half way is 0 give or take what scatters: a budget just above its upper end takes it."""
    level = 1 - 2 * 0.05 / len(LINE)
    upper = stats.t.ppf((1 + level) / 2, 31) * 0.5 * np.std(SPREAD[::2], ddof=1) / np.sqrt(32)
    assert chosen(budget=1.1 * upper) == 0.5
    assert chosen(budget=0.9 * upper) == 0.25
    assert chosen(budget=0.3) == 0.75 and chosen(budget=1.0) == 1.0


def test_where_nothing_keeps_the_budget_the_start_is_kept() -> None:
    rising = [place(0.0, 1.0, 0.5), place(1.0, 1.5, 0.9)]
    assert chosen(rising, budget=0.01) == 0.0


def test_an_exchange_rate_takes_the_most_gain() -> None:
    means = ((1.0, 0.5), (0.9, 0.6), (1.0, 0.7), (1.2, 0.8), (1.5, 0.85))
    for rate in (0.0, 0.3, 0.8, 3.0):
        found = [(reward - 0.5) - rate * (loss - 1.0) for loss, reward in means]
        assert chosen(exchange_rate=rate) == (0.0, 0.25, 0.5, 0.75, 1.0)[int(np.argmax(found))]


def test_what_is_said_is_of_prompts_that_did_not_choose() -> None:
    lucky = [place(0.0, 1.0, 0.5), place(1.0, 1.1, 0.6, skew=-0.3)]
    found = choose_on_line(lucky[0], lucky, exchange_rate=0.5)
    assert found.position == 1.0 and found.sft_loss.value == pytest.approx(0.4, abs=1e-9)
    assert "the weights of the end are kept" in blended_sentence(found) and "+0.4" in blended_sentence(found)


def test_exactly_one_rule_is_said() -> None:
    for options in ({}, {"budget": 0.1, "position": 0.5}):
        with pytest.raises(ValidationError, match="blend must say one of budget, exchange_rate or position"):
            BlendConfig(**options)
