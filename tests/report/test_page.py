"""The page is one file: complete, escaped, and under a policy that lets nothing else run."""

from __future__ import annotations

import ast
import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import interlace.report
from interlace.analysis.shootout import NoShootout
from interlace.analysis.summary import RunSummary, Stages
from interlace.estimate import Unresolved
from interlace.report import render, write_report
from interlace.report.coupling import arms_table
from interlace.report.page import script_json
from interlace.report.tables import parts_table, points_table
from interlace.store import RunRecord
from tests.report.examples import ATTACK, controls_summary, facts_summary, record_of
from tests.report.test_shootout import found_by

Run = tuple[RunRecord, RunSummary]


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            self.scripts[-1] += data
        elif self._open != "style":
            self.text += data


@pytest.fixture(scope="module")
def page() -> Elements:
    summary = facts_summary()
    return Elements(render([(record_of(summary), summary)]))


def test_it_is_written_whole_or_not_at_all(run: Run, tmp_path: Path) -> None:
    path = write_report([run], tmp_path / "deep" / "report.html")
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [item.name for item in path.parent.iterdir()] == ["report.html"]


def test_nothing_is_fetched_from_elsewhere(page: Elements) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)


def test_the_policy_allows_exactly_the_scripts_of_the_page(page: Elements) -> None:
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; ")
    assert "unsafe-eval" not in policy and "http" not in policy
    types = [attributes.get("type") for tag, attributes in page.elements if tag == "script"]
    run = [text for text, kind in zip(page.scripts, types, strict=True) if kind is None]
    hashes = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run}
    assert set(re.findall(r"'sha256-([^']+)'", policy)) == hashes
    assert len(run) == 2, "plotly once, the page's own script once"


def test_no_element_handles_events_in_its_attributes(page: Elements) -> None:
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_identifiers_are_unique_and_links_lead_somewhere(page: Elements) -> None:
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    targets = [a["href"] for _, a in page.elements if (a.get("href") or "").startswith("#")]
    assert {str(target)[1:] for target in targets} <= set(names)


def test_every_section_is_there(page: Elements) -> None:
    for heading in (
        "What to do next",
        "Both objectives, through every stage",
        "The price of reward, in SFT loss",
        "Where the change came from",
        "Every stage, in figures",
        "What the laws said, and what was measured",
        "Self-checks",
        "What the policy wrote",
        "Compute spent",
        "Recipe, resolved",
        "How to read the intervals",
    ):
        assert heading in page.text


def test_figures_stand_with_interval_and_unit(page: Elements) -> None:
    assert "+0.32" in page.text and "[+0.28, +0.36]" in page.text
    assert "nats/response" in page.text
    assert "OUTSIDE ITS CONDITIONS" in page.text
    assert "Reward parity law" in page.text


def test_what_is_not_resolved_is_a_dash_with_its_reason_in_sight(page: Elements) -> None:
    assert "not resolved: SFT does not aim at reward" in page.text


def test_every_text_from_outside_is_shown_and_none_is_run(hostile: Run) -> None:
    elements = Elements(render([hostile]))
    assert ATTACK in elements.text
    assert "{{ 7 * 7 }}" in elements.text
    assert "img" not in {tag for tag, _ in elements.elements}
    assert not [name for _, attributes in elements.elements for name in attributes if name.startswith("on")]
    types = [attributes.get("type") for tag, attributes in elements.elements if tag == "script"]
    assert types.count(None) == 2


def test_json_between_script_tags_cannot_close_them() -> None:
    text = script_json({"name": ATTACK + "\u2028", "value": float("nan")})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"name": ATTACK + "\u2028", "value": "nan"}


def test_several_seeds_come_together_first_then_one_by_one() -> None:
    runs = [(record_of(summary), summary) for summary in map(facts_summary, range(3))]
    elements = Elements(render(runs))
    assert "All seeds together" in elements.text
    assert "Scope: this recipe." in elements.text
    assert sum(attributes.get("class") == "run" for _, attributes in elements.elements) == 3


def test_seeds_stand_beside_the_seeds_of_their_controls() -> None:
    summaries = [make(seed) for make in (facts_summary, controls_summary) for seed in (1, 2)]
    summaries.append(dataclasses.replace(facts_summary(), recipe="another"))
    text = Elements(render([(record_of(summary), summary) for summary in summaries])).text
    assert "quickstart (2 seeds) beside quickstart-controls (2 seeds)" in text
    for recipe in ("quickstart", "quickstart-controls"):
        assert f"{recipe}, 2 seeds, before and after each stage" in text
        assert f"{recipe}, 2 seeds, parts of the change" in text
    assert "Not averaged" in text and ": another, seed 0." in text
    assert "placebo (control)" in text and "A control: SFT again, from sft." in text


