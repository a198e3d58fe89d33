"""The page in a real browser: nothing fails, nothing is fetched, everything is drawn, on a laptop and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from interlace.report import write_report
from tests.report.examples import facts_summary, hostile_run, record_of

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
IN_MEMORY = ("data:", "blob:")
LAPTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@dataclass
class Visit:
    """A page as one visitor met it."""

    page: Any
    address: str
    troubles: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def refuse(self, dialog: Any) -> None:
        self.troubles.append(dialog.message)
        dialog.dismiss()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="opening the report needs playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"opening the report needs a browser at {CHROMIUM}; install Debian's chromium")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    seeds = [(record_of(summary), summary) for summary in map(facts_summary, range(3))]
    runs = {"run": seeds[:1], "seeds": seeds, "hostile": [hostile_run()]}
    return {name: write_report(of, folder / f"{name}.html") for name, of in runs.items()}


@pytest.fixture(scope="module")
def run_on_laptop(browser: Any, pages: dict[str, Path]) -> Visit:
    return visit(browser, pages["run"], viewport=LAPTOP, color_scheme="light")


def visit(browser: Any, path: Path, **context: Any) -> Visit:
    page = browser.new_context(**context).new_page()
    seen = Visit(page, path.as_uri())
    page.on("console", lambda message: seen.troubles.append(message.text))
    page.on("pageerror", lambda error: seen.troubles.append(str(error)))
    page.on("dialog", seen.refuse)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.goto(seen.address)
    wait_until_drawn(page)
    return seen


def wait_until_drawn(page: Any) -> None:
    page.wait_for_selector("figure.chart[data-drawn]:visible")
    page.wait_for_selector("figure.chart:not([data-drawn]):visible", state="detached")


def assert_untroubled(seen: Visit) -> None:
    assert seen.troubles == []
    assert [url for url in seen.requests if url != seen.address and not url.startswith(IN_MEMORY)] == []
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def test_it_opens_without_trouble_on_a_laptop(run_on_laptop: Visit) -> None:
    assert_untroubled(run_on_laptop)


@pytest.mark.parametrize("name", ["run", "hostile"])
def test_it_opens_without_trouble_on_a_phone(browser: Any, pages: dict[str, Path], name: str) -> None:
    seen = visit(browser, pages[name], viewport=PHONE)
    assert_untroubled(seen)
    seen.page.context.close()


def test_a_folded_run_is_drawn_when_its_link_is_followed(browser: Any, pages: dict[str, Path]) -> None:
    seen = visit(browser, pages["seeds"], viewport=LAPTOP)
    seen.page.click("nav a[href='#run1']")
    seen.page.wait_for_selector("#run1 figure.chart[data-drawn]")
    wait_until_drawn(seen.page)
    assert_untroubled(seen)
    seen.page.context.close()


def test_figures_follow_the_readers_theme(run_on_laptop: Visit) -> None:
    page = run_on_laptop.page
    for scheme, paper in (("dark", "rgb(21, 23, 26)"), ("light", "rgb(253, 252, 250)")):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_selector(f"svg.main-svg[style*='{paper}']")
    assert_untroubled(run_on_laptop)


def test_figures_are_redrawn_for_the_sheet_they_are_printed_on(run_on_laptop: Visit) -> None:
    page = run_on_laptop.page
    width = "Number(document.querySelector('svg.main-svg').getAttribute('width'))"
    on_screen = page.evaluate(width)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(width) <= 660 < on_screen
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(width) == on_screen
    assert_untroubled(run_on_laptop)


def test_a_figure_can_be_saved_under_the_policy(run_on_laptop: Visit) -> None:
    picture = "Plotly.toImage(document.querySelector('.canvas'), {format: 'png', width: 400, height: 300})"
    assert run_on_laptop.page.evaluate(picture).startswith("data:image/png;base64,")
    assert_untroubled(run_on_laptop)
