"""Looking on a clock of its own: what is kept for a look that is not made costs nothing and is not read later."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from interlace.callback import Looking
from interlace.callback.rollouts import Batch, Rollouts
from interlace.estimate import Unresolved
from interlace.flags import FLAGS, FlagWatch
from interlace.flags.watch import LookPlan
from interlace.measurement import HeldOut, PromptScores
from interlace.observer import Observer
from interlace.policies import Policy
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.probes.instruments import Instruments
from interlace.probes.moment import Moment
from interlace.store import RunStore

STEP, COPY, LOG = 0.007, 0.0015, 0.0004
"""CPU seconds of a step, of a copy of the weights, and of a record of the trainer's log."""


@dataclass
class Ticks:
    """A clock that only moves when something says that it took time."""

    now: float = 0.0

    def take(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Asked:
    """A probe that costs what it says."""

    ticks: Ticks
    name: str
    cost: Price
    seconds: float
    needs: tuple[str, ...] = ()
    sentence: str = ""
    source: str = ""

    def applies(self, context: ProbeContext) -> bool:
        return True

    def measure(self, context: ProbeContext) -> Reading:
        self.ticks.take(self.seconds)
        return Reading({})


class Store:
    def __init__(self, ticks: Ticks) -> None:
        self.ticks = ticks
        self.events: list[dict[str, Any]] = []

    def event(self, kind: str, **said: Any) -> None:
        self.ticks.take(LOG)
        self.events.append({"kind": kind, **said})

    def measurements(self, *_: Any) -> None:
        self.ticks.take(LOG)


class Simulated(Instruments):
    """Instruments whose looks and copies take time on the clock; `seen`: the moment at each look."""

    def __init__(self, ticks: Ticks, probes: list[Asked]) -> None:
        self.ticks, self.probes, self.targets, self.seconds = ticks, probes, (), 0.0
        self.store = cast(RunStore, Store(ticks))
        self.moment, self.copies, self.micro = None, 0, 0
        self.seen: dict[int, Moment | None] = {}

    def remember(self, policy: Policy, optimizer: Any, step: int, *, weights: bool = True) -> None:
        self.ticks.take(COPY * weights)
        self.copies += weights
        self.moment = Moment({} if weights else None, optimizer, step=step)

    def see_micro_batch(self, policy: Policy, batch_size: int) -> None:
        self.ticks.take(COPY / 10)
        self.micro += 1

    def forget(self) -> None:
        self.moment = None

    def look(self, stage: str, step: int, policy: Policy, start: Policy, *_: Any, probes: list[Any]) -> None:
        self.seen[step], context = self.moment, ProbeContext.__new__(ProbeContext)
        for probe in probes:
            if self.moment is not None or not probe.needs:
                probe.measure(context)
        self.ticks.take(0.0002)
        self.moment = None


Stage = tuple[Looking, Simulated]


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Ticks:
    clock = Ticks()
    monkeypatch.setattr(time, "process_time", lambda: clock.now)
    return clock


def stage(ticks: Ticks, overhead: float | None, every: int = 1, seconds: float = 1.0) -> Stage:
    probes = [
        Asked(ticks, "movement", "byproduct", 0.001 * seconds, ("moment",)),
        Asked(ticks, "noise", "byproduct", 0.0001 * seconds, ("micro_gradients",)),
        Asked(ticks, "loss", "forward", 0.02 * seconds),
        Asked(ticks, "update", "backward", 0.1 * seconds, ("gradients", "moment")),
    ]
    instruments, nobody = Simulated(ticks, probes), Policy.__new__(Policy)
    looking = Looking("s", instruments, nobody, nobody, every, overhead)
    looking.begin()
    with looking.meter.counting(at_end=True):
        looking.look(0)
    return looking, instruments


def train(looking: Looking, ticks: Ticks, steps: range, last: int = -1, logging: int = 10) -> None:
    """Four micro-batches a step, with the trainer's log every `logging` steps."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.0)
    for step in steps:
        for _ in range(3):
            ticks.take(STEP / 4)
            looking.micro_batch_done(step, step == last, 2)
        ticks.take(STEP / 4)
        looking.step_begins(step, step == last, optimizer)
        looking.step_done(step, step == last)
        if step % logging == 0:
            with looking.meter.counting():
                looking.keep_log(step, {"loss": 1.0})


@pytest.mark.parametrize("overhead", [0.005, 0.03, 0.2])
@pytest.mark.parametrize("logging", [1, 10])
def test_what_is_done_between_looks_is_in_the_budget(ticks: Ticks, overhead: float, logging: int) -> None:
    looking, instruments = stage(ticks, overhead)
    train(looking, ticks, range(1, 2001), last=2000, logging=logging)
    share = looking.meter.share
    assert share is not None and 0.5 * overhead < share <= overhead
    assert looking.budget.num_thinned > 0 and instruments.copies < 2000


def test_a_probe_that_no_look_has_measured_waits_for_the_room_of_one_that_has(ticks: Ticks) -> None:
    looking, instruments = stage(ticks, 0.005)
    train(looking, ticks, range(1, 60))
    assert instruments.copies == 0 and set(instruments.seen) == {0}
    assert looking.meter.share is not None and looking.meter.share <= 0.005


def test_nothing_is_copied_for_a_look_left_out_or_for_probes_that_read_no_step(ticks: Ticks) -> None:
    looking, instruments = stage(ticks, 1e-9)
    train(looking, ticks, range(1, 20))
    assert instruments.copies == instruments.micro == 0
    looking, instruments = stage(ticks, None)
    looking.probes = looking.probes[2:3]
    train(looking, ticks, range(1, 4))
    assert instruments.copies == instruments.micro == 0
    assert all(instruments.seen[step] is not None for step in range(1, 4))


def test_without_a_limit_every_look_has_its_step(ticks: Ticks) -> None:
    looking, instruments = stage(ticks, None, every=2)
    train(looking, ticks, range(1, 8), last=7)
    assert {step: moment and moment.step for step, moment in instruments.seen.items()} == {
        0: None,
        2: 2,
        4: 4,
        6: 6,
        7: 7,
    }


def test_what_was_kept_for_a_look_left_out_is_let_go(ticks: Ticks) -> None:
    """The end comes by a stop at a step for which nothing was kept: no other step's moment stands in for it."""
    looking, instruments = stage(ticks, None, every=4)
    looking.step_begins(4, False, None)
    assert instruments.moment is not None
    looking.probes = []  # a probe may fail for good between the two
    looking._plan = (4, [])
    assert not looking.step_done(4, False) and instruments.moment is None
    looking, instruments = stage(ticks, 1e-9, every=4)
    train(looking, ticks, range(1, 7))
    looking.step_done(7, True)
    assert instruments.seen == {0: None, 7: None}


def test_seconds_ahead_count_for_the_probe_that_asked(ticks: Ticks) -> None:
    looking, _ = stage(ticks, None)
    train(looking, ticks, range(1, 2))
    took = {probe.name: probe.seconds for probe in looking.probes}
    assert took == pytest.approx(
        {"movement": COPY + 0.001, "noise": 3 * COPY / 10 + 0.0001, "loss": 0.02, "update": 0.1}
    )
    assert looking.budget.fixed == pytest.approx(0.0002)


def test_what_is_new_after_a_resume_is_what_no_look_has_told(ticks: Ticks) -> None:
    looking, _ = stage(ticks, None)
    later, _ = stage(ticks, 0.1)
    later.carry_on(looking.spent())
    assert {probe.name: probe.is_new for probe in later.probes} == {
        "movement": True,
        "noise": True,
        "loss": False,
        "update": True,
    }


def test_what_is_sampled_is_watched_where_the_budget_leaves_a_look_out(ticks: Ticks) -> None:
    """All groups are dead and no look fits: it is said at the first step due, which takes its planned share."""
    looking, instruments = stage(ticks, 0.1, every=10, seconds=1000.0)
    held = HeldOut("t", 2, np.arange(2), np.ones(2), np.ones(2), np.ones(2, dtype=int), False)
    instruments.targets = cast(Any, (SimpleNamespace(task=SimpleNamespace(name="t"), heldout=held),))
    instruments.observer, instruments.introduce = Observer(), lambda *_: None  # type: ignore[method-assign]
    looking.watch = FlagWatch("rl", FLAGS, LookPlan(100, 10), 1, lambda task: PromptScores(np.full(2, -1.0)))
    looking.rollouts = Rollouts.seeded("t", Unresolved("not asked"), None, 0)
    for _ in range(4):
        looking.rollouts.add(Batch(np.zeros((32, 8)), np.ones((32, 8)), np.zeros((32, 8))))
    train(looking, ticks, range(1, 31))
    assert set(instruments.seen) == {0}
    events = cast(Store, instruments.store).events
    assert [(event["step"], event["rule"], event["task"]) for event in events if event["kind"] == "flag"] == [
        (10, "dead_groups", "t")
    ]
    watched = {event["step"]: event["watched"] for event in events if "watched" in event}
    assert watched == looking.watch.looks == pytest.approx({10: 0.1, 20: 0.1, 30: 0.1})


def test_a_flag_is_said_once_and_recorded_each_time(ticks: Ticks) -> None:
    class Listening(Observer):
        def __init__(self) -> None:
            self.notes: list[str] = []

        def note(self, sentence: str) -> None:
            self.notes.append(sentence)

    looking, instruments = stage(ticks, None)
    instruments.observer = Listening()
    for step, text in ((1, "no interval"), (2, "no interval"), (2, "another")):
        looking.flag(step, "method", text)
    assert instruments.observer.notes == [f"{looking.stage}: no interval", f"{looking.stage}: another"]
    assert [each["kind"] for each in cast(Store, instruments.store).events].count("flag") == 3
