"""What could not be used, counted by reason: nothing is dropped without a word."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Tally:
    """Rows that were left out: by reason, how many and where the first one stands."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, place: str) -> None:
        """Count one more."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.first.setdefault(reason, place)

    @property
    def total(self) -> int:
        """All that were left out."""
        return sum(self.counts.values())

    def sentences(self) -> tuple[str, ...]:
        """One for each reason.

        >>> tally = Tally()
        >>> tally.add("the reward is missing", "3.jsonl:7")
        >>> tally.sentences()
        ('1 row was left out: the reward is missing (3.jsonl:7).',)
        """
        return tuple(_sentence(count, reason, self.first[reason]) for reason, count in self.counts.items())


def _sentence(count: int, reason: str, place: str) -> str:
    rows, first = ("row was", "") if count == 1 else ("rows were", "first ")
    return f"{count:,} {rows} left out: {reason} ({first}{place})."
