"""The README is true: its Python runs, its recipe resolves, its commands exist, its tree is the tree."""

from __future__ import annotations

import functools
import re
import shlex
from pathlib import Path

import pytest
import typer.main
from ruamel.yaml import YAML

import interlace
from interlace.api import run
from interlace.cli.app import app
from interlace.recipe import load_recipe
from interlace.tasks import build_task

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def fences(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def test_there_are_fences() -> None:
    assert len(fences("python")) >= 3
    assert len(fences("yaml")) == 4  # a stage with a stop rule, hybrid stages, a recipe, a task of files


@pytest.mark.parametrize("code", [code for code in fences("python") if "interlace.run(" not in code])
def test_python_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "folder"),
    list(zip([code for code in fences("python") if "interlace.run(" in code], ["first", "products-tiny"], strict=True)),
)
def test_python_that_trains_runs(
    code: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(interlace, "run", functools.partial(run, profile="tiny"), raising=False)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert "[" in capsys.readouterr().out
    assert (tmp_path / "runs" / folder / "report.html").exists()


def test_recipe_resolves(tmp_path: Path) -> None:
    path = tmp_path / "readme.yaml"
    path.write_text(fences("yaml")[2])
    assert [stage.name for stage in load_recipe(path).stages] == ["sft", "rl", "sft-2"]


def test_hybrid_stages_resolve(tmp_path: Path) -> None:
    path = tmp_path / "hybrid.yaml"
    path.write_text(fences("yaml")[1])
    stages = load_recipe(path).stages[1:]
    methods = [stage.method and stage.method["name"] for stage in stages]
    assert methods == ["joint", "guarded", "joint", "joint", None]


def test_the_stage_with_a_stop_rule_resolves(tmp_path: Path) -> None:
    path = tmp_path / "stop.yaml"
    tasks = "tasks: {sums: {kind: addition}}\nstages:\n  - sft: {task: sums, max_steps: 10}\n"
    path.write_text(tasks + fences("yaml")[0])
    stop = load_recipe(path).stages[1].stop
    assert stop is not None and stop["rule"] == "exchange_rate"


def test_files_task_trains_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"review number {n} is fine,{n % 2}\n" for n in range(40))
    Path("reviews.csv").write_text("text,label\n" + rows)
    (config,) = YAML(typ="safe").load(fences("yaml")[3])["tasks"].values()
    task = build_task("reviews", config, seed=0)
    assert task.expert_is_known and task.expert_reward == pytest.approx(0.8)


def commands() -> list[list[str]]:
    lines = [line.removeprefix(".venv/bin/") for fence in fences("bash") for line in fence.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("interlace ")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_and_options_exist(words: list[str]) -> None:
    verb = typer.main.get_command(app).commands[words[0]]  # type: ignore[attr-defined]
    known = {option for parameter in verb.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("target", re.findall(r"\bmake (\w+)", "\n".join(fences("bash"))))
def test_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_tree_is_the_tree() -> None:
    block = README[README.index("src/interlace/\n") :].partition("```")[0]
    shown = set(re.findall(r"^  ([\w.]+)/?\s", block, flags=re.MULTILINE))
    package = ROOT / "src" / "interlace"
    there = {
        item.name for item in package.iterdir() if not item.name.startswith(("_", ".")) and item.name != "py.typed"
    }
    assert shown == there
