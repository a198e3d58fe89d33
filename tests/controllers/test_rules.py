"""Each rule against stages on finite policies: where the true crossing is, and how often it stops before it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from interlace.analysis.halves import CHOOSING, JUDGING, half_values
from interlace.controllers import RULES, Sighting, State, StopRule, build_rule, replay, rule_config
from interlace.controllers.exchange_rate import TREND, ExchangeRate, Later, gain_later, trend_of
from interlace.controllers.objectives import gain
from interlace.estimate import Estimate, figure_text
from tests.controllers import worlds
from tests.controllers.worlds import LOOKS, first, kl, looked_at, policies, stage, stop_of
from tests.flags.finite import World, tilted

RUNS = 20
LAMBDA = 0.8
OPTIONS: dict[str, dict[str, Any]] = {
    "parity": {},
    "exchange_rate": {"exchange_rate": LAMBDA, "local": True},
    "slope": {"exchange_rate": LAMBDA},
    "sft_loss_budget": {"nats": 0.1},
    "kl": {"nats": 0.3},
    "best_checkpoint": {"exchange_rate": LAMBDA, "patience": 3},
}


def config(name: str, **more: object) -> dict[str, Any]:
    return {"rule": name, **OPTIONS[name], **more}


def truths(world: World, path: worlds.Path) -> dict[str, list[float]]:
    """The figures that the rules wait for, at every look, known exactly and positive beyond the bound."""
    followed = policies(path)
    reward = [(policy * world.reward).sum(axis=1) for policy in followed]
    expert = float((world.expert * world.reward).sum(axis=1).mean())
    loss = [float(-(world.expert * np.log(policy)).sum(axis=1).mean()) for policy in followed]
    gaps = [float(each.mean()) - expert for each in reward]
    spread = [float((each * (1 - each)).mean()) for each in reward]
    return {
        "parity": gaps,
        "exchange_rate": [LAMBDA * gap - variance for gap, variance in zip(gaps, spread, strict=True)],
        "sft_loss_budget": [each - loss[0] - 0.1 for each in loss],
        "kl": [float(kl(policy, followed[0]).mean()) - 0.3 for policy in followed],
    }


def tradeoff(world: World, path: worlds.Path, rate: float) -> list[float]:
    """R - lambda L at every look, known exactly."""
    return [
        float((p * world.reward).sum(axis=1).mean() + rate * (world.expert * np.log(p)).sum(axis=1).mean())
        for p in policies(path)
    ]


@pytest.mark.parametrize("name", ["parity", "exchange_rate", "sft_loss_budget", "kl"])
@pytest.mark.parametrize("sampled", [True, False])
def test_a_crossing_is_found_soon_after_it_happens_and_hardly_ever_before(name: str, sampled: bool) -> None:
    rng = np.random.default_rng([*name.encode(), sampled])
    late, early = [], 0
    for _ in range(RUNS):
        world, path = stage(rng, 4.0)
        true = first(truths(world, path)[name], lambda value: value > 0.0)
        assert 0 < true < LOOKS - 4
        stopped = stop_of(config(name), looked_at(world, path, sampled, kl=name == "kl"))
        early += stopped < true
        late.append(stopped - true)
    print(f"{name} {'sampled' if sampled else 'enumerated'}: delays {sorted(late)}, early {early}")
    assert early / len(late) <= 0.05
    assert np.mean(np.array(late) <= 4) >= 0.8


@pytest.mark.parametrize("name", ["parity", "exchange_rate", "sft_loss_budget"])
def test_a_stage_that_stands_just_before_the_crossing_is_not_stopped(name: str) -> None:
    """The worst case: every look of a whole stage at the bound itself, each with fresh samples of fresh prompts."""
    rng, runs = np.random.default_rng(7), 40
    false = 0
    for _ in range(runs):
        world, path = stage(rng, 4.0)
        values = truths(world, path)[name]
        before = first(values, lambda value: value > 0.0) - 1
        share = -values[before] / (values[before + 1] - values[before])
        edge = path[before] + 0.98 * share * (path[before + 1] - path[before])
        stood = [path[0], *[edge] * LOOKS]
        false += stop_of(config(name), looked_at(world, stood, True)) < LOOKS
    print(f"{name}: {false}/{runs} stopped at the bound")
    assert false <= 5  # of 40 at 5 %, more come in 1.4 % of cases


def test_possible_stops_before_the_budget_can_be_passed() -> None:
    """Of all stages, at most 5 % go on with a rise above the budget."""
    rng, over = np.random.default_rng(3), 0
    for _ in range(RUNS):
        world, path = stage(rng, 4.0)
        found = looked_at(world, path, sampled=False)
        true = first(truths(world, path)["sft_loss_budget"], lambda value: value > 0.0)
        stopped = stop_of(config("sft_loss_budget", when="possible"), found)
        assert stopped <= stop_of(config("sft_loss_budget"), found)
        over += stopped > true
    assert over / RUNS <= 0.05


def test_a_stop_names_its_figure_and_says_by_how_much_the_limit_is_passed() -> None:
    world, path = stage(np.random.default_rng(0), 4.0)
    found = looked_at(world, path, sampled=False, kl=True)
    for name in OPTIONS.keys() - {"slope"}:
        decision = replay(build_rule(config(name), LOOKS), found)[1]
        assert decision is not None and decision.quantity == RULES[name].quantity != ""
    _, clear = replay(build_rule(config("sft_loss_budget"), LOOKS), found)
    assert clear is not None and isinstance(clear.figure, Estimate)
    assert f"it is above the budget of 0.1 by {figure_text(clear.figure, unit=False)}" in clear.reason
    _, possible = replay(build_rule(config("sft_loss_budget", when="possible"), LOOKS), found)
    assert possible is not None and possible.figure.sign > 0 and "it is above the budget" in possible.reason
    _, passed = replay(build_rule(config("kl", nats=1e-9, when="possible"), LOOKS), found)
    assert passed is not None and "it is above the limit of 1 \u00d7 10\u207b\u2079 by" in passed.reason


def test_right_responses_have_a_budget_of_their_own() -> None:
    """RL towards the right response lowers the loss on it, whatever it does to the rest."""
    world, path = stage(np.random.default_rng(0), 4.0)
    found = looked_at(world, path, sampled=False)
    assert stop_of(config("sft_loss_budget"), found) < LOOKS
    assert stop_of(config("sft_loss_budget", responses="right"), found) == LOOKS


def test_a_rewind_goes_to_the_last_look_before_the_estimate_crossed() -> None:
    world, path = stage(np.random.default_rng(1), 3.0)
    found = looked_at(world, path, sampled=True)
    gaps = [float((shot.reward - found.expert_reward).mean()) for shot in found.snapshots]
    stop = stop_of(config("parity"), found)
    went_back = stop_of(config("parity", rewind=True), found)
    assert went_back == max(step for step in range(stop) if gaps[step] <= 0.0) < stop


def test_exchange_rate_goes_on_where_the_forecast_has_more_to_come() -> None:
    """Responses that earn .6 are found first, against an expert of .54; then one that earns 1 and was rare."""
    rng, rate = np.random.default_rng(0), 0.15
    world = World(rng)
    world.reward[:] = [1.0, 0.6, 0.0, 0.0, 0.0, 0.0]
    world.expert[:] = [0.001, 0.9, *[0.02475] * 4]
    world.held.reward[:], world.held.probability[:] = world.reward.ravel(), world.expert.ravel()
    start = np.log([np.exp(-8), 0.3, *[0.175] * 4]) + 0.05 * rng.standard_normal(world.expert.shape)
    path = tilted(world, start, LOOKS, 30.0)
    found, true = looked_at(world, path, sampled=False), tradeoff(world, path, rate)
    local, said = replay(build_rule({"rule": "exchange_rate", "exchange_rate": rate, "local": True}, LOOKS), found)
    stop, reason = replay(build_rule({"rule": "exchange_rate", "exchange_rate": rate}, LOOKS), found)
    assert true[local] > true[local + 1] and max(true) > true[local] + 0.02  # a local optimum, and a better one later
    assert int(np.argmax(true)) <= stop <= int(np.argmax(true)) + 1
    assert said is not None and "was not asked" in said.reason
    assert reason is not None and "no better one later" in reason.reason
    later = gain_later(found.held, found.start.scores, float(found.snapshots[local].reward.mean()), rate)
    assert isinstance(later, Later) and later.gain.value == pytest.approx(max(true) - true[local], abs=0.005)


def off_path(world: World, path: worlds.Path, cost: float) -> list[np.ndarray]:
    """The same pass rates at every look, while the wrong responses' odds turn away from the expert's, ever further."""
    turned = np.where(np.arange(path[0].shape[1] - 1) % 2 == 0, 1.0, -1.0)
    followed = []
    for look, logits in enumerate(path):
        right = np.exp(logits[:, 0] - np.logaddexp.reduce(logits, axis=1))
        rest = logits[:, 1:] + cost * look * turned
        rest = rest - np.logaddexp.reduce(rest, axis=1, keepdims=True) + np.log1p(-right)[:, None]
        followed.append(np.concatenate([np.log(right)[:, None], rest], axis=1))
    return followed


def test_exchange_rate_stops_a_run_that_left_the_path_and_falls() -> None:
    """Along the ideal path nothing speaks against going on; what the run measures does. It goes back to its best."""
    rng, regrets, stops = np.random.default_rng(8), [], []
    for _ in range(RUNS):
        world, path = stage(rng, 1.0)
        path = off_path(world, path, 0.12)
        true = tradeoff(world, path, LAMBDA)
        best = int(np.argmax(true))
        assert best < LOOKS - 6, "it falls for a while before the stage ends"
        assert max(truths(world, path)["exchange_rate"][: best + 6]) < 0.0, "A6 has no reason to stop"
        found = looked_at(world, path, sampled=False)
        stops.append(stop_of({"rule": "exchange_rate", "exchange_rate": LAMBDA}, found))
        ended = stop_of({"rule": "exchange_rate", "exchange_rate": LAMBDA, "rewind": True}, found)
        regrets.append(max(true) - true[ended])
    assert np.mean(np.array(stops) < LOOKS) >= 0.9
    assert np.median(regrets) == pytest.approx(0.0, abs=0.005)


def test_looks_that_scatter_about_a_level_have_no_trend() -> None:
    """A stage of 20 looks that stand still: at most one in twenty has a look at which a fall is resolved."""
    rng, rule = np.random.default_rng(9), build_rule({"rule": "exchange_rate", "exchange_rate": LAMBDA}, LOOKS)
    assert isinstance(rule, ExchangeRate)
    false = 0
    for noise in rng.standard_normal((400, LOOKS)):
        windows = [tuple(enumerate(noise[: look + 1].tolist()))[-TREND:] for look in range(LOOKS)]
        trends = [trend_of(window, rule.level) for window in windows]
        false += any(isinstance(each, Estimate) and each.upper < 0.0 for each in trends)
    assert false / 400 <= 0.05


def test_the_best_checkpoint_is_judged_by_prompts_that_did_not_choose_it() -> None:
    """A flat objective: the best of many looks has gained nothing, whatever the prompts that chose it say."""
    rng, said, chose = np.random.default_rng(5), [], []
    for _ in range(RUNS):
        world, path = stage(rng, 0.0)
        found = looked_at(world, path, sampled=True)
        rule = build_rule(config("best_checkpoint", patience=LOOKS), LOOKS)
        state = _after(rule, found)
        if isinstance(state.value, Estimate):
            said.append(state.value)
            chose.append(state.best)
    covered = np.mean([figure.lower <= 0.0 <= figure.upper for figure in said])
    print(f"chosen {np.mean(chose):+.4f}, judged {np.mean([f.value for f in said]):+.4f}, covered {covered:.2f}")
    assert np.mean(chose) > 0.01 and abs(np.mean([figure.value for figure in said])) < 0.01
    assert covered >= 0.85


def test_the_best_checkpoint_ends_near_the_best() -> None:
    rng, regrets = np.random.default_rng(2), []
    for _ in range(RUNS):
        world, path = stage(rng, 4.0)
        found = looked_at(world, path, sampled=True)
        true = tradeoff(world, path, LAMBDA)
        regrets.append((max(true) - true[stop_of(config("best_checkpoint"), found)]) / (max(true) - true[0]))
    print(f"regret: median {np.median(regrets):.3f}, upper quartile {np.quantile(regrets, 0.75):.3f}")
    assert np.median(regrets) < 0.1 and np.quantile(regrets, 0.75) < 0.2
    start, now = found.start, found.snapshots[3]
    gains = gain(start, now, LAMBDA)
    assert half_values(gains, CHOOSING).size + half_values(gains, JUDGING).size == gains.size


@pytest.mark.parametrize("name", RULES)
def test_a_rule_that_is_interrupted_goes_on_as_if_it_were_not(name: str) -> None:
    """check_controller: pure, its state JSON, every option written out the same when read again."""
    rule = build_rule(config(name), LOOKS)
    assert isinstance(rule, StopRule) and rule_config(rule_config(config(name))) == rule_config(config(name))
    world, path = stage(np.random.default_rng(4), 4.0)
    found = looked_at(world, path, sampled=True, kl=True)
    state, kept = rule.init(), rule.init()
    for shot in found.snapshots[1:12]:
        sighting = Sighting(shot.step, found.held, found.start.scores, shot.scores)
        kept = State.from_json(kept.to_json())
        again, first_time = rule.update(kept, sighting), rule.update(state, sighting)
        assert again == first_time
        state, kept = first_time[0], again[0]


def test_a_look_that_a_resume_takes_again_spends_its_error_once() -> None:
    state = State().looked(3, 2).looked(3, 2).looked(4, 2).looked(5, 2)
    assert state.looks == (3, 4)


def _after(rule: StopRule, found: Any) -> State:
    state = rule.init()
    for shot in found.snapshots[1:]:
        state, _ = rule.update(state, Sighting(shot.step, found.held, found.start.scores, shot.scores))
    return state
