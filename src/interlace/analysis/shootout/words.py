"""What a shoot-out says, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from interlace.analysis.shootout.arms import Pair
from interlace.analysis.shootout.comparison import Shootout
from interlace.analysis.shootout.row import ShootoutRow
from interlace.estimate import Estimate, figure_text
from interlace.measurement import AVERAGED, LINE
from interlace.wording import counted

COUNTED = {"flops": "FLOPs", "tokens": "tokens"}
WHOSE = {AVERAGED: ", averaged", LINE: ", on the line from its start"}


def shootout_sentences(found: Shootout) -> list[str]:
    """One of each pair of tasks: who is first by R - lambda L, by how much, and who cannot be told from it."""
    return [_sentence(found, pair) for pair in found.pairs]


def _sentence(found: Shootout, pair: Pair) -> str:
    rows = [row for row in found.rows if row.pair == pair]
    best = max(rows, key=lambda row: sum(row.values) / len(row.values))
    arms, seeds = len({row.arm for row in rows}), max(row.num_seeds for row in rows)
    where = f"{pair.name}, {counted(arms, 'arm')} at equal {COUNTED[found.by]}, {counted(seeds, 'seed')}"
    value = f"R \u2212 {found.exchange_rate:g} L"
    return f"{where}: most {value} has {_named(best)} ({_place(best)}){_against(found, best)}{_peers(rows, best)}."


def _named(row: ShootoutRow) -> str:
    return f"{row.arm}{WHOSE.get(row.weights, '')}"


def _place(row: ShootoutRow) -> str:
    reward, loss = (figure_text(figure, unit=False) for figure in (row.reward, row.sft_loss))
    return f"reward {reward}, SFT loss {loss}"


def _against(found: Shootout, best: ShootoutRow) -> str:
    if best.arm == found.against:
        return ""
    if not isinstance(best.lead, Estimate):
        return f"; its lead over {found.against} is not resolved: {best.lead.reason}"
    sure = "" if best.lead.sign else ", which may be chance"
    return f", {figure_text(best.lead, signed=True)} over {found.against}{sure}"


def _peers(rows: Sequence[ShootoutRow], best: ShootoutRow) -> str:
    """Those whose place may be the first among the rows of the same weights."""
    names = list(_perhaps_first(rows, best))
    if not names:
        return ""
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"; the first place may also be that of {shown}"


def _perhaps_first(rows: Sequence[ShootoutRow], best: ShootoutRow) -> Iterator[str]:
    for row in rows:
        same = row.weights == best.weights and row.arm != best.arm
        if same and isinstance(row.rank, Estimate) and row.rank.lower <= 1.5:
            yield row.arm
