"""lenient_countdown: 1 if the last expression that the completion holds reaches the target, whatever stands around."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from interlace.rewards.base import Completion, RewardOptions, column_values, completion_text
from interlace.rewards.expressions import OPERATORS, reaches

_SIGNS = str.maketrans({"\u00d7": "*", "\u00b7": "*", "\u2212": "-"})
_WRITTEN = re.compile(rf"\d+(?:\s*[{re.escape(OPERATORS)}]\s*\d+)+", re.ASCII)


class LenientCountdown(RewardOptions):
    """Options of the reward lenient_countdown.

    A measure beside the reward countdown, to tell a matter of format from one of content.
    """

    sentence: ClassVar[str] = (
        "1 if the completion's last expression (spaces, \u00d7 and = 17 forgiven) reaches the target."
    )
    source: ClassVar[str] = "the Countdown task of TinyZero, which reads the answer out of a longer text"
    cost: ClassVar[str] = "one search a completion"

    numbers: str = "numbers"
    """Column that holds the list of numbers."""
    target: str = "target"
    """Column that holds the value to reach."""

    def score(self, completions: Sequence[Completion], **columns: Any) -> list[float | None]:
        """1.0 where the last expression reaches the target, else 0.0."""
        numbers = column_values(columns, self.numbers, "lenient_countdown")
        targets = column_values(columns, self.target, "lenient_countdown")
        rows = zip(completions, numbers, targets, strict=True)
        return [float(reaches(last_expression(completion_text(text)), given, target)) for text, given, target in rows]


def last_expression(text: str) -> str:
    """The last numbers that operators join in `text`, without its spaces; "" if there are none.

    >>> last_expression("2+3*5=17"), last_expression("17 = 2 + 3 \u00d7 5."), last_expression("17")
    ('2+3*5', '2+3*5', '')
    """
    found = _WRITTEN.findall(text.translate(_SIGNS))
    return re.sub(r"\s", "", found[-1]) if found else ""
