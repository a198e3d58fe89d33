"""What is drawn of a law agrees with the law."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from interlace.theory import distributional
from interlace.theory.laws import LAWS
from interlace.theory.laws.curves import PICTURES
from interlace.theory.laws.curves.picture import known, single

from .problems import make_problem, one_prompt
from .readings import SMALL, binary, read

PROBLEMS = {
    "small": SMALL,
    "perfect expert": binary([0.2, 0.7], 1.0),
    "above the expert": binary([0.9, 0.8], 0.75),
    "at parity": binary([0.75, 0.75], 0.75),
    "flat": one_prompt([0.4, 0.6], [0.5, 0.5], [1.0, 1.0]),
    "expert not covered": binary([0.0, 0.5], 0.75),
    "continuous": make_problem(np.random.default_rng(3), 3, 6, "continuous", "dense"),
}
ANY_REWARD = [label for label in PICTURES if label not in ("D4", "A11", "D10")]
"""D4 and A11 need binary reward; D10 searches, seconds a problem where types are checked."""


def drawn(label, problem=SMALL, **more):
    reading = read(label, problem, **more)
    return PICTURES[label](reading.inputs, reading.value)


def curve(picture, name):
    (found,) = [each for panel in picture.panels for each in panel.curves if each.name == name]
    return np.array(found.x), np.array(found.y)


def mark(picture, name):
    (found,) = [each.at for each in picture.marks if each.name == name]
    return found


def at(picture, name, place):
    return float(np.interp(place, *curve(picture, name)))


@pytest.mark.parametrize("label", PICTURES)
def test_every_picture_is_whole(label):
    picture = drawn(label)
    assert picture.title and picture.x_title and picture.panels
    for panel in picture.panels:
        assert panel.title and panel.curves
        assert all(len(each.x) == len(each.y) >= 2 for each in panel.curves)
        assert all(math.isfinite(x) for each in panel.curves for x in each.x)
        assert all(math.isfinite(spot.x) and math.isfinite(spot.y) for spot in panel.spots)
    assert all(math.isfinite(each.at) for each in picture.marks)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("label", [each for each in ANY_REWARD if "problem" in read(each).inputs])
def test_any_problem_can_be_drawn(label, name):
    problem = PROBLEMS[name]
    if label == "A10" and name == "expert not covered":
        return
    uniform = np.full(problem.reference.shape, 1.0 / problem.reference.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = drawn(label, problem, anchor=uniform)
    shown = any(math.isfinite(y) for panel in picture.panels for each in panel.curves for y in each.y)
    assert shown or "its SFT loss is infinite" in picture.notes[0]


def test_marks_and_inputs_that_are_nowhere_are_left_out():
    assert [each.name for each in known([("a", 1.0), ("b", None), ("c", math.inf), ("d", math.nan)])] == ["a"]
    assert single({"x": 2}, "x") == 2.0 and single({"x": np.ones(2)}, "x") is None and single({}, "x") is None


# A


def test_loss_is_least_at_parity_and_zero_at_the_threshold():
    picture = drawn("A5", exchange_rate=0.5)
    times, loss = curve(picture, "SFT loss")
    assert mark(picture, "reward parity (A4)") == pytest.approx(times[loss.argmin()], abs=times[1])
    assert at(picture, "SFT loss", mark(picture, "back at its start (A5)")) == pytest.approx(0.0, abs=1e-4)
    assert at(picture, "reward", mark(picture, "reward parity (A4)")) == pytest.approx(0.75, abs=1e-4)
    assert mark(picture, "best stop (A6)") == distributional.optimal_rl_time(SMALL, 0.5)
    assert times[-1] > mark(picture, "back at its start (A5)")


def test_a_perfect_expert_has_no_marks_and_a_note():
    picture = drawn("A5", PROBLEMS["perfect expert"], rl_time=None, exchange_rate=None, kl_coefficient=None)
    assert picture.marks == () and picture.notes[0].startswith(
        "Perfect expert: SFT loss falls for ever, in all by 0.983"
    )
    assert (np.diff(curve(picture, "SFT loss")[1]) < 0.0).all()


def test_a_reference_above_the_expert_is_noted():
    assert "rises from the first step" in drawn("A4", PROBLEMS["above the expert"]).notes[0]
    assert "RL moves nothing" in drawn("A4", PROBLEMS["flat"], anchor=None).notes[0]


def test_the_bound_lies_below_the_loss():
    picture = drawn("A3")
    assert (curve(picture, "lower bound (A3)")[1] <= curve(picture, "SFT loss")[1] + 1e-12).all()


def test_the_tradeoff_is_greatest_at_the_best_stop():
    picture = drawn("A6")
    times, gain = curve(picture, "R − λL")  # noqa: RUF001
    assert mark(picture, "best stop (A6)") == pytest.approx(times[gain.argmax()], abs=times[1])


def test_regularised_reward_is_greatest_at_one_over_beta():
    picture = drawn("A7")
    times, regularised = curve(picture, "R − β KL")  # noqa: RUF001
    assert mark(picture, "1/β") == 2.0 == pytest.approx(times[regularised.argmax()], abs=times[1])
    (level,) = picture.panels[2].levels
    assert level.at == pytest.approx(at(picture, "R − β KL", 1.0), abs=1e-4)  # noqa: RUF001


def test_a_policy_on_the_path_stands_on_the_curve():
    picture = drawn("A10")
    (spot,) = picture.panels[0].spots
    assert spot.y == pytest.approx(at(picture, "SFT loss", spot.x), abs=1e-4)


def test_damage_and_unlearning_add_up():
    picture = drawn("A11")
    parts = [curve(picture, name)[1] for name in ("on the expert\u2019s right responses", "on its wrong ones")]
    np.testing.assert_allclose(sum(parts), curve(picture, "SFT loss")[1], atol=1e-12)


def test_a_change_of_reward_lies_below_its_bounds():
    picture = drawn("A9")
    change, first, second = (np.array(each.y) for each in picture.panels[0].curves)
    assert (change <= first + 1e-12).all() and (first <= second + 1e-12).all()


def test_the_forecast_from_rewards_meets_the_exact_change():
    picture = drawn("C7")
    np.testing.assert_allclose(curve(picture, "forecast")[1], curve(picture, "exact (A1)")[1], atol=1e-5)


# B


def test_progress_is_best_where_the_law_says():
    picture = drawn("B5")
    u, both = curve(picture, "both")
    loss = curve(picture, "SFT loss")[1]
    assert mark(picture, "best stop") == pytest.approx(u[both.argmax()], abs=u[1])
    assert mark(picture, "SFT loss least") == pytest.approx(u[loss.argmin()], abs=u[1])
    assert at(picture, "SFT loss", mark(picture, "back at its start")) == pytest.approx(0.0, abs=1e-4)
    assert both.max() == pytest.approx(read("B5").value.value, abs=1e-4)


def test_the_mirror_trains_sft_loss():
    picture = drawn("B6")
    u, both = curve(picture, "both")
    assert mark(picture, "best stop") == pytest.approx(u[both.argmax()], abs=u[1])
    assert both.max() == pytest.approx(read("B6").value.value, abs=1e-4)
    assert curve(picture, "SFT loss")[1][-1] == -0.5
    assert at(picture, "reward", mark(picture, "back at its start")) == pytest.approx(0.0, abs=1e-4)


def test_the_bound_asked_is_on_the_curve():
    picture = drawn("B7", dimension=1000, rank_sft=5, rank_rl=5)
    assert at(picture, "as given for RL", 0.1) == pytest.approx(read("B7").value, abs=2e-3)
    assert [each.name for each in picture.panels[0].levels] == ["bound asked", "random subspaces"]


# D


def test_the_clock_saturates():
    picture = drawn("D7")
    (level,) = picture.panels[0].levels
    assert level.at == 2.0 and curve(picture, "with the KL term")[1].max() < 2.0


def test_rates_change_sign_at_the_window():
    picture = drawn("D12")
    assert at(picture, "reward rises at", mark(picture, "reward rises from here")) == pytest.approx(0.0, abs=1e-9)
    assert at(picture, "SFT loss falls at", mark(picture, "SFT loss falls up to here")) == pytest.approx(0.0, abs=1e-9)


def test_sft_after_rl_is_best_at_its_weight():
    picture = drawn("D8", PROBLEMS["above the expert"])
    weights, worth = curve(picture, "R − λL")  # noqa: RUF001
    assert mark(picture, "best stop") == pytest.approx(weights[worth.argmax()], abs=weights[1])


@pytest.mark.parametrize("label", ["D9", "D11", "D13"])
def test_nothing_lies_below_the_front(label):
    picture = drawn(label)
    front = curve(picture, "front: nothing is below it (D9)")
    order = np.argsort(front[0])
    x, y = front[0][order], front[1][order]
    for spot in picture.panels[0].spots:
        assert spot.y >= np.interp(spot.x, x, y) - 1e-3
    rewards, losses = curve(picture, "natural gradient (A)")
    assert (losses >= np.interp(rewards, x, y) - 1e-3).all()


def test_policies_in_one_place_share_a_name():
    (panel,) = drawn("D10").panels
    assert "joint optimum\nSFT, then RL\nRL, then SFT" in [spot.name for spot in panel.spots]


def test_path_models_begin_at_the_reference():
    picture = drawn("D6")
    starts = {(each.x[0], each.y[0]) for each in picture.panels[0].curves}
    assert len(picture.panels[0].curves) == 4
    assert all(start == pytest.approx((0.45, starts.copy().pop()[1])) for start in starts)


def test_only_laws_that_are_there_are_drawn():
    assert set(PICTURES) <= set(LAWS)
