"""The page about measured checkpoints: self-contained, every figure in it, nothing from outside read as markup."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interlace.analysis.trajectory import Snapshot
from interlace.checkpoints import Cell, Checkpoint, Line, Measured
from interlace.checkpoints.choice import recommend
from interlace.checkpoints.differences import differences_of
from interlace.checkpoints.measure import cells_of
from interlace.checkpoints.result import profiles
from interlace.estimate import Estimate, Unresolved, value_text
from interlace.report.checkpoints import render_checkpoints
from interlace.report.checkpoints.chart import plane_charts
from tests.checkpoints.test_choice import profile

HOSTILE = "<script>alert(1)</script>"


def snapshots_of(*names: str) -> dict[tuple[str, str], Snapshot]:
    losses, rewards = np.linspace(0.6, 0.9, len(names)), np.linspace(0.5, 0.9, len(names))
    made = zip(names, losses.tolist(), rewards.tolist(), strict=True)
    return {(name, "t"): profile(name, loss, reward, 0.1).tasks["t"] for name, loss, reward in made}


@pytest.fixture
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    snapshots = snapshots_of("sft", HOSTILE)
    places = tuple(Checkpoint(name, tmp_path_factory.getbasetemp(), "model") for name, _ in snapshots)
    return Measured(places, ("t",), tuple(cells_of(snapshots)), differences_of(snapshots), snapshots)


def with_line(measured: Measured) -> Measured:
    blends = snapshots_of("0", "0.5", "1")
    found = profiles(blends)
    line = Line("sft", "rl", (0.0, 0.5, 1.0), ("0", "0.5", "1"), tuple(cells_of(blends)),
                differences_of(blends, neighbours=False), ("0", "0.5", "1"), recommend(found))  # fmt: skip
    return replace(measured, line=line)


def test_the_page_holds_every_figure(measured: Measured) -> None:
    page = render_checkpoints(with_line(measured))
    for cell in measured.cells:
        if isinstance(cell.figure, Estimate):
            assert value_text(cell.figure) in page
    assert "Keep sft" in page and "The straight line of weights from sft to rl" in page
    assert "p after Holm" in page


def test_the_probes_stand_in_tables_of_their_own(measured: Measured) -> None:
    figures = tuple(
        Cell("sft", "t", quantity, Estimate(1.234e-5, 1e-5, 2e-5, 0.95, 12, "jackknife", "nats/weight^2"))
        for quantity in ("smoothness", "gradient_cosine/layers.0", "linearised_cost/t")
    )
    assert "Gradients and curvature" not in render_checkpoints(measured)
    missing = Cell(HOSTILE, "t", "linearised_cost/t", Unresolved("too few prompts"))
    page = render_checkpoints(replace(measured, figures=(*figures, missing)))
    for words in (
        "Gradients and curvature",
        "1.23 \u00d7 10\u207b\u2075",
        "layers.0",
        "SFT loss on t",
        "too few prompts",
    ):
        assert words in page
    assert page.count("1.23 \u00d7 10\u207b\u2075") == 3 and HOSTILE not in page


def test_names_are_never_markup(measured: Measured) -> None:
    page = render_checkpoints(measured)
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)" in page


def test_nothing_is_fetched(measured: Measured) -> None:
    page = render_checkpoints(measured)
    assert "default-src &#39;none&#39;" in page
    assert '<link rel="stylesheet"' not in page and "<script src" not in page


def test_the_plane_shows_every_checkpoint_and_the_line(measured: Measured) -> None:
    (chart,) = plane_charts(measured)
    assert len(chart.data) == 2
    (chart,) = plane_charts(with_line(measured))
    assert chart.data[0]["x"] == pytest.approx([0.5, 0.7, 0.9])
    assert [key.stroke for key in chart.keys][-1] == "dotted"
