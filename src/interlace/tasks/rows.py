"""From rows of data to examples: group by prompt, split by prompt, score the expert's responses once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from interlace.errors import DataError
from interlace.rewards.base import RESERVED, Reward
from interlace.tasks.chat import read_completion, read_prompt
from interlace.tasks.example import Example, ExpertResponse, Prompt, completion_for, for_trainer, prompt_key
from interlace.tasks.records import Record

DEFAULT_HELDOUT = 512
"""Most prompts that are held out if nobody says how many: enough for a half-width of about .04 on a reward of .5."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of data. `law` is p_D(. | prompt), text to probability; empty: the task has no expert.

    `drawn` is the response that the row holds, one draw from the law. `columns` is what the reward receives.
    """

    prompt: Prompt
    law: Mapping[str, float]
    drawn: str | None
    columns: Mapping[str, Any] = field(default_factory=dict)


Group: TypeAlias = list[Row]
"""The rows of one prompt, in the order of the data."""


@dataclass(frozen=True, slots=True)
class Split:
    """Groups to train on, in the order of the data, and to measure on, in an order drawn by the seed.

    `num_dropped` counts the rows that are in neither because a held-out file of its own holds their prompt.
    """

    train: list[Group]
    heldout: list[Group]
    num_dropped: int


def row_of(record: Record, has_expert: bool) -> Row:
    """A row from a record's `prompt`, `completion` and other columns. Raises DataError if either is not readable."""
    for name in ("prompt", "completion") if has_expert else ("prompt",):
        if record.values.get(name) is None:
            raise DataError(_lacks(record, name))
    prompt = read_prompt(record.values["prompt"], record.place)
    drawn = read_completion(record.values["completion"], record.place, "Write it as text.") if has_expert else None
    return Row(prompt, observed_law(drawn), drawn, reward_columns(record))


def _lacks(record: Record, name: str) -> str:
    """That a row has no prompt, or no completion where others have one."""
    there = ", ".join(column for column, value in record.values.items() if value is not None) or "none"
    as_others = ", as other rows have" if name == "completion" else ""
    drop = " To train by the reward alone, take `completion` out of all rows." if as_others else ""
    return (
        f"{record.place} must have a {name}{as_others}. Got columns {there}. Give it one (a column of another name is "
        f"renamed `{name}`), or leave the row out.{drop}"
    )


def observed_law(drawn: str | None) -> dict[str, float]:
    """All that one row says of the expert: the response that it holds. Empty without one."""
    return {} if drawn is None else {drawn: 1.0}


def reward_columns(record: Record, *used: str | None) -> dict[str, Any]:
    """The record's columns but `prompt`, `completion` and those `used` to make them: TRL's names for other things."""
    return {name: value for name, value in record.values.items() if name not in ("prompt", "completion", *used)}


def group_by_prompt(rows: Iterable[Row]) -> dict[str, Group]:
    """Rows of the same prompt together, under its key, in the order of first appearance."""
    groups: dict[str, Group] = defaultdict(list)
    for row in rows:
        groups[prompt_key(row.prompt)].append(row)
    return dict(groups)


def split_rows(
    rows: Iterable[Row],
    seed: int,
    *,
    own_heldout: Iterable[Row] | None = None,
    heldout: int | None = None,
    limit: int | None = None,
) -> Split:
    """Group by prompt, and split by prompt: no prompt is in both parts.

    Prompts are ranked by a hash of the seed and their text, so that the split depends neither on the order of the rows
    nor on the other prompts, and any first n held-out prompts are a fair sample.

    Args:
        rows: all rows, or those to train on if `own_heldout` is given.
        seed: draws the ranks.
        own_heldout: rows to measure on; their prompts are then dropped from `rows`.
        heldout: most prompts to measure on (None: all of `own_heldout`, else a fifth of the prompts, at most 512).
        limit: most prompts to train on (None: all that remain).
    """
    groups = group_by_prompt(rows)
    pool = groups if own_heldout is None else group_by_prompt(own_heldout)
    if heldout is None and own_heldout is None:
        heldout = min(DEFAULT_HELDOUT, max(1, len(pool) // 5))
    measured = {key: pool[key] for key in rank(pool, seed)[:heldout]}
    remaining = {key: group for key, group in groups.items() if key not in measured}
    chosen = set(rank(remaining, seed)[:limit])
    return Split(
        train=[group for key, group in remaining.items() if key in chosen],
        heldout=list(measured.values()),
        num_dropped=0 if own_heldout is None else sum(len(groups[key]) for key in groups.keys() & measured.keys()),
    )


def rank(keys: Iterable[str], seed: int) -> list[str]:
    """`keys` in an order drawn by `seed`, whatever order they come in."""
    return sorted(keys, key=lambda key: hashlib.sha256(f"{seed}\n{key}".encode()).digest())


def build_examples(groups: Sequence[Group], reward: Reward | None, observed: bool = False) -> tuple[Example, ...]:
    """One example a group, the expert's responses scored by one call of `reward`.

    The expert's distribution is the average of the rows' laws, or with `observed` of the responses that they hold (so
    these get their frequencies). The columns are the first row's, also where rows of one prompt disagree: a reward
    sees one row a prompt.

    Raises DataError if a column has a name that the reward's signature reserves, or the reward breaks its contract.
    """
    laws = [_mixture([observed_law(row.drawn) if observed else row.law for row in group]) for group in groups]
    rewards = iter(_expert_rewards([group[0] for group in groups], laws, reward))
    return tuple(
        Example(
            prompt=group[0].prompt,
            responses=tuple(ExpertResponse(text, probability, next(rewards)) for text, probability in law.items()),
            columns=group[0].columns,
            rewarded=reward.rewarded(group[0].columns) if reward else None,
            num_rows=len(group),
        )
        for group, law in zip(groups, laws, strict=True)
    )


def _mixture(laws: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The equal-weight mixture of distributions over texts."""
    if len(laws) == 1:
        return dict(laws[0])
    mixture: dict[str, float] = defaultdict(float)
    for law in laws:
        for text, probability in law.items():
            mixture[text] += probability / len(laws)
    return dict(mixture)


def _expert_rewards(
    rows: Sequence[Row], laws: Sequence[Mapping[str, float]], reward: Reward | None
) -> list[float | None]:
    """The reward of every response of every row, in order."""
    pairs = [(row, text) for row, law in zip(rows, laws, strict=True) for text in law]
    if reward is None or not pairs:
        return [None] * len(pairs)
    names = list(rows[0].columns)
    taken = sorted(RESERVED & set(names))
    if taken:
        raise DataError(f"columns must not have names that TRL gives to rewards. Got {', '.join(taken)}. Rename them.")
    return reward(
        prompts=[for_trainer(row.prompt) for row, _ in pairs],
        completions=[completion_for(row.prompt, text) for row, text in pairs],
        **{name: [row.columns[name] for row, _ in pairs] for name in names},
    )
