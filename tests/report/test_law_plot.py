"""The page of a law: one file, whole or not at all, drawn without trouble in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlace.encoding import dumps
from interlace.errors import MissingFileError, RecipeError
from interlace.report.laws import check_plot, render_law, write_law_plot
from interlace.report.laws.chart import law_chart
from interlace.theory.laws import LAWS
from interlace.theory.laws.curves import PICTURES, Curve, Mark, Panel, Picture, Spot
from interlace.theory.laws.reading import Reading, read_law
from tests.report.test_browser import ARGUMENTS, CHROMIUM, LAPTOP, PHONE, assert_untroubled, visit
from tests.report.test_page import Elements
from tests.theory.readings import SMALL, binary, read

DRAWN_IN_BROWSER = ("A6", "A11", "B5", "B7", "D6", "D10", "D12", "D13")


def reading_of(label: str, **more: Any) -> Reading:
    found: Reading = read(label, **more)
    return found


def picture() -> Picture:
    """Two panels, every kind of thing, a gap, and a name that tries to be markup."""
    loss = Panel(
        "SFT loss, nats/response",
        (Curve("<b>one</b>", [0.0, 1.0, 2.0], [0.5, float("nan"), 1.0], "sft_loss"),
         Curve("two", [0.0, 2.0], [0.0, 2.0], "bound", dashed=True)),
        (Spot("a\nb", 1.0, 1.5, "tradeoff"),),
        (Mark("level", 0.25), Mark("nothing", 0.0)),
    )  # fmt: skip
    reward = Panel("reward", (Curve("reward", [0.0, 2.0], [1.0, 2.0], "reward"),))
    return Picture("Title", "time", (loss, reward), (Mark("early", 0.2), Mark("late", 1.9)), ("a note",))


# The figure


def test_every_curve_and_spot_is_a_trace_of_its_panel() -> None:
    chart = law_chart("law", picture())
    assert [(trace["mode"], trace["yaxis"]) for trace in chart.data] == [
        ("lines", "y"), ("lines", "y"), ("markers+text", "y"), ("lines", "y2")]  # fmt: skip
    assert chart.data[0]["y"] == [0.5, None, 1.0], "a gap where there is no number"
    assert chart.data[1]["line"]["dash"] == "dash"
    assert [key.text for key in chart.keys] == ["<b>one</b>", "two", "reward"]
    assert chart.notes == ("a note",)


def test_names_are_shown_letter_by_letter() -> None:
    chart = law_chart("law", picture())
    assert chart.data[0]["hovertext"][0].startswith("<b>&lt;b&gt;one&lt;/b&gt;</b><br>time: 0")
    assert chart.data[2]["text"] == ["a<br>b"]


def test_marks_and_levels_are_named() -> None:
    texts = [note["text"] for note in law_chart("law", picture()).layout["annotations"]]
    assert texts[:2] == ["<b>SFT loss, nats/response</b>", "<b>reward</b>"]
    assert set(texts[2:]) == {"early: 0.2", "late: 1.9", "level: 0.25", "nothing"}


def test_panels_share_the_height_without_overlap() -> None:
    layout = law_chart("law", picture()).layout
    upper, lower = layout["yaxis"]["domain"], layout["yaxis2"]["domain"]
    assert 0.0 <= lower[0] < lower[1] < upper[0] < upper[1] == 1.0
    assert layout["xaxis"]["anchor"] == "y2" and layout["xaxis"]["range"] == [0.0, 2.0]


@pytest.mark.parametrize("label", PICTURES)
def test_every_picture_makes_a_figure_in_json(label: str) -> None:
    found = reading_of(label)
    chart = law_chart("law", PICTURES[label](found.inputs, found.value))
    spec = json.loads(dumps(chart.spec))
    assert spec["data"] and "nan" not in dumps(spec["data"]) and "inf" not in dumps(spec["layout"])
    assert chart.description


# The page


def test_the_page_says_everything_about_the_law() -> None:
    found = reading_of("A7")
    page = Elements(render_law(found))
    for text in (found.law.name, found.law.statement, found.meaning, "the RL path at RL time 1", "to be measured"):
        assert text in page.text
    assert [attributes["id"] for _, attributes in page.elements if "id" in attributes].count("law-law") == 1


def test_conditions_are_marked() -> None:
    texts = {label: Elements(render_law(reading_of(label))).text for label in ("A1", "A2")}
    assert all(words in texts["A1"] for words in ("holds here", "to be measured"))
    assert all(words in texts["A2"] for words in ("does not hold", "to be measured"))
    assert "None: it holds for any policy." in Elements(render_law(reading_of("A9"))).text


def test_it_is_written_whole_and_again(tmp_path: Path) -> None:
    path = write_law_plot(reading_of("A5"), tmp_path / "a5.html")
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    write_law_plot(reading_of("A4"), path)
    assert "Reward parity law" in path.read_text(encoding="utf-8")
    assert [item.name for item in tmp_path.iterdir()] == ["a5.html"]


# What is refused


def test_what_cannot_be_drawn_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        check_plot(LAWS["B2"], tmp_path / "b2.html")
    assert str(caught.value) == (
        f"--plot must be asked of a law that has a figure: {', '.join(PICTURES)}. Got B2. Leave it out."
    )


def test_a_law_without_a_value_has_no_figure() -> None:
    figures = {"expert_entropy": 0.5, "reward": 0.9, "expert_reward": 0.8, "reward_range": 1.0}
    with pytest.raises(RecipeError) as caught:
        render_law(read_law(LAWS["D13"], figures))
    assert str(caught.value) == "--plot must be given what D13 needs. Got no problem. Give it too."


def test_the_file_is_checked_before_anything_is_computed(tmp_path: Path) -> None:
    law, notes = LAWS["A5"], tmp_path / "notes.html"
    notes.write_text("<p>mine</p>")
    (tmp_path / "folder.html").mkdir()
    neither = "--plot must name a new file, or an earlier plot. Got {}, which is neither. Rename it."
    away, picture, folder = tmp_path / "no" / "a5.html", tmp_path / "a5.png", tmp_path / "folder.html"
    refused: list[tuple[Path, type[Exception], str]] = [
        (picture, RecipeError, f"--plot must name an .html file. Got {picture}. Write --plot a5.html."),
        (away, MissingFileError, f"--plot must lie in a folder that is there. Got {away}. Make {away.parent} first."),
        (notes, RecipeError, neither.format(notes)),
        (folder, RecipeError, neither.format(folder)),
    ]
    for path, error, sentence in refused:
        with pytest.raises(error) as caught:
            check_plot(law, path)
        assert str(caught.value) == sentence
    assert notes.read_text() == "<p>mine</p>"


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="opening the page needs playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"opening the page needs a browser at {CHROMIUM}; install Debian's chromium")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.mark.parametrize("label", DRAWN_IN_BROWSER)
def test_it_opens_without_trouble(browser: Any, tmp_path: Path, label: str) -> None:
    path = write_law_plot(reading_of(label), tmp_path / f"{label}.html")
    seen = visit(browser, path, viewport=LAPTOP)
    assert_untroubled(seen)
    assert seen.page.locator(".scatterlayer .trace").count() >= 2
    seen.page.context.close()


@pytest.mark.parametrize("problem", [binary([0.2, 0.7], 1.0), binary([0.0, 0.5], 0.75), SMALL])
def test_special_problems_open_on_a_phone(browser: Any, tmp_path: Path, problem: Any) -> None:
    path = write_law_plot(reading_of("A5", problem=problem), tmp_path / "a5.html")
    seen = visit(browser, path, viewport=PHONE)
    assert_untroubled(seen)
    seen.page.context.close()
