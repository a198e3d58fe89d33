"""The overhead budget: never above what was promised, the cheapest probes first, and failures handed over."""

from __future__ import annotations

import pytest

import interlace
from interlace.callback import Budget, Meter, MeteredProbe
from interlace.probes import OVERHEADS, PRESETS
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.tasks import build_task


class Made:
    """A probe that costs what it says."""

    sentence, source, needs = "", "", ()

    def __init__(self, name: str, cost: Price) -> None:
        self.name, self.cost = name, cost

    def applies(self, context: ProbeContext) -> bool:
        return True

    def measure(self, context: ProbeContext) -> Reading:
        raise ZeroDivisionError(self.name)


class Simulated(Meter):
    """A stage of which each step takes a second of CPU."""

    now: float = 0.0

    @property
    def stage(self) -> float:
        return self.now


def probes(*costs: tuple[str, Price, float]) -> list[MeteredProbe]:
    return [MeteredProbe(Made(name, price), seconds=seconds) for name, price, seconds in costs]


THREE = (("dear", "backward", 0.5), ("cheap", "byproduct", 0.001), ("middle", "forward", 0.05))


def stage(overhead: float | None, steps: int, seconds_a_step: float = 1.0) -> tuple[dict[str, int], Simulated, Budget]:
    """How often each probe ran when looked at every step."""
    meter = Simulated()
    budget, made, ran = Budget(meter, overhead), probes(*THREE), {"dear": 0, "cheap": 0, "middle": 0}
    for _ in range(steps):
        meter.now += seconds_a_step
        for probe in budget.affordable(made):
            ran[probe.name] += 1
            meter.between += probe.seconds
            meter.now += probe.seconds
        assert overhead is None or meter.between <= overhead * (meter.now - meter.ends)
    return ran, meter, budget


@pytest.mark.parametrize("overhead", [0.005, 0.03, 0.1])
@pytest.mark.parametrize("seconds_a_step", [1.0, 10.0])
def test_the_share_is_never_above_what_was_promised(overhead: float, seconds_a_step: float) -> None:
    ran, meter, _ = stage(overhead, 400, seconds_a_step)
    assert meter.share is not None and meter.share <= overhead
    assert ran["cheap"] >= ran["middle"] >= ran["dear"]
    assert ran["cheap"] == 400


def test_what_is_left_unspent_adds_up_for_the_dear_ones() -> None:
    ran, _, budget = stage(0.1, 400)
    assert ran["dear"] > 20
    assert budget.num_thinned == 0 and budget.num_lightened > 0


def test_no_limit_means_no_thinning() -> None:
    ran, _, budget = stage(None, 10)
    assert set(ran.values()) == {10} and budget.num_thinned == budget.num_lightened == 0


def test_a_look_that_does_not_fit_is_left_out() -> None:
    budget = Budget(Simulated(), 0.01)
    assert budget.affordable(probes(("only", "forward", 1.0))) == []
    assert budget.num_thinned == 1


def test_a_look_costs_what_it_takes_beside_its_probes_too() -> None:
    meter = Simulated()
    meter.now = 10.0
    one = probes(("only", "forward", 0.05))
    assert Budget(meter, 0.01, fixed=0.0).affordable(one) and not Budget(meter, 0.01, fixed=0.06).affordable(one)


def test_the_ends_lie_outside_the_budget() -> None:
    meter = Meter()
    meter.start()
    with meter.counting(at_end=True):
        sum(range(200_000))
    with meter.counting():
        sum(range(200_000))
    sum(range(2_000_000))
    assert meter.ends > 0.0 and meter.between > 0.0
    assert meter.share == pytest.approx(meter.between / (meter.stage - meter.ends), rel=0.05)
    assert set(meter.spent()) == {"stage_cpu_seconds", "between_cpu_seconds", "ends_cpu_seconds"}


def test_what_is_counted_within_something_counted_is_counted_once() -> None:
    meter = Meter()
    meter.start()
    with meter.counting(at_end=True), meter.counting():
        sum(range(200_000))
    assert 0.0 < meter.ends < meter.stage and meter.between == 0.0


def test_before_anything_there_is_no_share() -> None:
    assert Meter().share is None


def test_a_meter_counts_on_over_a_resume() -> None:
    earlier = Meter()
    earlier.carry_on({"stage_cpu_seconds": 100.0, "between_cpu_seconds": 3.0, "ends_cpu_seconds": 20.0})
    assert earlier.share == 3.0 / 80.0
    earlier.start()
    with earlier.counting():
        sum(range(200_000))
    later = Meter()
    later.carry_on(earlier.spent())
    assert later.stage > 100.0 and later.between > 3.0 and later.ends == 20.0


def test_a_failing_probe_is_handed_over_once(context: ProbeContext) -> None:
    failures: list[str] = []
    probe = MeteredProbe(Made("bad", "forward"), on_failure=lambda name, error: failures.append(f"{name}: {error!r}"))
    assert probe.measure(context).figures == {} and not probe.applies(context)
    assert failures == ["bad: ZeroDivisionError('bad')"]
    with pytest.raises(ZeroDivisionError):
        MeteredProbe(Made("bad", "forward")).measure(context)


@pytest.fixture
def context() -> ProbeContext:
    return ProbeContext.__new__(ProbeContext)


def test_every_preset_has_its_overhead() -> None:
    assert OVERHEADS.keys() == PRESETS.keys()
    task = build_task("sums", {"kind": "addition", "digits": 1, "heldout": 8}, 0)
    limits = {preset: interlace.CouplingCallback(task, preset=preset).settings.overhead for preset in PRESETS}
    assert limits == {"light": 0.005, "standard": 0.03, "planning": 0.03, "full": 0.03}
    for asked in (None, 0.1):
        assert interlace.CouplingCallback(task, overhead=asked, preset="light").settings.overhead == asked
