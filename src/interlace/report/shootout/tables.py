"""Tables of one shoot-out: what it comes to at equal FLOPs, secondary metrics, what options do, what adapting is worth,
places by tokens."""

from __future__ import annotations

from interlace.analysis.shootout import Knob, Matched, Pair, Shootout, ShootoutRow
from interlace.analysis.shootout.words import COUNTED
from interlace.report.formatting import Cell, Notes, compact, weights_name
from interlace.report.shootout.columns import by_tokens_columns, main_columns, secondary_columns, table_of
from interlace.report.shootout.told import told_sentences
from interlace.report.tables import Table, words
from interlace.wording import counted

KNOBS = ("Method", "Weights", "Best", "Worst", "Best less worst", "Chosen", "What tuning is worth over {}")
MATCHED = ("Arm", "Weights", "Control", "What adapting is worth")
HALVES = (
    "One half of the held-out prompts may steer methods and choose places on lines and blends; all figures of every "
    "arm, under every kind of weights, are of the other half, the front too. Stop rules but best_checkpoint read both. "
    "What looks take, those that steer too, is in no arm\u2019s compute."
)
TOKENS = (
    "Tokens read and sampled in generation and trained on. Schedules of arms that take more of them are cut off at "
    "that step."
)


def flops_tables(found: Shootout, pair: Pair) -> list[Table]:
    """What a pair of tasks comes to at equal FLOPs, secondary metrics, what options do, and what adapting is worth."""
    return [_main_table(found, pair), _secondary(found, pair), *_knobs(found, pair), *_matched(found, pair)]


def rows_of(found: Shootout, pair: Pair) -> list[ShootoutRow]:
    """The rows of a pair of tasks."""
    return [row for row in found.rows if row.pair == pair]


def _title(found: Shootout, pair: Pair) -> str:
    rows = rows_of(found, pair)
    seeds = counted(max(row.num_seeds for row in rows), "seed")
    spent = [row.compute for row in rows if not (row.is_short or row.is_early)] or [row.compute for row in rows]
    span = f"{compact(min(spent))} to {compact(max(spent))}"
    return f"{pair.name}, from {found.started_from}, at equal {COUNTED[found.by]} ({span}), {seeds}"


def _main_table(found: Shootout, pair: Pair) -> Table:
    name, rows = f"Shoot-out on {_title(found, pair)}", rows_of(found, pair)
    read = f"{HALVES} \u03bb = {found.exchange_rate:g} reward units a nat. Best first within each kind of weights."
    return table_of(name, main_columns(found.against), rows, before=read, after=told_sentences(found, rows))


def tokens_table(found: Shootout, pair: Pair) -> Table:
    """The places at equal tokens."""
    return table_of(f"Shoot-out on {_title(found, pair)}", by_tokens_columns(), rows_of(found, pair), before=TOKENS)


def _secondary(found: Shootout, pair: Pair) -> Table:
    rows = rows_of(found, pair)
    tasks = list(dict.fromkeys(task for row in rows for task in row.elsewhere))
    return table_of(f"Secondary metrics, {pair.name}", secondary_columns(tasks), rows, marked=False)


def _knobs(found: Shootout, pair: Pair) -> list[Table]:
    knobs, notes = [each for each in found.knobs if each.pair == pair], Notes()
    if not knobs:
        return []
    columns = tuple(column.format(found.against) for column in KNOBS)
    rows = tuple(_knob_cells(knob, notes) for knob in knobs)
    remark = (
        "Arms that differ in their method\u2019s options alone, by R \u2212 \u03bbL. Best less worst: the interval "
        "holds for all pairs of settings together. Chosen: the setting that all runs together prefer, by the prompts "
        "that do not judge. What tuning is worth: in each run the setting that the other runs prefer, which may be "
        "another one, is judged; at as many times an arm\u2019s compute as there are settings."
    )
    return [
        Table(f"What a method\u2019s options do, {_title(found, pair)}", columns, rows, 2, tuple(notes.reasons), remark)
    ]


def _knob_cells(knob: Knob, notes: Notes) -> tuple[Cell, ...]:
    best, worst = knob.settings[0], knob.settings[-1]
    count = f"{len(knob.settings)} settings"
    return (
        Cell(knob.method, interval=count, tone="stage"),
        *words(weights_name(knob.weights)),
        *(Cell(each.text, interval=each.arm) for each in (best, worst)),
        notes.figure(knob.spread),
        Cell(knob.chosen.text, interval=knob.chosen.arm),
        notes.figure(knob.lead, signed=True),
    )


def _matched(found: Shootout, pair: Pair) -> list[Table]:
    matched, notes = [each for each in found.matched if each.pair == pair], Notes()
    if not matched:
        return []
    rows = tuple(_matched_cells(each, notes) for each in matched)
    remark = (
        "An arm whose share of imitation adapts, beside one that has the mean of it throughout: as one weight (joint) "
        "or by a coin for each update (random_switch). By R \u2212 \u03bbL, run by run, each by itself. What is not "
        "above 0 does not beat its control."
    )
    return [Table(f"What adapting is worth, {_title(found, pair)}", MATCHED, rows, 3, tuple(notes.reasons), remark)]


def _matched_cells(each: Matched, notes: Notes) -> tuple[Cell, ...]:
    return (
        Cell(each.arm, interval="" if each.method == each.arm else each.method, tone="stage"),
        *words(weights_name(each.weights)),
        Cell(each.control, interval=each.control_method),
        notes.figure(each.lead, signed=True),
    )
