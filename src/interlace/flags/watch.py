"""FlagWatch: every rule at every look, with one error of 5 % spent over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from interlace.flags.base import Evidence
from interlace.measurement import HeldOut, PromptScores

if TYPE_CHECKING:
    from interlace.flags.base import FlagRule

FALSE_ALARMS = 0.05
"""The largest probability that a stage raises any flag for nothing, over all its looks, rules and tasks."""
ROUNDING = 1e-9
"""Of shares that add up to 1."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A rule raised a flag at a step."""

    rule: str
    step: int
    text: str


@dataclass
class FlagWatch:
    """Watches a stage; every rule speaks once a task.

    The error `FALSE_ALARMS` is divided evenly over rules, tasks and the `num_looks` planned (Bonferroni): valid for any
    dependence between looks, and they are strongly dependent (the same held-out prompts each time), so that false
    alarms are rarer than promised. `looks` holds each step looked at, processes before this one included, with the
    share of the error that it took; once the shares add up to 1 the stage is not watched any more. A step that a resume
    takes again counts once.

    `start_of` finds a task's scores at the stage's start; None where it was not measured. A rule that fails is
    switched off and says so.
    """

    kind: str
    rules: Mapping[str, FlagRule]
    num_looks: int
    num_tasks: int
    start_of: Callable[[str], PromptScores | None]
    _done: set[tuple[str, str]] = field(default_factory=set)
    looks: dict[int, float] = field(default_factory=dict)

    @property
    def level(self) -> float:
        """The two-sided level of each interval: its one-sided error is this look's and this rule's share."""
        shares = max(1, self.num_looks) * max(1, self.num_tasks) * max(1, len(self.rules))
        return share_level(FALSE_ALARMS, shares)

    def see(self, step: int, held: HeldOut, scores: PromptScores) -> list[Alarm]:
        """The alarms of one task at one look; none at the start itself."""
        start = self.start_of(held.task) if step > 0 and self._affords(step) else None
        if start is None:
            return []
        evidence = Evidence(self.kind, step, self.level, held, start, scores)
        asked = [(name, rule) for name, rule in self.rules.items() if (held.task, name) not in self._done]
        found = [(name, self._ask(name, rule, evidence)) for name, rule in asked]
        alarms = [Alarm(name, step, text) for name, text in found if text is not None]
        self._done |= {(held.task, alarm.rule) for alarm in alarms}
        return alarms

    def _affords(self, step: int) -> bool:
        """Take this look's share of the error, if that much is left."""
        share = 1.0 / max(1, self.num_looks)
        if step not in self.looks and sum(self.looks.values()) + share <= 1.0 + ROUNDING:
            self.looks[step] = share
        return step in self.looks

    def _ask(self, name: str, rule: FlagRule, evidence: Evidence) -> str | None:
        try:
            return rule.raised(evidence) if rule.applies(evidence) else None
        except Exception as error:  # noqa: BLE001 -- a warning light never ends the training that it watches
            return f"the flag rule {name} failed and was switched off: {type(error).__name__}: {error}"


def share_level(error: float, shares: int) -> float:
    """The two-sided level of an interval one end of which errs with one of `shares` shares of `error`."""
    return 1.0 - 2.0 * error / max(3, shares)


def planned_looks(max_steps: int, every: int) -> int:
    """Looks after the start: every `every` steps, and the end.

    >>> planned_looks(100, 10), planned_looks(105, 10)
    (10, 11)
    """
    return max(1, -(-max_steps // every))