def test_arms_stand_in_one_table_and_seeds_left_out_are_said() -> None:
    summaries = [facts_summary(seed) for seed in range(3)]
    weak = dataclasses.replace(facts_summary(3), excluded="sft ended with reward 0.12, below 0.2")
    text = Elements(render([(record_of(summary), summary) for summary in [*summaries, weak]])).text
    assert "quickstart, 3 seeds, 1 left out by the recipe\u2019s rule: what each arm did (nats/response)" in text
    assert "quickstart, seed 3 (sft ended with reward 0.12, below 0.2)" in text and "Not averaged" not in text


def test_an_arm_says_where_it_began(summary: RunSummary) -> None:
    stages = Stages(tuple(dataclasses.replace(stage, started_from="base", control=None) for stage in summary.stages))
    table = arms_table([dataclasses.replace(summary, seed=seed, stages=stages) for seed in (1, 2)])
    assert [row[0].interval for row in table.rows if row[0].text] == ["from base"] * len(stages)
    rl = next(row for row in table.rows if row[0].text == "rl")
    assert rl[5].text == "+0.32" and {cell.text for cell in rl[6:8]} == {"\u2013"}, "no prompts were kept of these"


def test_where_too_few_seeds_are_left_nothing_is_averaged() -> None:
    weak = [dataclasses.replace(facts_summary(seed), excluded="sft ended low") for seed in (1, 2)]
    text = Elements(render([(record_of(run), run) for run in [facts_summary(), *weak]])).text
    assert "Nothing is averaged: too few seeds are left." in text and "not different seeds of one recipe" not in text


def test_a_figure_that_some_seeds_lack_says_so(summary: RunSummary) -> None:
    rl = summary.stages["rl"]
    lacking = dataclasses.replace(rl.split["raw"], tilt=Unresolved("log Z has ESS 1.8"))
    stages = Stages((dataclasses.replace(rl, split={"raw": lacking}),))
    group = [dataclasses.replace(summary, seed=seed, stages=Stages((rl,))) for seed in (1, 2)]
    table = parts_table([dataclasses.replace(summary, stages=stages), *group])
    assert table.notes == ("1 of 3 seeds have no figure: log Z has ESS 1.8",)


def test_predictions_are_no_measured_points(summary: RunSummary) -> None:
    weights = {row[2].text for row in points_table(summary).rows}
    assert weights == {"raw", "averaged", "straight line"}


def test_runs_of_different_recipes_are_not_averaged(summary: RunSummary) -> None:
    other = dataclasses.replace(summary, recipe="another")
    text = Elements(render([(record_of(summary), summary), (record_of(other), other)])).text
    assert "not different seeds of one recipe" in text
    assert "2 runs, side by side" in text


def test_a_shootout_of_runs_that_are_not_averaged_is_shown_and_one_that_cannot_be_says_why(summary: RunSummary) -> None:
    other = dataclasses.replace(summary, recipe="another")
    refused = NoShootout("another", "a shoot-out must have every seed once.")
    page = render([(record_of(summary), summary), (record_of(other), other)], [found_by("flops")], [refused])
    text = Elements(page).text
    assert "Shoot-out on sums, from sft, at equal FLOPs" in text
    assert "another has no shoot-out: a shoot-out must have every seed once." in text


def test_a_run_that_has_only_begun_still_has_a_page(summary: RunSummary) -> None:
    begun = dataclasses.replace(summary, stages=Stages(()), advice=())
    assert "what each stage changed" in Elements(render([(record_of(begun), begun)])).text


def test_a_stage_that_did_not_finish_is_said(run: Run) -> None:
    record, summary = run
    stages = tuple(dataclasses.replace(stage, finished=False, steps_done=40, ledger={}) for stage in record.stages)
    text = Elements(render([(dataclasses.replace(record, stages=stages), summary)])).text
    assert "did not finish: 40 of 100 steps" in text


def test_a_disagreement_with_the_trainer_is_said(run: Run) -> None:
    record, summary = run
    differs = {"ours": 0.5, "trainers": 0.7, "difference": -0.2, "tolerance": 1e-3, "agrees": False, "eos": "missing"}
    stages = tuple(dataclasses.replace(stage, reconciliation=differs) for stage in record.stages)
    text = Elements(render([(dataclasses.replace(record, stages=stages), summary)])).text
    assert "DISAGREES with the trainer" in text
    assert "eos: missing" in text


def test_the_recipe_is_printed_as_it_was_resolved(page: Elements) -> None:
    assert "expert_error: 0.5" in page.text
    assert "versions.trl" in page.text and "sha256:9f2c" in page.text


def test_the_report_computes_nothing() -> None:
    folder = Path(interlace.report.__file__).parent
    for path in folder.rglob("*.py"):
        modules = {
            name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for name in ([node.module] if isinstance(node, ast.ImportFrom) else getattr(node, "names", []))
        }
        assert not {str(name) for name in modules if name} & {"numpy", "scipy", "interlace.statistics"}, path
