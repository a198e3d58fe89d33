"""The panel of instruments: what was read is shown with its unit and its reason, and nothing where nothing was."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from interlace.analysis.summary import RunSummary
from interlace.estimate import Estimate, Figure, Unresolved, exact
from interlace.measurement import Measurement, Point
from interlace.report import render
from interlace.report.instruments import stage_panels
from interlace.report.plots import angle_charts
from interlace.store import RunRecord
from tests.report.examples import ATTACK, facts_summary, figure, record_of

LAYERS = [f"gradient_cosine/layers.{i}" for i in range(11)]
TOLD: tuple[dict[str, Any], ...] = (
    {"name": "sft_loss", "sentence": "shown elsewhere", "source": "A4", "cost": "forward", "quantities": ["sft_loss"]},
    {
        "name": "alignment",
        "sentence": "whether both agree",
        "source": "D2, C2",
        "cost": "backward",
        "quantities": ["gradient_cosine", *LAYERS[::-1]],
    },
    {
        "name": "log_partition",
        "sentence": "log Z",
        "source": "A1",
        "cost": "forward",
        "quantities": ["log_partition", "log_partition/1", "smoothness"],
    },
)


def measured(step: int, quantity: str, found: Figure, task: str = "sums") -> Measurement:
    return Measurement(Point("02-rl", step, task), quantity, found)


def record() -> RunRecord:
    """The example run, whose RL stage was looked at with more instruments at steps 0, 50 and 100."""
    measurements = [
        measured(0, "gradient_cosine", Unresolved("the noise is all there is")),
        measured(50, "gradient_cosine", figure(-0.3, 0.2, "cosine")),
        measured(100, "gradient_cosine", figure(0.4, 0.1, "cosine")),
        *(measured(100, layer, figure(0.1, 0.05, "cosine")) for layer in LAYERS),
        measured(0, "log_partition/1", exact(0.5, "nats")),
        measured(100, "log_partition", Unresolved("too few samples")),
        measured(100, "smoothness", figure(3.2e-7, 1e-7, "nats/weight^2")),
        measured(100, "sft_loss", figure(1.0, 0.1)),
    ]
    run = record_of(facts_summary())
    rl = dataclasses.replace(run.stages[1], measurements=tuple(measurements), instruments=TOLD)
    return dataclasses.replace(run, stages=(run.stages[0], rl, run.stages[2]))


@pytest.fixture
def summary() -> RunSummary:
    return facts_summary()


def test_quantities_stand_with_unit_start_and_latest() -> None:
    (panel,) = stage_panels(record())
    assert (panel.title, panel.is_open, panel.latest_step) == ("rl", True, 100)
    alignment, partition = panel.instruments  # sft_loss fills the rest of the page
    (cosine,) = alignment.rows
    assert (cosine.name, cosine.unit) == ("gradient cosine", "cosine")
    assert (cosine.latest.text, cosine.latest.interval) == ("0.4", "[0.3, 0.5]")
    assert cosine.start.note == 1 and panel.notes[0] == "not resolved: the noise is all there is"
    later, at_start, small = partition.rows
    assert (at_start.name, at_start.start.text) == ("log partition at RL time 1", "0.5")
    assert at_start.latest.text == later.start.text == "\u2013" and at_start.latest.note is later.start.note is None
    assert later.latest.note == 2 and (small.unit, small.latest.text) == (
        "nats/weight\u00b2",
        "3.2 \u00d7 10\u207b\u2077",
    )


def test_many_layers_are_folded_in_their_order() -> None:
    ((name, rows),) = stage_panels(record())[0].instruments[0].folded
    assert name == "gradient cosine" and [row.name for row in rows][9:] == [
        "gradient cosine, layers.9",
        "gradient cosine, layers.10",
    ]


def test_the_angle_is_drawn_where_it_is_resolved_and_is_a_gap_with_a_reason_where_not(summary: RunSummary) -> None:
    (chart,) = angle_charts(record(), summary)
    (joined,) = chart.data
    assert (joined["x"], joined["y"]) == ([300.0, 350.0, 400.0], [None, -0.3, 0.4])
    assert chart.notes == ("rl: 1 look did not resolve it and left a gap (step 0: the noise is all there is).",)
    assert joined["error_y"]["array"] == [None, pytest.approx(0.2), pytest.approx(0.1)]
    lines = [shape for shape in chart.layout["shapes"] if shape["type"] == "line"]
    assert {(shape["x0"], shape["y0"]) for shape in lines} == {(0, 0), (317.4, 0)}  # zero, and parity of the RL stage
    low, high = chart.layout["yaxis"]["range"]
    assert low < -0.5 and 0.5 < high <= 1.05


def test_another_tasks_figures_are_not_the_stages(summary: RunSummary) -> None:
    run = record()
    other = dataclasses.replace(
        run.stages[1], measurements=(measured(0, "gradient_cosine", exact(1.0, "cosine"), "x"),)
    )
    panels = stage_panels(dataclasses.replace(run, stages=(other,)))
    assert [panel.title for panel in panels] == ["rl"]  # one task alone needs no name
    assert angle_charts(dataclasses.replace(run, stages=(run.stages[0], other, run.stages[2])), summary) == []


def test_the_section_vanishes_where_nothing_was_read(summary: RunSummary) -> None:
    with_panel, without = render([(record(), summary)]), render([(record_of(summary), summary)])
    assert 'id="run0-instruments"' in with_panel and 'href="#run0-instruments"' in with_panel
    assert "whether both agree" in with_panel and "run0-instruments" not in without


def test_words_from_a_record_are_no_markup(summary: RunSummary) -> None:
    run = record()
    attack = measured(100, ATTACK, Estimate(1.0, 0.5, 2.0, 0.95, 9, ATTACK, ATTACK))
    told = {"name": ATTACK, "sentence": ATTACK, "source": ATTACK, "cost": ATTACK, "quantities": [ATTACK]}
    refused = measured(0, "gradient_cosine", Unresolved(ATTACK))
    rl = dataclasses.replace(run.stages[1], measurements=(attack, refused), instruments=(*TOLD, told))
    page = render([(dataclasses.replace(run, stages=(run.stages[0], rl, run.stages[2])), summary)])
    assert "<img" not in page.partition("<main")[2].partition("<script>")[0] and "&lt;/script&gt;" in page
