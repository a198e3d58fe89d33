"""What a shoot-out says, in sentences."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from interlace.analysis.shootout.arms import Pair
from interlace.analysis.shootout.comparison import Shootout
from interlace.analysis.shootout.row import ShootoutRow
from interlace.estimate import Estimate, figure_text
from interlace.measurement import AVERAGED, LINE
from interlace.statistics import together
from interlace.wording import counted, listed

COUNTED = {"flops": "FLOPs", "tokens": "tokens"}
WHOSE = {AVERAGED: ", averaged", LINE: ", on its line"}


def shootout_sentences(found: Shootout, told: Collection[str] = ()) -> list[str]:
    """One of each pair of tasks: who is first by R - lambda L, by how much, and who is not resolved to lie behind; then
    what is left out and why, and which arms are seen before a blend.

    `told`: methods that know the expert's distribution; where one is first, the first of the others is named too.
    """
    return [*(_sentence(found, pair, told) for pair in found.pairs), *_left_out(found.missing), *_unblended(found.rows)]


def _left_out(missing: Mapping[str, str]) -> list[str]:
    """A sentence for each reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in missing.items():
        by_reason.setdefault(reason, []).append(name)
    return [f"{listed(names)} {'are each' if len(names) > 1 else 'is'} left out: {reason}."
            for reason, names in by_reason.items()]  # fmt: skip


def _unblended(rows: Sequence[ShootoutRow]) -> list[str]:
    names = list(dict.fromkeys(row.arm for row in rows if row.is_before_blend))
    if not names:
        return []
    several = len(names) > 1
    return [
        f"{listed(names)} end{'s' * (not several)} with a blend: {'their' if several else 'its'} rows tell the weights "
        "before that, on the line the place of most value, which need not be that of the blend."
    ]


def _sentence(found: Shootout, pair: Pair, told: Collection[str]) -> str:
    rows = [row for row in found.rows if row.pair == pair]
    if not rows:
        return f"{pair.name}: no arm was measured at the common compute."
    best = _first(rows)
    if not math.isfinite(best.mean_value):
        return f"{pair.name}: no arm has a finite R \u2212 {found.exchange_rate:g} L: all of them diverged."
    arms, seeds = len({row.arm for row in rows}), best.num_seeds
    where = f"{pair.name}, {counted(arms, 'arm')} at equal {COUNTED[found.by]}, {counted(seeds, 'seed')}"
    value = f"R \u2212 {found.exchange_rate:g} L"
    return (
        f"{where}: most {value} has {_named(best)} ({_place(best)}){_against(found, best, rows)}{_peers(rows, best)}"
        f"{_untold(found, best, rows, told)}."
    )


def _first(rows: Sequence[ShootoutRow]) -> ShootoutRow:
    return max(rows, key=lambda row: row.mean_value)


def _untold(found: Shootout, best: ShootoutRow, rows: Sequence[ShootoutRow], told: Collection[str]) -> str:
    """Where the best knows more than others: the best of those."""
    others = [row for row in rows if not any(method in told for method in row.methods)]
    if best in others or not others:
        return ""
    first = _first(others)
    if not math.isfinite(first.mean_value):
        return ""
    return (
        f". {best.arm} is told the expert\u2019s distribution; of arms that see its responses alone {_named(first)} is "
        f"first ({_place(first)}){_against(found, first, others)}"
    )


def _named(row: ShootoutRow) -> str:
    return f"{row.arm}{WHOSE.get(row.weights, '')}"


def _place(row: ShootoutRow) -> str:
    reward, loss = (figure_text(figure, unit=False) for figure in (row.reward, row.sft_loss))
    return f"reward {reward}, SFT loss {loss}"


def _against(found: Shootout, best: ShootoutRow, rows: Sequence[ShootoutRow]) -> str:
    """The best of many rows: its lead is widened as all of their leads hold together."""
    if best.arm == found.against:
        return ""
    other = f"{found.against}{WHOSE.get(best.weights, '')}"
    if not isinstance(best.lead, Estimate):
        return f"; its lead over {other} is not resolved: {best.lead.reason}"
    of_all = f"intervals hold for the best of {counted(len(rows), 'row')}"
    return f", {_held(best.lead, other, rows)}{_at_best(found, best, rows)} ({of_all})"


def _held(lead: Estimate, other: str, rows: Sequence[ShootoutRow]) -> str:
    widened = together(lead, max(1, len(rows) - 1))
    return f"{figure_text(widened, signed=True)} over {other}" + ", which may be chance" * (not widened.sign)


def _at_best(found: Shootout, best: ShootoutRow, rows: Sequence[ShootoutRow]) -> str:
    """A lead over an arm that went too far is that arm's fall."""
    if not isinstance(best.lead_at_best, Estimate):
        return ""
    return f"; {_held(best.lead_at_best, f'{found.against} at its best', rows)}"


def _peers(rows: Sequence[ShootoutRow], best: ShootoutRow) -> str:
    """Those of the same weights that are not resolved to lie behind it, all pairs of arms together (`behind`)."""
    others = [row for row in rows if row.weights == best.weights and row.arm != best.arm]
    names = [row.arm for row in others if row.behind.sign <= 0 and math.isfinite(row.mean_value)]
    if not names:
        return ""
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"; not resolved to lie behind it: {shown}"
