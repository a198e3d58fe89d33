"""What the user asked for; what cannot be meant is refused with a sentence, before a trainer is touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypeAlias

from interlace.controllers import build_rule, problems_of_rule, refuse_task
from interlace.errors import DataError, RecipeError, unknown_name
from interlace.policies import Policy, load_policy, refuse_other_vocabulary, source_of
from interlace.probes import OVERHEADS, PRESETS, MeasuredTask
from interlace.tasks import TASKS, Task, is_data_file

Overhead: TypeAlias = float | Literal["preset"] | None
"""A share; the preset's own; or no limit."""


@dataclass(frozen=True)
class Settings:
    """What the user asked for; see `CouplingCallback`. `overhead` is a share, or None: no limit."""

    tasks: tuple[Task, ...]
    every: int
    overhead: float | None
    out: Path | None
    preset: str
    prompts: int | None
    completions: int
    expert: Policy | str | Path | None = None
    stop: Mapping[str, Any] | None = None

    @classmethod
    def asked(
        cls,
        task: Any,
        every: Any,
        overhead: Any,
        out: Any,
        preset: Any,
        prompts: Any,
        completions: Any,
        expert: Any,
        stop: Any = None,
    ) -> Settings:
        """`CouplingCallback`'s arguments, whatever they are. Raises RecipeError for the first that cannot be meant."""
        tasks = _tasks(task)
        if not isinstance(preset, str) or preset not in PRESETS:
            raise RecipeError(unknown_name("preset", str(preset), PRESETS))
        _refuse_count("every", every, 1, "optimizer steps, at least 1")
        _refuse_count("completions", completions, 2, "samples a prompt, at least 2, to see how they vary")
        if prompts is not None:
            _refuse_count("prompts", prompts, 2, "held-out prompts, at least 2, to see how they vary")
            _refuse_too_many(prompts, tasks)
        _refuse_type("out", out, (str, Path, type(None)), "a folder's path, or None for the trainer's output_dir")
        _refuse_type("expert_policy", expert, (Policy, str, Path, type(None)), "a loaded policy, a folder or a hub id")
        limit, path = _limit(overhead, preset), None if out is None else Path(out)
        if stop is not None:
            _refuse_type("stop", stop, (Mapping,), "a mapping {'rule': NAME, ...options}")
        return cls(tasks, int(every), limit, path, preset, prompts, completions, expert, stop)

    def refuse_unfit_stop(self, kind: str, num_processes: int) -> None:
        """Raise RecipeError or DataError for a stop rule that a stage of `kind` cannot follow."""
        if self.stop is None:
            return
        for sentence in problems_of_rule(self.stop, kind, PRESETS[self.preset], self.preset, keeps_average=False):
            raise RecipeError(sentence)
        refuse_task(self.stop, self.tasks[0])
        if num_processes > 1:
            raise RecipeError(
                f"stop must be decided in one process, which looks. Got a training in {num_processes}. "
                "Leave stop out, and end the training by what the logs show."
            )

    def refuse_missing_expert(self) -> None:
        """Raise MissingFileError for an expert-SFT policy that is not there; nothing is loaded."""
        if isinstance(self.expert, str | Path):
            source_of(str(self.expert), "expert_policy")

    def with_expert_for(self, policy: Policy) -> Settings:
        """The same with the expert-SFT policy loaded. Raises ModelError for another vocabulary than `policy`'s."""
        if self.expert is None:
            return self
        named = self.expert
        expert = named if isinstance(named, Policy) else load_policy(source_of(str(named), "expert_policy"))
        refuse_other_vocabulary(policy, expert, "expert_policy")
        return replace(self, expert=expert)

    def expert_beside(self, policy: Policy) -> Policy | None:
        """The loaded expert-SFT policy, on the device of `policy`."""
        if not isinstance(self.expert, Policy):
            return None
        self.expert.model.to(policy.model.device)
        return self.expert

    def refuse_unfit(self, policy: Policy) -> None:
        """Raise DataError for a held-out set that this policy cannot read, or two tasks of one name."""
        if not self.tasks or len({task.name for task in self.tasks}) < len(self.tasks):
            names = ", ".join(task.name for task in self.tasks) or "none"
            raise DataError(f"tasks must be at least one, with names of their own. Got {names}. Name each.")
        targets = self.targets(policy, None)
        refusal = None if self.stop is None else build_rule(self.stop, 1).refuses(targets[0].heldout)
        if refusal is not None:
            raise DataError(f"stop must be a rule that the task allows: {refusal}. Choose another rule.")

    def targets(self, policy: Policy, completion_limit: int | None) -> list[MeasuredTask]:
        """Every task's held-out set under the policy's tokenizer."""
        return [MeasuredTask.prepare(task, policy, self.prompts, completion_limit) for task in self.tasks]


def _tasks(task: Any) -> tuple[Task, ...]:
    if isinstance(task, Task):
        return (task,)
    found = tuple(task) if isinstance(task, Iterable) and not isinstance(task, str | Mapping) else None
    if found is not None and all(isinstance(each, Task) for each in found):
        return found
    raise RecipeError(f"task must be an interlace.Task, or several. Got {_instead_of_a_task(task, found)}")


def _instead_of_a_task(task: Any, found: tuple[Any, ...] | None) -> str:
    """What was given, and how a task is made of it."""
    if isinstance(task, str) and (task in TASKS or is_data_file(task)):
        return f"the name {task!r}. Build it first: interlace.tasks.build_task('mine', {task!r}, seed=0)."
    if found and isinstance(found[0], Mapping):
        return "rows. Make them a task: interlace.Task.from_rows(rows, reward=...)."
    return f"{_shown(task)}. Make one: interlace.Task.from_rows(rows, reward=...)."


def _refuse_count(name: str, value: Any, least: int, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise RecipeError(f"{name} must be a whole number of {what}. Got {_shown(value)}. Change it.")


def _refuse_too_many(prompts: int, tasks: tuple[Task, ...]) -> None:
    for task in tasks:
        if prompts > len(task.heldout):
            raise RecipeError(
                f"prompts must be at most the {len(task.heldout)} that task {task.name!r} holds out. Got {prompts}. "
                "Lower it, or leave it out to measure all."
            )


def _refuse_type(name: str, value: Any, kinds: tuple[type, ...], what: str) -> None:
    if not isinstance(value, kinds):
        raise RecipeError(f"{name} must be {what}. Got {_shown(value)}. Change it.")


def _limit(overhead: Any, preset: str) -> float | None:
    if overhead == "preset":
        return OVERHEADS[preset]
    is_number = isinstance(overhead, Real) and not isinstance(overhead, bool)
    if overhead is not None and not (is_number and 0.0 < overhead <= 1.0):
        raise RecipeError(
            f'overhead must lie in (0, 1], or be "preset", or None for no limit. Got {_shown(overhead)}. Change it.'
        )
    return None if overhead is None else float(overhead)


def _shown(value: Any) -> str:
    """A value as a message shows it: itself where it is short, else what it is."""
    return repr(value) if isinstance(value, Real | str | type(None)) else f"a {type(value).__name__}"
