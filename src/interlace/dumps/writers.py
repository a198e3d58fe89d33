"""Who wrote a dump: each writer's columns, and how its rows become one rollout each. Formats as read in these versions.

TRL 1.16 (`GRPOTrainer.log` with `log_completions`), verl 0.8.0.dev (`_dump_generations`), prime-rl 0.8 (`episodes` of
its file monitor) and earlier (a verifiers `Trace` a line; before that verifiers 0.3's legacy `RolloutOutput`), NeMo-RL
0.6 (`log_batched_dict_as_jsonl`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from interlace.dumps.files import Row

MISSING_REWARD = None
"""The reward of a rollout that was not scored: such rows are counted and left out."""


def _as_it_is(row: Row) -> Iterator[Row]:
    yield row


@dataclass(frozen=True)
class Writer:
    """A trainer that writes rollouts. `signature`: columns by which its files are known; `columns`: role to column;
    `rollouts`: the rollouts in one row, flat; `numbers_are_rewards`: every other column of numbers is a reward;
    `repeats`: it writes its last batch at every logged step, be it new or not."""

    name: str
    version: str
    signature: frozenset[str]
    columns: Mapping[str, str]
    rollouts: Callable[[Row], Iterator[Row]] = field(default=_as_it_is)
    numbers_are_rewards: bool = False
    repeats: bool = False

    @property
    def is_flat(self) -> bool:
        """Whether a row is one rollout."""
        return self.rollouts is _as_it_is

    def flat(self, row: Row) -> list[Row] | None:
        """The rollouts in a row; None if the row has not the writer's form."""
        try:
            return list(self.rollouts(row))
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
            return None


def _episode(row: Row) -> Iterator[Row]:
    """A prime-rl episode: a rollout for each of its traces; rewards are named, each a score and a weight."""
    work = ((row.get("run") or {}).get("work")) or {}
    step = work.get("step")
    traces = row["traces"] if isinstance(row["traces"], list) else []
    for trace in traces:
        whole = {"ok": row.get("ok"), **trace, "task": trace.get("task") or row["task"]}
        yield _traced(whole) | ({} if step is None else {"step": step})


def _trace(row: Row) -> Iterator[Row]:
    """A row that is one trace; its step stands in the file's name."""
    yield _traced({"ok": not row.get("error"), **row})


def _traced(trace: Row) -> Row:
    agent = (trace.get("agent") or {}).get("name")
    return {
        "prompt": [_task_key(trace["task"]), agent],
        "completion": trace.get("id"),
        "reward": _weighted(trace.get("rewards") or {}) if trace["ok"] else MISSING_REWARD,
    }


def _task_key(task: Mapping[str, Any]) -> Any:
    data = task.get("data") or {}
    return task.get("key") or task.get("hash") or data.get("prompt") or data.get("idx")


def _weighted(rewards: Mapping[str, Any]) -> float | None:
    """The sum of score times weight, bare numbers counted as they are; None where any was not scored."""
    if not rewards or any(value is None for value in rewards.values()):
        return MISSING_REWARD
    scored = [value if isinstance(value, dict) else {"score": value} for value in rewards.values()]
    return sum(float(value["score"]) * float(value.get("weight", 1.0)) for value in scored)


def _nemo(row: Row) -> Iterator[Row]:
    """A NeMo-RL row: every value in a list of one; `content` is the conversation, its last message the completion."""
    content, rewards = row["content"], row["rewards"]
    while isinstance(content, list) and len(content) == 1 and isinstance(content[0], list):
        content = content[0]
    messages = content if isinstance(content, list) else [content]
    own = next((i for i, item in enumerate(messages) if isinstance(item, dict) and item.get("role") == "assistant"),
               len(messages) - 1)  # fmt: skip
    advantages = row.get("advantages")
    yield {
        "prompt": messages[:own] or None,
        "completion": messages[own:],
        "reward": _only(rewards),
        "advantage": _first_other_than_zero(advantages),
    }


def _only(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _first_other_than_zero(value: Any) -> float | None:
    """An advantage that stands at every token of the completion, and as 0 at those of the prompt."""
    while isinstance(value, list) and value and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list):
        return None
    return next((item for item in value if item), 0.0)


PLAIN_ROLES: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", "prompts", "question", "input", "query", "instruction", "messages", "problem"),
    "completion": ("completion", "completions", "response", "output", "generation", "answer_text"),
    "reward": ("reward", "score", "rewards", "scores", "return", "reward_score"),
    "step": ("step", "global_step", "training_step", "train_step", "iteration", "rollout_id"),
    "group": ("group", "group_id", "prompt_id", "uid", "example_id", "sample_id", "index"),
    "advantage": ("advantage", "advantages"),
    "tokens": ("num_tokens", "completion_tokens", "response_length", "completion_length", "num_response_tokens"),
}
"""Names by which a column's role is guessed where no writer is recognised, the likeliest first."""

WRITERS: Mapping[str, Writer] = {
    writer.name: writer
    for writer in (
        Writer("NeMo-RL", "0.6", frozenset({"content", "rewards"}),
               {"prompt": "prompt", "completion": "completion", "reward": "reward", "advantage": "advantage"}, _nemo),
        Writer("prime-rl episodes", "0.8", frozenset({"traces", "task", "env"}),
               {"prompt": "prompt", "completion": "completion", "reward": "reward", "step": "step"}, _episode),
        Writer("prime-rl traces", "before episodes", frozenset({"nodes", "task", "rewards"}),
               {"prompt": "prompt", "completion": "completion", "reward": "reward"}, _trace),
        Writer("prime-rl", "before traces", frozenset({"example_id", "prompt", "completion", "reward"}),
               {"prompt": "prompt", "completion": "completion", "reward": "reward", "advantage": "advantage"}),
        Writer("verl", "0.8.0.dev", frozenset({"input", "output", "score"}),
               {"prompt": "input", "completion": "output", "reward": "score", "step": "step"}),
        Writer("TRL", "1.16", frozenset({"step", "prompt", "completion", "advantage"}),
               {"prompt": "prompt", "completion": "completion", "step": "step", "advantage": "advantage"},
               numbers_are_rewards=True, repeats=True),
    )
}  # fmt: skip
"""In the order in which they are asked."""


def writer_of(row: Row) -> Writer | None:
    """Who wrote a file with this first row; None if it holds no rollouts that can be told."""
    known = next((writer for writer in WRITERS.values() if writer.signature <= row.keys()), None)
    return known or plain_writer(row)


def plain_writer(row: Row) -> Writer | None:
    """Any file with a reward, and a prompt or a group, under names that are common."""
    columns = {
        role: name for role, names in PLAIN_ROLES.items() if (name := next((n for n in names if n in row), None))
    }
    if "reward" not in columns or not {"prompt", "group"} & columns.keys():
        return None
    return Writer("no known trainer", "", frozenset(columns.values()), columns)
