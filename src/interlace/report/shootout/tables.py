"""Tables of one shoot-out: what it comes to at equal FLOPs, secondary metrics, what options do, what adapting is worth,
places by tokens."""

from __future__ import annotations

from interlace.analysis.shootout import Knob, Matched, Pair, Shootout, ShootoutRow, Standing
from interlace.analysis.shootout.compute import SHORT
from interlace.analysis.shootout.words import COUNTED
from interlace.estimate import Estimate
from interlace.report.formatting import Cell, Notes, compact, weights_name
from interlace.report.shootout.told import told_sentences
from interlace.report.tables import Table, words
from interlace.wording import counted

COLUMNS = ("Arm", "Weights", "Place", "Step", "Compute", "Imitated", "SFT loss", "Reward", "Over the front",
           "Change of R \u2212 \u03bbL", "Lead over {}", "Better")  # fmt: skip
BY_TOKENS = ("Arm", "Weights", "Place", "Step", "Compute", "SFT loss", "Reward", "Change of R \u2212 \u03bbL")
SECONDARY = ("Arm", "Weights", "Behind the best", "Share of the attainable gain", "Hypervolume",
             "Change of SFT loss on right responses", "pass@8")  # fmt: skip
KNOBS = ("Method", "Weights", "Best", "Worst", "Best less worst", "Chosen", "What tuning is worth over {}")
MATCHED = ("Arm", "Weights", "Control", "What adapting is worth")
HALVES = (
    "One half of the held-out prompts may steer methods and choose places on lines and blends; all figures of every "
    "arm, under every kind of weights, are of the other half, the front too. Stop rules but best_checkpoint read both."
)
MARKS = (
    "\u2020: no other row has both more reward and less SFT loss, by the means. \u2021: the arm ended with less than "
    f"{SHORT:.0%} of the common compute, and is told where it ended."
)
PLACE = (
    "Place: by the change of R \u2212 \u03bbL among rows of the same weights; the intervals of all of them hold "
    "together, by all paired differences."
)

READING = (
    "Compute: per parameter. Imitated: mean weight of imitation in the updates. Over the front: SFT loss beyond the "
    "least that any policy can have at that reward (D9). On the line: the best place between start and end. Lead: each "
    "by itself, run by run. Better: in which share of runs its value is above, with the exact interval of so few."
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
    spent = [row.compute for row in rows if not row.is_short] or [row.compute for row in rows]
    span = f"{compact(min(spent))} to {compact(max(spent))}"
    return f"{pair.name}, from {found.started_from}, at equal {COUNTED[found.by]} ({span}), {seeds}"


def _main_table(found: Shootout, pair: Pair) -> Table:
    notes = Notes()
    columns = tuple(column.format(found.against) for column in COLUMNS)
    rows = tuple(_cells(row, notes) for row in rows_of(found, pair))
    remark = (
        f"{HALVES} \u03bb = {found.exchange_rate:g} reward units a nat. Best first within each kind of weights. "
        f"{MARKS} {PLACE} {READING} {told_sentences(found, rows_of(found, pair))}"
    )
    return Table(f"Shoot-out on {_title(found, pair)}", columns, rows, 2, tuple(notes.reasons), remark.rstrip())


def _cells(row: ShootoutRow, notes: Notes) -> tuple[Cell, ...]:
    return (
        *_first_cells(row, notes),
        Cell("\u2013" if row.imitation is None else f"{row.imitation:.2f}"),
        notes.figure(row.sft_loss),
        notes.figure(row.reward),
        notes.figure(row.excess),
        notes.figure(row.value, signed=True),
        notes.figure(row.lead, signed=True),
        notes.figure(row.better),
    )


def _first_cells(row: ShootoutRow, notes: Notes) -> tuple[Cell, ...]:
    mark = "\u2020" if row.on_pareto else ""
    arm = Cell(f"{row.arm}{mark}", interval="" if row.method == row.arm else row.method, tone="stage")
    short = "\u2021" if row.is_short else ""
    spent = Cell(f"{compact(row.compute)}{short}", title="mean over seeds")
    return arm, *words(weights_name(row.weights)), place_cell(row, notes), Cell(f"{row.step:.0f}"), spent


def place_cell(row: ShootoutRow | Standing, notes: Notes) -> Cell:
    """A place and its interval."""
    if not isinstance(row.rank, Estimate):
        return notes.figure(row.rank)
    ends = f"{row.rank.lower:.3g}\u2013{row.rank.upper:.3g}"
    return Cell(f"{row.rank.value:.3g}", interval=ends, title=row.rank.method)


def tokens_table(found: Shootout, pair: Pair) -> Table:
    """The places at equal tokens."""
    notes = Notes()
    rows = tuple(
        (
            *_first_cells(row, notes),
            notes.figure(row.sft_loss),
            notes.figure(row.reward),
            notes.figure(row.value, signed=True),
        )
        for row in rows_of(found, pair)
    )
    remark = (
        "Tokens read and sampled in generation and trained on. Schedules of arms that take more of them are cut off at "
        f"that step. {MARKS} {PLACE}"
    )
    return Table(f"Shoot-out on {_title(found, pair)}", BY_TOKENS, rows, 2, tuple(notes.reasons), remark)


def _secondary(found: Shootout, pair: Pair) -> Table:
    rows, notes = rows_of(found, pair), Notes()
    tasks = list(dict.fromkeys(task for row in rows for task in row.elsewhere))
    columns = (*SECONDARY, *(f"Change of reward on {task}" for task in tasks))
    cells = tuple(
        (
            Cell(row.arm, tone="stage"),
            *words(weights_name(row.weights)),
            notes.figure(row.behind, signed=True),
            notes.figure(row.gain_share, signed=True),
            notes.figure(row.area),
            notes.figure(row.sft_loss_right_change, signed=True),
            notes.figure(row.pass_at_8),
            *(notes.figure(row.elsewhere[task], signed=True) if task in row.elsewhere else Cell("") for task in tasks),
        )
        for row in rows
    )
    remark = (
        "Behind the best: of the same weights, run by run; the intervals of all pairs of arms hold together, since the "
        "best is picked from them. Share of the attainable gain: the change of R \u2212 \u03bbL over the greatest that "
        "any policy could have made from the start (D9). Hypervolume: the area of reward and SFT loss that an "
        "arm\u2019s looks dominate, over the front\u2019s. Other held-out tasks: those "
        "that this pair neither reinforces nor imitates."
    )
    return Table(f"Secondary metrics, {pair.name}", columns, cells, 2, tuple(notes.reasons), remark)


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
