"""Expressions with + - * / and brackets over exact fractions: read, written and all those found that reach a value.

One bracket pair is written where it is needed and none where it is not (a right operand that binds no closer is always
bracketed), so that each way to combine numbers is one text, and the texts of a value can be listed. No `eval`.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from interlace.rewards.expressions import MOST_CHARACTERS, operands

SIGNS = "+-*/"
BINDS = {"+": 0, "-": 0, "*": 1, "/": 1}
NUMBER_BINDS = 2
MOST_BRACKETS = 20
"""Texts with more opening brackets are no expression: each is a call within a call."""

_TOKEN = re.compile(r"\d+|[-+*/()]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Written:
    """An expression as text, what it is worth, and how closely its outermost operator binds."""

    text: str
    value: Fraction
    binds: int


def number(value: int) -> Written:
    """A number by itself."""
    return Written(str(value), Fraction(value), NUMBER_BINDS)


def worth(left: Fraction, sign: str, right: Fraction) -> Fraction | None:
    """`left sign right`; None for a division by 0."""
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    if sign == "*":
        return left * right
    return left / right if right else None


def joined(left: Written, sign: str, right: Written) -> Written | None:
    """Two expressions joined, with the brackets that are needed; None for a division by 0.

    >>> joined(number(5), "*", joined(number(5), "-", joined(number(1), "/", number(5)))).text
    '5*(5-1/5)'
    """
    value, binds = worth(left.value, sign, right.value), BINDS[sign]
    if value is None:
        return None
    before = f"({left.text})" if left.binds < binds else left.text
    after = f"({right.text})" if right.binds <= binds else right.text
    return Written(before + sign + after, value, binds)


def read(text: str) -> Written | None:
    """The expression that `text` is, written as `joined` does; None if it is none or divides by 0.

    >>> read("(2+(3))*4"), read("2+"), read("1/(2-2)")
    (Written(text='(2+3)*4', value=Fraction(20, 1), binds=1), None, None)
    """
    if len(text) > MOST_CHARACTERS or text.count("(") > MOST_BRACKETS:
        return None
    tokens = deque(_TOKEN.findall(text))
    if "".join(tokens) != text:
        return None
    found = _operand(tokens, 0)
    return None if tokens else found


def _operand(tokens: deque[str], binds: int) -> Written | None:
    """What `tokens` begin with that binds at least so closely, taken off them; None if that is no expression."""
    if binds == NUMBER_BINDS:
        return _atom(tokens)
    found = _operand(tokens, binds + 1)
    while found is not None and tokens and BINDS.get(tokens[0]) == binds:
        sign = tokens.popleft()
        right = _operand(tokens, binds + 1)
        found = None if right is None else joined(found, sign, right)
    return found


def _atom(tokens: deque[str]) -> Written | None:
    """A number, or what stands in brackets."""
    first = tokens.popleft() if tokens else ""
    if first.isdigit():
        return number(int(first))
    inner = _operand(tokens, 0) if first == "(" else None
    return inner if inner is not None and tokens and tokens.popleft() == ")" else None


def evaluate_bracketed(text: str) -> Fraction | None:
    """The value of `text`; None if it is no expression.

    >>> evaluate_bracketed("5*(5-1/5)"), evaluate_bracketed("5*(5-")
    (Fraction(24, 1), None)
    """
    found = read(text)
    return None if found is None else found.value


def uses_all(text: str, numbers: Sequence[int], target: int) -> bool:
    """Whether `text` is an expression worth `target`, with each of `numbers` once and no bracket that is not needed.

    >>> uses_all("5*(5-1/5)", [1, 5, 5, 5], 24), uses_all("(5*5)-1", [1, 5, 5], 24), uses_all("5*5-1", [1, 5, 5], 24)
    (True, False, True)
    """
    found = read(text)
    if found is None or found.value != target or found.text != text:
        return False
    return Counter(operands(text)) == Counter(map(str, numbers))


@cache
def solutions(numbers: tuple[int, ...], target: int) -> tuple[str, ...]:
    """Every text that uses all `numbers`, in whichever order they are given, and reaches `target`; the shortest first.

    >>> solutions((1, 5, 5), 24), solutions((1, 1), 3)
    (('5*5-1',), ())
    """
    texts = {found.text for found in ways(tuple(sorted(numbers)), Fraction(target))}
    return tuple(sorted(texts, key=lambda text: (len(text), text)))


def is_solvable(numbers: tuple[int, ...], target: int) -> bool:
    """Whether all `numbers` together reach `target`."""
    return next(ways(tuple(sorted(numbers)), Fraction(target)), None) is not None


def ways(numbers: tuple[int, ...], value: Fraction) -> Iterator[Written]:
    """Ways to reach `value` with all of sorted `numbers`; some more than once where numbers are equal."""
    if len(numbers) == 1 and numbers[0] == value:
        yield number(numbers[0])
    for few, many in _divisions(numbers):
        for one in values(few):
            for other in _partners(one, value) & values(many) if value else values(many):
                yield from _joined_to(value, (few, one), (many, other))
                yield from _joined_to(value, (many, other), (few, one))


@cache
def values(numbers: tuple[int, ...]) -> frozenset[Fraction]:
    """All that sorted `numbers` can be worth together.

    >>> sorted(map(str, values((2, 3))))
    ['-1', '1', '2/3', '3/2', '5', '6']
    """
    if len(numbers) == 1:
        return frozenset([Fraction(numbers[0])])
    pairs = [(a, b) for few, many in _divisions(numbers) for a in values(few) for b in values(many)]
    found = (worth(x, sign, y) for a, b in pairs for x, y in ((a, b), (b, a)) for sign in SIGNS)
    return frozenset(value for value in found if value is not None)


def _joined_to(
    value: Fraction, left: tuple[tuple[int, ...], Fraction], right: tuple[tuple[int, ...], Fraction]
) -> Iterator[Written]:
    """Ways to join what is worth `left` to what is worth `right`, each of its numbers, so that `value` comes out."""
    for sign in SIGNS:
        if worth(left[1], sign, right[1]) == value:
            for first, second in itertools.product(ways(*left), ways(*right)):
                found = joined(first, sign, second)
                assert found is not None
                yield found


def _partners(one: Fraction, value: Fraction) -> frozenset[Fraction]:
    """All that makes `value`, which is not 0, with `one` on either side of a sign."""
    found = {value - one, one - value, value + one, one / value}
    return frozenset(found | ({value / one, value * one} if one else set()))


@cache
def _divisions(numbers: tuple[int, ...]) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """`numbers` in two parts, the smaller one first, each division once."""
    places = range(len(numbers))
    found: dict[tuple[tuple[int, ...], tuple[int, ...]], None] = {}
    for size in range(1, len(numbers) // 2 + 1):
        for chosen in itertools.combinations(places, size):
            few = tuple(numbers[place] for place in chosen)
            many = tuple(numbers[place] for place in places if place not in chosen)
            found[(few, many) if size < len(many) else (min(few, many), max(few, many))] = None
    return tuple(found)
