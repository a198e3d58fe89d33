"""What the arms of a shoot-out are told beyond their training: two that are told different things are not alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from interlace.analysis.shootout import Shootout, ShootoutRow
from interlace.methods import KNOW_EXPERT, READ_EXPERT_REWARDS, SEE_LOOKS

FEW = 0.01
"""Mean weight of imitation, a fraction, under which an arm is said to be nearly RL alone."""


def told_sentences(found: Shootout, rows: Sequence[ShootoutRow]) -> str:
    """Of the arms at hand, those that know the expert's distribution, rewards of its responses, held-out looks or an
    exchange rate, and those that hardly imitated; nothing where none does."""
    arms = list({row.arm: row for row in rows}.values())
    return " ".join(
        f"{text}: {', '.join(names)}."
        for text, names in (
            ("Told the expert\u2019s distribution, where others see its responses", _named(arms, _knows_expert)),
            ("Told the rewards of the expert\u2019s responses", _named(arms, _reads_rewards)),
            (
                "Steered or blended by the prompts that do not judge, or stopped by looks",
                _named(arms, _sees_looks),
            ),
            (
                f"Imitated with less than {FEW:.0%} of the weight, and so nearly RL alone",
                _named(arms, lambda row: row.arm != found.against and _hardly_imitated(row)),
            ),
            (f"Told an exchange rate (the score\u2019s is {found.exchange_rate:g})", _exchange_rates(arms)),
        )
        if names
    )


def _named(arms: Sequence[ShootoutRow], is_told: Callable[[ShootoutRow], bool]) -> list[str]:
    return [row.arm for row in arms if is_told(row)]


def _knows_expert(row: ShootoutRow) -> bool:
    return not KNOW_EXPERT.isdisjoint(row.methods)


def _reads_rewards(row: ShootoutRow) -> bool:
    return not READ_EXPERT_REWARDS.isdisjoint(row.methods)


def _sees_looks(row: ShootoutRow) -> bool:
    return row.is_stopped_or_blended or not SEE_LOOKS.isdisjoint(row.methods)


def _hardly_imitated(row: ShootoutRow) -> bool:
    return row.imitation is not None and row.imitation < FEW


def _exchange_rates(arms: Sequence[ShootoutRow]) -> list[str]:
    return [
        f"{row.arm} ({', '.join(f'{rate:g}' for rate in row.exchange_rates)})" for row in arms if row.exchange_rates
    ]
