"""What a forecast must be read with: a KL term in RL's objective, and where no path model speaks."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from interlace.encoding import dumps
from interlace.estimate import figure_from_json
from interlace.forecasting import Foresight, KlTerm, RunningForecast
from interlace.forecasting.notes import kl_of_plan
from interlace.measurement import RAW, HeldOut, Measurement, Point, PromptScores
from interlace.theory.paths import PathOptions
from interlace.theory.paths.anchored import rl_clock
from tests.forecasting.starts import make_start


def measured(task, quantity, value, step=0):
    estimate = {"value": value, "lower": value, "upper": value, "level": 0.95, "n": 9, "method": "t", "unit": "u"}
    return Measurement(Point("01-rl", step, task, RAW), quantity, figure_from_json(estimate))


def foresight(held, scores, **fields):
    return Foresight(
        "01-rl",
        "made",
        {"made": held, "other": held},
        lambda task: scores,
        60,
        PathOptions(),
        0,
        **fields,
    )


@pytest.mark.parametrize("beta", [0.04, 1.0])
def test_D7_the_ceiling_is_where_the_clock_stops(beta):
    assert KlTerm(beta, scales=False).ceiling == pytest.approx(rl_clock(np.array([1e9]), beta)[0])


def test_without_scaled_advantages_the_ceiling_is_said_with_them_that_nothing_is_modelled():
    plain, scaled = str(KlTerm(1.0, scales=False)), str(KlTerm(1.0))
    assert "cannot go beyond 1/beta = 1 (D7" in plain and "not modelled" not in plain
    assert "not modelled" in scaled and "may go beyond 1/beta" in scaled
    assert "anchor follows" in str(KlTerm.of({"beta": 0.1, "sync_ref_model": True}))
    assert str(KlTerm()) == str(KlTerm(scales=False)) == kl_of_plan(None) == kl_of_plan(0.0) == ""


@pytest.mark.parametrize(
    ("options", "scales"),
    [({}, True), ({"scale_rewards": "group"}, True), ({"scale_rewards": "batch"}, True),
     ({"scale_rewards": True}, True),
     ({"scale_rewards": "none"}, False), ({"scale_rewards": False}, False)],
)  # fmt: skip
def test_trls_words_for_scaled_advantages(options, scales):
    assert KlTerm.of({"beta": 0.1, **options}) == KlTerm(0.1, scales)
    assert KlTerm.of(options) == KlTerm(0.0, scales)


def test_a_trainer_without_the_option_has_the_term_within_its_reward():
    assert KlTerm.of_arguments(SimpleNamespace(beta=0.05)) == KlTerm(0.05, scales=False)
    assert KlTerm.of_arguments(SimpleNamespace(beta=0.05, scale_rewards="group")) == KlTerm(0.05)
    assert KlTerm.of_arguments(SimpleNamespace()) == KlTerm(0.0, scales=False)


def perfect(rate):
    """An expert who is always right, and a policy that is right at `rate`."""
    count = rate.size
    held = HeldOut(
        "made", count, np.arange(count), np.ones(count), np.ones(count), np.full(count, 3), expert_is_known=True
    )
    law = np.tile([1.0, 0.0], (count, 1)), np.column_stack([rate, 1.0 - rate])
    return held, PromptScores(np.log(rate), *law, reward_is_exact=True)


def test_a_perfect_experts_forecast_says_that_no_path_model_speaks_and_what_it_rests_on():
    (note,) = foresight(*perfect(np.ones(24))).notes("made", [])
    assert note.startswith("No path model speaks here (systematic: ") and "group_normalised: " in note
    assert "rest on what other RL stages" in note
    (led,) = foresight(*perfect(np.linspace(0.2, 0.8, 24))).notes("made", [])
    assert led.startswith("The leading path model does not speak here (systematic: ")
    assert "rest on group_normalised (taken to be 0" in led
    unread = Foresight("01-rl", "made", {"made": perfect(np.ones(9))[0]}, lambda task: None, 60, PathOptions(), 0)
    assert "(the start was not measured)" in unread.notes("made", [])[0]


def test_where_path_models_speak_nothing_is_said_of_them():
    held, scores = make_start(np.random.default_rng(0), 24)
    speaking = foresight(held, scores)
    assert speaking.curves and speaking.notes("made", []) == ()
    assert foresight(held, scores, kl_term=KlTerm(0.1)).notes("made", []) == (str(KlTerm(0.1)),)


def test_another_tasks_forecast_rests_on_its_price_where_one_was_read():
    held, scores = make_start(np.random.default_rng(0), 24)
    read = [measured("other", "linearised_cost_preconditioned/made", 0.5)]
    assert "D15's price" in foresight(held, scores).notes("other", read)[0]
    assert "D15" not in foresight(held, scores).notes("other", [])[0]


def test_notes_are_kept_with_the_forecast_and_older_records_have_none():
    held, scores = make_start(np.random.default_rng(0), 24)
    read = [measured("made", name, value) for name, value in (("reward", 0.5), ("sft_loss", 1.0))]
    (made,) = (found.forecast for found in foresight(held, scores, kl_term=KlTerm(0.1)).at(0, read))
    assert made.notes == (str(KlTerm(0.1)),)
    written = json.loads(dumps(made.to_json()))
    assert RunningForecast.from_json(written).notes == made.notes
    del written["notes"]
    assert RunningForecast.from_json(written).notes == ()
