"""Responses that a method remembers, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interlace.policies import EncodedResponse


def written(responses: Iterable[EncodedResponse]) -> list[Any]:
    """Token ids of context and response, and how many a policy would have generated."""
    return [[list(each.context), list(each.response), each.generated] for each in responses]


def read(rows: Iterable[Sequence[Any]]) -> list[EncodedResponse]:
    """What `written` wrote."""
    from interlace.policies import EncodedResponse

    return [EncodedResponse(tuple(context), tuple(response), generated) for context, response, generated in rows]
