"""What the options of a method do: arms that differ in nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from interlace.analysis.shootout import shootout
from interlace.estimate import Estimate, Unresolved
from interlace.measurement import RAW
from interlace.theory.distributional.tilt import tilted_policy
from tests.analysis.test_shootout_rows import arm, problem_of, start
from tests.analysis.worlds import MemoryRecord, make_record


def knobs(*mus: float, seeds: int = 1, times: tuple[float, ...] = (2.0, 4.0, 8.0)) -> list[MemoryRecord]:
    """Arms of one method that tilt by so much; `mu` tells them apart, and a schedule of their own does not."""
    made = []
    for seed in range(seeds):
        problem = problem_of(seed)
        arms = [
            arm(f"mu-{mu:g}", problem, time, options={"method": {"name": "joint", "mu": mu}, "save_steps": 10 + number})
            for number, (mu, time) in enumerate(zip(mus, times, strict=True))
        ]
        rl = arm("rl", problem, 9.0, options={"method": {"name": "joint", "mu": 0.0}, "learning_rate": 1.0})
        made.append(make_record(problem, start(problem), *arms, rl, seed=seed))
    return made


def test_a_knob_orders_its_settings_and_spreads_by_the_paired_difference() -> None:
    records = knobs(0.8, 0.5, 0.2, seeds=3)
    found = shootout(records, against="rl", exchange_rate=0.5)
    (knob,) = [each for each in found.knobs if each.weights == RAW]
    values = {row.arm: row.values for row in found.rows if row.weights == RAW}
    order = sorted(("mu-0.8", "mu-0.5", "mu-0.2"), key=lambda name: -sum(values[name]))
    assert [each.arm for each in knob.settings] == order and knob.method == "joint"
    assert (
        dict(knob.settings[0].options) == {"mu": float(order[0][3:])} and knob.settings[0].text == f"mu {order[0][3:]}"
    )
    apart = np.subtract(values[order[0]], values[order[-1]])
    assert isinstance(knob.spread, Estimate) and knob.spread.value == pytest.approx(apart.mean())
    half = stats.t.ppf(1.0 - 0.025 / 3, 2) * apart.std(ddof=1) / np.sqrt(3)
    assert knob.spread.upper - knob.spread.value == pytest.approx(half)


def values_by_prompt(seed: int, time: float) -> np.ndarray:
    """R - L/2 of the policy that is tilted by so much."""
    problem = problem_of(seed)
    policy = tilted_policy(problem, time)
    loss = -(problem.expert * np.log(policy)).sum(axis=-1)
    return np.asarray((policy * problem.reward).sum(axis=-1) - 0.5 * loss)


TIMES = {"mu-0.8": 2.0, "mu-0.5": 4.0, "mu-0.2": 8.0}


def test_a_setting_that_others_prefer_is_judged_in_each_run() -> None:
    """By hand from the policies: halves apart, and runs apart."""
    (knob,) = [each for each in shootout(knobs(0.8, 0.5, 0.2, seeds=3), against="rl", exchange_rate=0.5).knobs
               if each.weights == RAW]  # fmt: skip
    chosen = {(name, seed): values_by_prompt(seed, time)[::2].mean() for name, time in TIMES.items()
              for seed in range(3)}  # fmt: skip
    leads = []
    for seed in range(3):
        others = [other for other in range(3) if other != seed]
        best = max(TIMES, key=lambda name: np.mean([chosen[name, other] for other in others]))
        leads.append((values_by_prompt(seed, TIMES[best]) - values_by_prompt(seed, 9.0))[1::2].mean())
    assert isinstance(knob.lead, Estimate) and knob.lead.n == 3
    assert knob.lead.value == pytest.approx(np.mean(leads), abs=1e-9)
    assert knob.chosen.arm == max(TIMES, key=lambda name: np.mean([chosen[name, seed] for seed in range(3)]))


def test_one_run_cannot_say_what_tuning_is_worth() -> None:
    (knob,) = [each for each in shootout(knobs(0.8, 0.5, 0.2), against="rl", exchange_rate=0.5).knobs
               if each.weights == RAW]  # fmt: skip
    assert knob.chosen.arm == max(TIMES, key=lambda name: values_by_prompt(0, TIMES[name])[::2].mean())
    assert isinstance(knob.lead, Unresolved) and "one run alone" in knob.lead.reason


def test_arms_that_differ_in_more_than_options_are_no_knob() -> None:
    problem = problem_of(3)
    arms = [arm(f"arm-{n}", problem, 2.0 + n, options={"method": {"name": "joint", "mu": 0.1 * n}, "learning_rate": n})
            for n in range(3)]  # fmt: skip
    assert not shootout([make_record(problem, start(problem), *arms)]).knobs
