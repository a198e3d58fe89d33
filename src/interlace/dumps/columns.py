"""Which column is what: as the writer has it, as the user says it, and said in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlace.dumps.files import Row
from interlace.dumps.writers import Writer
from interlace.errors import RecipeError, unknown_name

ROLES = ("prompt", "completion", "reward", "step", "group", "advantage", "tokens")


@dataclass(frozen=True)
class Columns:
    """Role to column; `rewards` are the columns whose weighted sum is the reward, with their weights; `data`: columns
    of numbers that were not taken for rewards, since they go with the prompt."""

    names: Mapping[str, str]
    rewards: Mapping[str, float]
    data: tuple[str, ...] = ()

    def __str__(self) -> str:
        summed = " + ".join(name if weight == 1.0 else f"{weight:g} {name}" for name, weight in self.rewards.items())
        said = {**self.names, "reward": summed}
        return ", ".join(f"{role} = {said[role]}" for role in ROLES if role in said)

    @property
    def top_level(self) -> list[str]:
        """The columns that a file must be asked for; a dotted name lies in the column before its first dot."""
        return [name.partition(".")[0] for name in (*self.names.values(), *self.rewards)]


def columns_of(writer: Writer, rows: Sequence[Row], said: Mapping[str, str], reward: str | None) -> Columns:
    """The columns of rows as `writer` flattens them: those `said` (role to column) first, then the writer's.

    `reward`: NAME[=WEIGHT], several with commas. Raises RecipeError for a column that no row has, or without a reward.
    """
    names = {role: name for role, name in writer.columns.items() if role != "reward"} | dict(said)
    there = {name: None for row in rows for name in row}
    names = {role: name for role, name in names.items() if role in said or name in there}
    chosen, data = names.pop("reward", None), []
    if reward is not None or chosen is not None:
        rewards = weights_of(reward if reward is not None else str(chosen))
    elif writer.numbers_are_rewards:
        numbers = [name for name in _numbers(rows) if name not in names.values()]
        data = _of_prompts(rows, numbers, names.get("prompt", ""))
        rewards = {name: 1.0 for name in numbers if name not in data}
    else:
        rewards = {writer.columns["reward"]: 1.0}
    found = Columns(names, rewards, tuple(data))
    for name in found.top_level:
        if name not in there:
            role = next((role for role, column in names.items() if column.partition(".")[0] == name), None)
            option = "--reward COLUMN" if role is None else f"--columns {role}=COLUMN"
            known = unknown_name("a column of --columns or --reward", name, list(there))
            raise RecipeError(f"{known} Say which one it is: {option}.")
    if not rewards:
        raise RecipeError(f"rollouts must have a reward. Got the columns {', '.join(there)}. Say --reward NAME.")
    return found


def columns_said(text: str | Mapping[str, str] | None) -> dict[str, str]:
    """``prompt=question,reward=score`` as a mapping. Raises RecipeError for a role that is not known.

    >>> columns_said("prompt=question, step=iteration")
    {'prompt': 'question', 'step': 'iteration'}
    """
    if text is None or isinstance(text, Mapping):
        said = dict(text or {})
    else:
        parts = [part.partition("=") for part in text.split(",") if part.strip()]
        said = {role.strip(): name.strip() for role, _, name in parts}
    for role, name in said.items():
        if role not in ROLES:
            raise RecipeError(f"{unknown_name('a role of --columns', role, ROLES)} Write --columns ROLE=COLUMN.")
        if not name:
            raise RecipeError(f"--columns must say ROLE=COLUMN. Got {role!r} alone. Write {role}=COLUMN.")
    return said


def weights_of(text: str) -> dict[str, float]:
    """Reward columns with their weights. Raises RecipeError for a weight that is no number.

    >>> weights_of("accuracy, format=0.2")
    {'accuracy': 1.0, 'format': 0.2}
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.partition("=")
        try:
            found[name.strip()] = float(weight or 1.0)
        except ValueError:
            raise RecipeError(f"--reward must say NAME=WEIGHT. Got {part!r}. Write {name}=0.5.") from None
    return found


def value_at(row: Row, name: str) -> Any:
    """The value of a column; ``reward_model.score`` is `score` in the object `reward_model`, ``results.0`` the first
    of the list `results`."""
    if name in row or "." not in name:
        return row.get(name)
    head, _, rest = name.partition(".")
    inner = row.get(head)
    if isinstance(inner, list):
        inner = {str(place): item for place, item in enumerate(inner)}
    return value_at(inner, rest) if isinstance(inner, dict) else None


def _numbers(rows: Sequence[Row]) -> list[str]:
    """Columns that hold a number in some row and nothing but numbers and gaps in all."""
    values: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    return [
        name
        for name, found in values.items()
        if any(item is not None for item in found)
        and all(item is None or isinstance(item, int | float) for item in found)
    ]


def _of_prompts(rows: Sequence[Row], numbers: Sequence[str], prompt: str) -> list[str]:
    """Those of `numbers` that tell prompts apart and never two completions of one, where others do: no rewards."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(repr(row.get(prompt)), []).append(row)
    several = [group for group in groups.values() if len(group) > 1]

    def values(group: Sequence[Row], name: str) -> set[Any]:
        return {row.get(name) for row in group}

    data = [
        name
        for name in numbers
        if len(values(rows, name)) > 1 and several and all(len(values(group, name)) == 1 for group in several)
    ]
    within = [name for name in numbers if any(len(values(group, name)) > 1 for group in several)]
    return data if within else []
