"""FlagWatch: every rule at every look, with one error of 5 % spent over all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from interlace.flags.base import Evidence, SampledGroups
from interlace.measurement import HeldOut, PromptScores
from interlace.wording import Number

if TYPE_CHECKING:
    from interlace.flags.base import FlagRule

FALSE_ALARMS = 0.05
"""The largest probability that a stage raises any flag for nothing, over all its looks, rules and tasks."""
ROUNDING = 1e-9
"""Of shares that add up to 1."""
SPENT = "watch"
"""What raises the flag that nothing is watched any more."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A rule raised a flag at a step."""

    rule: str
    step: int
    text: str


@dataclass(frozen=True, slots=True)
class LookPlan:
    """Looks after the start of a stage of `max_steps`: every `every` steps, and the end."""

    max_steps: int
    every: int

    def num_left(self, step: int, made: Collection[int]) -> int:
        """Looks from `step` on, itself included, planned or not; those `made` before are not made anew.

        >>> plan = LookPlan(max_steps=10, every=3)
        >>> plan.num_left(3, []), plan.num_left(6, [6, 9]), plan.num_left(7, [3, 6]), plan.num_left(10, [])
        (4, 2, 3, 1)
        """
        planned = max(0, planned_looks(self.max_steps, self.every) - (step - 1) // self.every)
        again = sum(other > step and self._has(other) for other in made)
        return planned - again + (not self._has(step))

    def _has(self, step: int) -> bool:
        return step == self.max_steps or (step < self.max_steps and step % self.every == 0)


@dataclass
class FlagWatch:
    """Watches a stage; every rule speaks once a task.

    The error `FALSE_ALARMS` is divided over looks, and a look's share evenly over rules and tasks (Bonferroni): valid
    for any dependence between looks, and they are strongly dependent (the same held-out prompts each time), so that
    false alarms are rarer than promised. A look takes an even part of what is left for the looks that are left: 1/n of
    n as long as the `plan` is kept, and after an end before its time or a longer plan there is still some for the rest.
    `looks` holds each step looked at, processes before this one included, with the share of the error that it took. A
    step that a resume takes again is tested with the share that it has. Once the shares add up to 1 no other step is
    watched, which is said.

    `start_of` finds a task's scores at the stage's start; None where it was not measured. A rule that fails is
    switched off and says so.
    """

    kind: str
    rules: Mapping[str, FlagRule]
    plan: LookPlan
    num_tasks: int
    start_of: Callable[[str], PromptScores | None]
    _done: set[tuple[str, str]] = field(default_factory=set)
    looks: dict[int, float] = field(default_factory=dict)

    def level(self, step: int) -> float:
        """The two-sided level of each interval: its one-sided error is this look's and this rule's share."""
        tests = max(1, self.num_tasks) * max(1, len(self.rules))
        return share_level(FALSE_ALARMS, tests / self.looks[step])

    def see(self, step: int, held: HeldOut, scores: PromptScores, groups: SampledGroups | None = None) -> list[Alarm]:
        """The alarms of one task at one look; none at the start itself. `groups`: what the trainer sampled on it."""
        start = self.start_of(held.task) if step > 0 else None
        if start is None:
            return []
        if not self._affords(step):
            return self._spent(step, held.task)
        evidence = Evidence(self.kind, step, self.level(step), held, start, scores, groups)
        asked = [(name, rule) for name, rule in self.rules.items() if (held.task, name) not in self._done]
        found = [(name, self._ask(name, rule, evidence)) for name, rule in asked]
        alarms = [Alarm(name, step, text) for name, text in found if text is not None]
        self._done |= {(held.task, alarm.rule) for alarm in alarms}
        return alarms

    def _affords(self, step: int) -> bool:
        """Take this look's share of the error, if that much is left."""
        left = 1.0 - sum(self.looks.values())
        if step not in self.looks and left > ROUNDING:
            self.looks[step] = left / self.plan.num_left(step, self.looks)
        return step in self.looks

    def _spent(self, step: int, task: str) -> list[Alarm]:
        """That nothing is watched any more, said once a stage."""
        if any(rule == SPENT for _, rule in self._done):
            return []
        self._done.add((task, SPENT))
        text = (
            f"from step {step} on no flag is watched: the looks before took all of the {FALSE_ALARMS:.0%} of false "
            "alarms that a stage may raise, since it goes on for longer than was planned. Read the report instead"
        )
        return [Alarm(SPENT, step, text)]

    def _ask(self, name: str, rule: FlagRule, evidence: Evidence) -> str | None:
        try:
            return rule.raised(evidence) if rule.applies(evidence) else None
        except Exception as error:  # noqa: BLE001 -- a warning light never ends the training that it watches
            return f"the flag rule {name} failed and was switched off: {type(error).__name__}: {error}"


def share_level(error: float, shares: Number) -> float:
    """The two-sided level of an interval one end of which errs with one of `shares` shares of `error`."""
    return 1.0 - 2.0 * error / max(3, shares)


def planned_looks(max_steps: int, every: int) -> int:
    """Looks after the start: every `every` steps, and the end.

    >>> planned_looks(100, 10), planned_looks(105, 10)
    (10, 11)
    """
    return max(1, -(-max_steps // every))
