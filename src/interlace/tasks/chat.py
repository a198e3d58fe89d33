"""Prompts and completions as data sets hold them: plain text, or chat messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from interlace.errors import DataError
from interlace.tasks.example import Prompt

Messages: TypeAlias = tuple[Mapping[str, str], ...]


def read_prompt(value: Any, place: str) -> Prompt:
    """A prompt from a row's value. `place` is where the row stands, for errors.

    Raises DataError if it is neither text that holds something nor chat messages.
    """
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, list | tuple) and value:
        return read_messages(value, place)
    raise DataError(
        f"{place}: the prompt must be text or chat messages. Got {value!r}. Correct the row, or leave such rows out."
    )


AS_WORDS = "Correct the row, leave such rows out, or map label values to words with `labels`."


def read_completion(value: Any, place: str, remedy: str = AS_WORDS) -> str:
    """The expert's response from a row's value: text, or a list with one assistant message.

    Raises DataError if it is anything else.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and len(value) == 1:
        return read_messages(value, place)[0]["content"]
    raise DataError(f"{place}: the completion must be text or one assistant message. Got {value!r}. {remedy}")


def split_conversation(value: Any, place: str) -> tuple[Messages, str]:
    """A conversation as (the messages before the last, the last one's content).

    Raises DataError unless the last message is the assistant's and something precedes it.
    """
    messages = read_messages(value, place)
    if len(messages) < 2 or messages[-1]["role"] != "assistant":
        roles = ", ".join(message["role"] for message in messages) or "none"
        raise DataError(f"{place}: messages must end with the assistant's. Got roles {roles}. Cut the conversation.")
    return messages[:-1], messages[-1]["content"]


def read_messages(value: Any, place: str) -> Messages:
    """Chat messages, each with a role and a content of text; other keys are dropped. Raises DataError otherwise."""
    if not isinstance(value, list | tuple):
        raise DataError(f"{place}: messages must be a list. Got {value!r}. Name a column of chat messages.")
    return tuple(_message(message, place) for message in value)


def as_chat(prompt: Prompt, system: str | None = None) -> Messages:
    """`prompt` as chat messages, `system` first unless they begin with a system message of their own.

    >>> as_chat("27+58=", "Add.")
    ({'role': 'system', 'content': 'Add.'}, {'role': 'user', 'content': '27+58='})
    """
    messages = ({"role": "user", "content": prompt},) if isinstance(prompt, str) else prompt
    if system is None or messages[0]["role"] == "system":
        return messages
    return ({"role": "system", "content": system}, *messages)


def _message(message: Any, place: str) -> Mapping[str, str]:
    if not isinstance(message, Mapping) or not all(isinstance(message.get(key), str) for key in ("role", "content")):
        raise DataError(f"{place}: a message must have a role and a content of text. Got {message!r}. Correct the row.")
    return {"role": message["role"], "content": message["content"]}
