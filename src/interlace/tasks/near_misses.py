"""An expert of expressions that errs: it writes a right one, or one whose last operator is off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence


def near_miss(right: str, operators: str, evaluate: Callable[[str], object]) -> str:
    """`right` with its last operator replaced by the next of `operators` (round and round) that changes its value.

    Where none does (in a product with 0) it is an earlier operator, the last of which another changes the value.

    >>> near_miss("2+3*5", "+-*", eval)
    '2+3+5'
    """
    value = evaluate(right)
    turned = (
        right[:place] + operators[(operators.index(right[place]) + step) % len(operators)] + right[place + 1 :]
        for place in reversed(range(len(right)))
        if right[place] in operators
        for step in range(1, len(operators))
    )
    return next(text for text in turned if evaluate(text) != value)


def erring_law(right: Sequence[str], error: float, miss: Callable[[str], str]) -> Mapping[str, float]:
    """p_D(. | prompt): one of `right` with probability 1 - `error`, else the `miss` of one; equal texts merged.

    >>> erring_law(["a", "b"], 0.5, str.upper)
    {'a': 0.25, 'A': 0.25, 'b': 0.25, 'B': 0.25}
    """
    law: dict[str, float] = defaultdict(float)
    for text in right:
        law[text] += (1.0 - error) / len(right)
        law[miss(text)] += error / len(right)
    return {text: probability for text, probability in law.items() if probability > 0.0}
