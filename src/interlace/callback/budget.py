"""The overhead budget: `every` is the wish, `overhead` thins it, cheapest probes first."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, get_args

from interlace.callback.clock import Meter
from interlace.probes.base import Price, Probe, Reading
from interlace.probes.context import ProbeContext

PRICES = get_args(Price)
"""From the cheapest to the dearest."""

HEADROOM = 0.95
"""The share of the budget that looks may use: some take longer than the last one did, and what a callback does at every
step (gathering what was sampled, keeping the log) goes on when nothing is left."""

OnFailure = Callable[[str, Exception], None]
Result = TypeVar("Result")


@dataclass
class MeteredProbe:
    """A probe that knows what its latest look took (`seconds` of CPU, over all tasks and kinds of weights).

    `ahead` are the seconds of what is kept for it before the step that the look follows; `is_new`: no look has told yet
    what it takes. A need that several probes share counts for the first that asks. With `on_failure` an error is handed
    over, with the probe's name, and the probe is switched off; without, it is raised.
    """

    probe: Probe
    on_failure: OnFailure | None = None
    seconds: float = 0.0
    ahead: float = 0.0
    is_new: bool = False
    is_off: bool = False
    name: str = field(init=False)
    sentence: str = field(init=False)
    source: str = field(init=False)
    cost: Price = field(init=False)
    needs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("name", "sentence", "source", "cost", "needs"):
            setattr(self, name, getattr(self.probe, name))

    @property
    def rank(self) -> int:
        """Where it stands among probes: by price; within one, as its preset lists them.

        Not by the seconds it took: the probe that asks first pays for a need that others share, so the order must stay
        for the sums of seconds to mean anything.
        """
        return PRICES.index(self.cost)

    def begin_look(self) -> None:
        """Count anew, from what was spent on it ahead."""
        self.seconds, self.ahead = self.ahead, 0.0

    def applies(self, context: ProbeContext) -> bool:
        """As the probe says; never once it is off."""
        return not self.is_off and self._guarded(lambda: self.probe.applies(context), False)

    def measure(self, context: ProbeContext) -> Reading:
        """What the probe finds; nothing if it fails and failures are handed over."""
        began = time.process_time()
        try:
            return self._guarded(lambda: self.probe.measure(context), Reading({}))
        finally:
            self.seconds += time.process_time() - began

    def _guarded(self, ask: Callable[[], Result], otherwise: Result) -> Result:
        if self.on_failure is None:
            return ask()
        try:
            return ask()
        except Exception as error:  # noqa: BLE001 -- an instrument never ends the training that it looks at
            self.is_off = True
            self.on_failure(self.name, error)
            return otherwise


@dataclass
class Budget:
    """Which probes a look between a stage's start and end may use.

    `overhead` is the largest share of the stage's CPU time (`Meter.share`); None: no limit. `fixed` are the CPU seconds
    that the latest look took beside its probes. `num_thinned` counts looks left out, `num_lightened` those that dearer
    probes were left out of.
    """

    meter: Meter
    overhead: float | None = None
    fixed: float = 0.0
    num_thinned: int = 0
    num_lightened: int = 0

    @property
    def room(self) -> float:
        """CPU seconds that looks may still take; infinite without a limit."""
        if self.overhead is None:
            return math.inf
        return HEADROOM * self.overhead * (self.meter.stage - self.meter.ends) - self.meter.between

    def affordable(self, probes: Sequence[MeteredProbe]) -> list[MeteredProbe]:
        """The cheapest probes, as many as fit; none if not even the first does. A probe costs what it took last.

        A new one counts as the dearest known one that is not priced above it, or as the cheapest known one. What is
        left unspent adds up, so a dear probe runs less often than a cheap one, not never.
        """
        room = self.room - self.fixed
        if room < 0.0:  # at most steps of a small model: not even sorted
            self.num_thinned += any(not probe.is_off for probe in probes)
            return []
        ordered = sorted((probe for probe in probes if not probe.is_off), key=lambda probe: probe.rank)
        if self.overhead is None:
            return ordered
        kept = []
        for probe in ordered:
            room -= _expected_seconds(probe, ordered)
            if room < 0.0:
                break
            kept.append(probe)
        self.num_thinned += bool(ordered) and not kept
        self.num_lightened += 0 < len(kept) < len(ordered)
        return kept


def _expected_seconds(probe: MeteredProbe, probes: Sequence[MeteredProbe]) -> float:
    if not probe.is_new:
        return probe.seconds
    known = [other for other in probes if not other.is_new]
    up_to_its_price = [other.seconds for other in known if other.rank <= probe.rank]
    return max(up_to_its_price) if up_to_its_price else min((other.seconds for other in known), default=0.0)
