"""Sums and products of given numbers as text: what they evaluate to, and all that can be written. No `eval`."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

OPERATORS = "+-*"

_EXPRESSION = re.compile(rf"\d+(?:[{re.escape(OPERATORS)}]\d+)*", re.ASCII)
MOST_CHARACTERS = 200
"""Longer texts are no expression: reading one takes time, and a policy may write anything."""


def evaluate(text: str) -> int | None:
    """The value of `text`: numbers joined by +, - and *, no sign, bracket or space; None if it is anything else.

    >>> evaluate("2+5*3"), evaluate("2-5-3"), evaluate("2+"), evaluate("(2+5)*3")
    (17, -6, None, None)
    """
    if len(text) > MOST_CHARACTERS or _EXPRESSION.fullmatch(text) is None:
        return None
    terms = re.findall(r"([+-]?)([\d*]+)", text, re.ASCII)
    return sum((-1 if sign == "-" else 1) * math.prod(map(int, term.split("*"))) for sign, term in terms)


def operands(text: str) -> list[str]:
    """The numbers in an expression, as they are written.

    >>> operands("12+5*3")
    ['12', '5', '3']
    """
    return re.findall(r"\d+", text, re.ASCII)


def reaches(text: str, numbers: Sequence[int], target: int) -> bool:
    """Whether `text` is an expression worth `target` that uses each of `numbers` at most once, written plainly.

    >>> reaches("2+5*3", [2, 3, 5], 17), reaches("17", [2, 3, 5], 17), reaches("2+05*3", [2, 3, 5], 17)
    (True, False, False)
    """
    return evaluate(text) == target and not Counter(operands(text)) - Counter(map(str, numbers))


def expressions(numbers: Sequence[int]) -> Iterator[str]:
    """Every expression that uses each of `numbers` at most once, each text once; 75 of three different numbers."""
    orders = dict.fromkeys(
        order for count in range(1, len(numbers) + 1) for order in itertools.permutations(map(str, numbers), count)
    )
    for order in orders:
        for signs in itertools.product(OPERATORS, repeat=len(order) - 1):
            yield order[0] + "".join(sign + number for sign, number in zip(signs, order[1:], strict=True))
