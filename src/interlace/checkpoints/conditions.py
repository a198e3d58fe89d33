"""``--fail-on``: conditions that a gate holds against the figures of checkpoints."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from interlace.checkpoints.found import Checkpoint
from interlace.checkpoints.objectives import COMPARED, IS_DIFFERENCE, KL_FROM_FIRST, missing
from interlace.checkpoints.result import Measured
from interlace.errors import RecipeError, unknown_name
from interlace.estimate import Estimate, Figure, Unresolved, exact, figure_text

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
PROPERTIES = ("value", "increase", "decrease")
ENDS = ("lower", "estimate", "upper")
_FORM = re.compile(
    r"\s*(?:(?P<task>[^\s:]+):)?(?P<objective>\w+)\.(?P<property>\w+)(?:\.(?P<end>\w+))?"
    r"\s*(?P<comparison>[<>]=?)\s*(?P<limit>\S+)\s*"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """``[TASK:]OBJECTIVE.PROPERTY[.END] COMPARISON NUMBER``, such as ``sft_loss.increase > 0.02``.

    PROPERTY: `value` at a checkpoint, `increase` or `decrease` from the first. It is met if the whole interval meets
    it, so that noise alone seldom does; END (`lower`, `estimate`, `upper`) asks for one number of the figure instead.
    """

    text: str
    task: str | None
    objective: str
    property: str
    end: str | None
    comparison: str
    limit: float

    def is_met(self, figure: Estimate) -> bool:
        """Whether the figure, or the end of it that is asked for, meets the condition."""
        ends = {"lower": figure.lower, "estimate": figure.value, "upper": figure.upper}
        asked = [ends[self.end]] if self.end else [figure.lower, figure.upper]
        sign = -1.0 if self.property == "decrease" else 1.0
        return all(COMPARISONS[self.comparison](sign * number, self.limit) for number in asked)


def parse_condition(text: str) -> Condition:
    """The condition in `text`. Raises RecipeError for another form, or an unknown objective, property or end."""
    found = _FORM.fullmatch(text)
    limit = None if found is None else _number(found["limit"])
    if found is None or limit is None:
        raise RecipeError(f"--fail-on must read like 'sft_loss.increase > 0.02'. Got {text!r}. Write it so.")
    for what, name, known in (
        ("objective", found["objective"], tuple(COMPARED)),
        ("property", found["property"], PROPERTIES),
        ("end", found["end"] or "estimate", ENDS),
    ):
        if name not in known:
            raise RecipeError(unknown_name(f"--fail-on {what}", name, known))
    if found["objective"] == KL_FROM_FIRST and found["property"] != "value":
        raise RecipeError(f"--fail-on must ask {KL_FROM_FIRST} for its value: {IS_DIFFERENCE}. Got {text!r}.")
    return Condition(
        text.strip(), found["task"], found["objective"], found["property"], found["end"], found["comparison"], limit
    )


def refuse_undecidable(
    conditions: Sequence[Condition], checkpoints: Sequence[Checkpoint], tasks: Sequence[str]
) -> None:
    """Raise RecipeError for a condition on a task that is not measured, or on a change where one checkpoint was named.

    Looks at nothing that is measured, so that it is said before. The same weights named twice are two to compare.
    """
    named = [name for checkpoint in checkpoints for name in (checkpoint.name, *checkpoint.also)]
    for condition in conditions:
        if condition.task is not None and condition.task not in tasks:
            raise RecipeError(unknown_name("--fail-on task", condition.task, tasks))
        if condition.property != "value" and len(named) < 2:
            raise RecipeError(
                f"--fail-on {condition.text!r} must have two checkpoints to compare. Got {', '.join(named)} "
                f"alone. Name the one to compare it with first, or ask for {condition.objective}.value."
            )


def failures(measured: Measured, conditions: Sequence[Condition]) -> list[str]:
    """A sentence for each condition that is met, or cannot be decided, at any checkpoint after the first.

    A `value` is held against every checkpoint. What is not resolved fails too: a gate that was not checked is not
    passed. Weights named twice (`also`) changed by 0 exactly. Raises RecipeError as `refuse_undecidable` does.
    """
    refuse_undecidable(conditions, measured.checkpoints, measured.tasks)
    return [sentence for condition in conditions for sentence in _failures(measured, condition)]


def _failures(measured: Measured, condition: Condition) -> Iterator[str]:
    for where, figure in _figures(measured, condition):
        if not isinstance(figure, Estimate):
            yield f"{condition.text}: cannot be decided for {where}: {figure}"
        elif condition.is_met(figure):
            yield f"{condition.text}: {where}, {figure_text(figure, signed=condition.property != 'value')}"


def _figures(measured: Measured, condition: Condition) -> Iterator[tuple[str, Figure]]:
    """What the condition speaks of, each with the words that say where."""
    tasks = measured.tasks if condition.task is None else (condition.task,)
    names = [checkpoint.name for checkpoint in measured.checkpoints]
    for task in tasks:
        if condition.property == "value":
            yield from ((f"{name} on {task}", measured.figure(name, condition.objective, task)) for name in names)
            continue
        for name in names[1:]:
            change = measured.difference(names[0], name, condition.objective, task).change
            yield f"{name} against {names[0]} on {task}", change
        for name in measured.checkpoints[0].also:
            yield f"{name} against {names[0]} on {task}", _no_change(measured, condition.objective, task)


def _no_change(measured: Measured, objective: str, task: str) -> Figure:
    """The change from the first checkpoint to the same weights: 0 exactly, of whatever was measured."""
    refusal = missing(objective, measured.snapshots[measured.checkpoints[0].name, task])
    return exact(0.0, COMPARED[objective].unit) if refusal is None else Unresolved(refusal)


def same_weights(measured: Measured, conditions: Sequence[Condition]) -> str | None:
    """What a gate on a change says of weights that were named twice, if any were."""
    first = measured.checkpoints[0]
    if not first.also or all(condition.property == "value" for condition in conditions):
        return None
    return f"{', '.join(first.also)} has the weights of {first.name}: each change between them is 0 exactly"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
