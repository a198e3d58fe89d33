"""The tables of finished shoot-outs, on records made up in memory: what the runs say, whatever lies beside them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from interlace.analysis.shootout.missing import NOT_BEGUN
from interlace.estimate import Unresolved
from interlace.policies import load_policy, make_embedded
from interlace.policies.scoring import response_logprobs
from interlace.probes import MeasuredTask
from interlace.recipe import load_recipe
from interlace.store import RunRecord
from interlace.tasks import build_task
from tests.analysis import test_averaging, test_budgets
from tests.analysis.test_shootout_missing import run_of, unfinished
from tests.analysis.test_shootout_rows import problem_of, start
from tests.analysis.worlds import make_record

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PACKAGES = dict.fromkeys(("interlace", "torch", "transformers", "trl"), "1.0")
Printed = Callable[..., tuple[str, str]]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def printed(
    benchmark: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Printed:
    """What a script prints of runs, and what it says beside it; RUNS are the names of `named`."""

    def of(script: str, *arguments: str, **named: Sequence[RunRecord]) -> tuple[str, str]:
        for module in map(benchmark, (script, "shootout_tables")):
            for read in ("kept_runs", "every_run"):
                monkeypatch.setattr(
                    module, read, lambda *runs: [each for run in runs for each in named[run]], raising=False
                )
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        benchmark(script).main()
        return capsys.readouterr()

    return of


def waiting(seed: int) -> RunRecord:
    """A run that has only imitated so far."""
    return told(make_record(problem_of(seed), start(problem_of(seed)), seed=seed))


def told(record: RunRecord, recipe: str = "made-up") -> RunRecord:
    stages = [{stage.kind: {"name": stage.name, **stage.options}} for stage in record.stages]
    return replace(record, recipe=recipe, manifest={"packages": PACKAGES}, resolved={"stages": stages})


def budgeted(*seeds: int) -> list[RunRecord]:
    return [told(test_budgets.world(seed)) for seed in seeds]


def averaged(*seeds: int) -> list[RunRecord]:
    return [told(test_averaging.world(seed, "clean")) for seed in seeds]


@pytest.mark.parametrize(
    ("script", "records", "arguments"),
    [
        ("distance", budgeted, ("--rewards", "0.6", "0.65", "--bound", "runs")),
        ("budgets", budgeted, ("--against", "rl")),
        ("averaging", averaged, ()),
    ],
)
def test_a_run_that_has_not_begun_to_mix_changes_no_table(
    printed: Printed, script: str, records: Callable[..., list[RunRecord]], arguments: tuple[str, ...]
) -> None:
    runs = records(0, 1)
    alone, nothing = printed(script, "runs", *arguments, runs=runs)
    beside, said = printed(script, "runs", *arguments, runs=[*runs, waiting(2)])
    assert beside == alone and not nothing and said == f"seed 2 is left out: {NOT_BEGUN}.\n"
    assert alone.count("\n") > 4


def test_nor_does_it_change_the_page_but_for_its_sentence(printed: Printed) -> None:
    """And the command is that of the runs in the tables."""
    asked = ("runs", "--bound", "runs", "--averaging", "means")
    runs, means = budgeted(0, 1), averaged(0, 1)
    alone, _ = printed("mixing_page", *asked, runs=runs, means=means)
    beside, _ = printed("mixing_page", *asked, runs=[*runs, waiting(2)], means=[*means, waiting(2)])
    known = {line.strip() for line in alone.splitlines()}
    more = [line.strip() for line in beside.splitlines() if line.strip() not in known]
    assert more == [f"- seed 2 is left out: {NOT_BEGUN}."] * 2
    assert "`interlace run made-up.yaml --seeds 0,1` (interlace 1.0, torch 1.0, transformers 1.0, trl 1.0)." in beside
    for name in ("SFT loss over the front, sums", "Averaged weights, made-up, sums"):
        assert alone.count(f"### {name}\n") == 1


def test_a_seed_that_the_recipe_rules_out_is_named_and_changes_no_table(printed: Printed) -> None:
    runs, (third,) = budgeted(0, 1), budgeted(2)
    rule = {"stage": third.stages[0].name, "reward_below": 9.0}
    ruled_out = replace(third, resolved={**third.resolved, "exclude_seeds": rule})
    alone, _ = printed("mixing_page", "runs", runs=runs)
    beside, _ = printed("mixing_page", "runs", runs=[*runs, ruled_out])
    known = set(alone.splitlines())
    command, more = [line for line in beside.splitlines() if line not in known]
    assert command.startswith("`interlace run made-up.yaml --seeds 0,1,2` (")
    assert more.startswith("Left out by the recipe's own rule, written down before it ran: seed 2, as ")
    assert more.endswith("below 9.")


def test_a_page_names_the_commands_that_make_it_and_its_runs(printed: Printed) -> None:
    """The profile and the files of tasks too."""
    runs = [replace(run, recipe="made-up-third-rate", resolved={**run.resolved, "tasks": {"sums": {"path": "a/b.tsv"}}})
            for run in budgeted(0, 1)]  # fmt: skip
    page, _ = printed("mixing_page", "runs", "--averaging", "means", "--title", "T", runs=runs, means=averaged(0))
    assert page.startswith("# T\n\nMade from the runs alone by `python benchmarks/mixing_page.py "
                           "runs/made-up-third-rate --averaging runs/made-up`. ")  # fmt: skip
    assert "`interlace run made-up.yaml --profile third-rate --set tasks.sums.path=b.tsv --seeds 0,1`" in page


def test_a_part_of_a_shipped_recipe_is_named_by_its_stages(benchmark: Callable[[str], ModuleType]) -> None:
    (run,) = budgeted(0)
    stages = [{"sft": {"name": "sft"}}, {"rl": {"name": "rl"}}]
    page: Any = benchmark("mixing_page")
    part = replace(run, recipe="quickstart", resolved={"stages": stages})
    assert page.command_of([part]) == "interlace run quickstart --only sft,rl --seeds 0"
    whole = [{"sft": {"name": stage.name}} for stage in load_recipe("quickstart").stages]
    assert page.command_of([replace(part, resolved={"stages": whole})]) == "interlace run quickstart --seeds 0"


def test_a_recipe_without_a_shoot_out_says_why_and_the_others_stand(printed: Printed) -> None:
    other = told(unfinished(run_of(0, "a", "b"), "a", "b"), "undone")
    few = replace(told(run_of(0, "a", "b"), "unmeasured"))
    few = replace(few, stages=tuple(replace(stage, measurements=()) for stage in few.stages))
    page, _ = printed("mixing_page", "runs", runs=[*budgeted(0, 1), other, few])
    alone, _ = printed("mixing_page", "runs", runs=budgeted(0, 1))
    assert alone[alone.index("## made-up") :].strip() in page
    assert "## undone\n\nundone has no shoot-out: a shoot-out must have two finished stages or more" in page
    assert "## unmeasured\n\nunmeasured has no shoot-out: a: reward or SFT loss was not measured all along it" in page


def test_why_a_figure_is_not_told_stands_once_below_its_table(printed: Printed) -> None:
    page, _ = printed("budgets", "runs", "--against", "rl", runs=budgeted(0))
    reasons = [line.strip() for line in page.splitlines() if "run more seeds" in line]
    assert page.count("not told (1)") == page.count("not told (2)") == 2
    assert reasons == [
        "1. one run alone has no interval over runs: run more seeds",
        "2. one run has no others to choose a rival on: run more seeds",
    ]


def test_what_cells_mean_stands_once_with_each_table(printed: Printed) -> None:
    page, _ = printed("mixing_page", "runs", "--bound", "runs", runs=budgeted(0, 1))
    alone, _ = printed("distance", "runs", "--rewards", "0.6", "0.65", runs=budgeted(0, 1))
    kept, _ = printed("budgets", "runs", "--against", "rl", runs=budgeted(0, 1))
    over_front = "A cell: SFT loss over the least that any policy can have at that reward (D9)"
    assert page.count(f"{over_front}; after the slash over a bound") == 1
    assert alone.count(f"{over_front}; nats/response") == 1  # without a bound there is no slash
    assert " ".join(kept.split()).count("Looks, of all runs after the start, on the prompts that did not steer,") == 1


def test_each_reason_has_its_number(benchmark: Callable[[str], ModuleType]) -> None:
    tables: Any = benchmark("shootout_tables")
    notes, table = tables.Notes(), tables.Table("x")
    cells = [tables.cell(Unresolved(reason), notes) for reason in ("few", "none", "few")]
    assert cells == ["not told (1)", "not told (2)", "not told (1)"]
    assert str(tables.with_reasons(table, notes, "A remark.").caption) == "A remark.\n1. few\n2. none"


def test_between_two_policies_the_geometric_mixture_is_below_the_chord_by_its_normaliser(
    benchmark: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    """By (1 - a) times Renyi's divergence of order a; what is listed adds up to the policy."""
    straight: Any = benchmark("straight_line")
    task = build_task("sums", {"kind": "addition", "digits": 1, "heldout": 5, "expert_error": 0.4}, seed=0)
    start, end = (load_policy(str(make_embedded(tmp_path / str(seed), task.alphabet, seed))) for seed in (0, 1))
    listed = straight.Listed(task.heldout, start)
    first, last = (np.log(np.exp(law) / np.exp(law).sum(1, keepdims=True)) for law in map(listed.laws, (start, end)))
    for place in (0.25, 0.6):
        mixture = straight.geometric(first, last, place)
        chord = (1 - place) * listed.loss(first) + place * listed.loss(last)
        renyi = np.log(np.sum(np.exp(last) ** place * np.exp(first) ** (1 - place), axis=1)) / (place - 1)
        assert chord - listed.loss(mixture) == pytest.approx((1 - place) * renyi.mean(), abs=1e-9)
        assert np.exp(mixture).sum(axis=1) == pytest.approx(1.0)
    target = MeasuredTask.prepare(task, start)
    scored = np.array([each.sum() for each in response_logprobs(start, target.responses)])[target.expert]
    assert listed.loss(listed.laws(start)) == pytest.approx(-target.heldout.probability @ scored / 5, abs=1e-6)


@pytest.mark.parametrize("script", ["mixing_page", "budgets", "distance", "averaging", "straight_line"])
def test_a_users_mistake_is_one_sentence_and_exit_status_2(
    benchmark: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    script: str,
) -> None:
    monkeypatch.setattr(sys, "argv", [script, str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        benchmark(script).main()
    assert ended.value.code == 2
    assert capsys.readouterr() == (
        "",
        "Error: RUN must be a run folder (`interlace run` makes them) or a folder of run folders. "
        f"Got {tmp_path}. Check it.\n",
    )


@pytest.mark.parametrize(
    ("script", "arguments", "sentence"),
    [
        ("budgets", ("--against", "non"), "Error: RUNS must have non, which the others are held against. They have "),
        ("averaging", (), "Error: RUNS must have a referee of noise. Got none: "),
        ("straight_line", ("--arm", "non"), "Error: --arm must be one of "),
    ],
)
def test_what_runs_do_not_have_is_a_mistake_too(
    printed: Printed, capsys: pytest.CaptureFixture[str], script: str, arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        printed(script, "runs", *arguments, runs=budgeted(0))
    said = capsys.readouterr()
    assert ended.value.code == 2 and not said.out
    assert said.err.startswith(sentence) and said.err.count("\n") == 1
