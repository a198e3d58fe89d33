"""What a recipe's data refuse is said with the recipe's line, and what may not be meant is said once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import interlace
from interlace.dry_run import plan_recipe
from interlace.errors import InterlaceError
from interlace.observer import Observer
from interlace.pipeline.requests import build_tasks, remarks
from interlace.recipe import Recipe, load_recipe

RECIPE = """\
tasks:
  mine:
    kind: files
    path: rows.jsonl
    reward: exact_match
stages:
  - hybrid:
      task: mine
      method: joint
      max_steps: 1
      per_device_train_batch_size: 16
model_options: {hidden_size: 16, num_hidden_layers: 1}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads RECIPE in a folder with rows of the given columns, completed to 40."""
    monkeypatch.chdir(tmp_path)

    def load(row: Any, *overrides: str) -> Recipe:
        rows = [{"prompt": f"{n}=", **row(n)} for n in range(40)]
        Path("rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
        Path("mine.yaml").write_text(RECIPE)
        return load_recipe("mine.yaml", overrides)

    return load


def answered(n: int) -> dict[str, str]:
    return {"answer": str(n), "completion": "" if n < 10 else str(n)}


@pytest.mark.parametrize(
    ("row", "override", "message"),
    [
        (
            lambda n: {"answer": str(n)},
            (),
            "mine.yaml:2: a column of rows.jsonl must be one of answer, prompt. Got 'completion'. Name it by the "
            "option completion: in a recipe completion: COLUMN, else --task rows.jsonl:completion=COLUMN. It holds the "
            "expert's responses, which sft and hybrid stages imitate. Without any, completion: null and a "
            "reward leave RL alone.",
        ),
        (
            lambda n: {"completion": str(n)},
            (),
            "mine.yaml:5: reward 'exact_match' must be given every column that it asks for: 'answer'. Got none beside "
            "prompt and completion. Add it to the rows.",
        ),
        (
            lambda n: {},
            ("tasks.mine.completion=null", "tasks.mine.reward={kind: exact_match, strip: false}"),
            "--set tasks.mine.reward: reward 'exact_match' must be given every column that it asks for: 'answer'. Got "
            "none beside prompt and completion. Add it to the rows.",
        ),
        (
            answered,
            ("tasks.mine.heldout_path=no.jsonl",),
            "--set tasks.mine.heldout_path: data file no.jsonl must exist. Got none in {here}: a relative path is "
            "taken from the current folder. Correct the path.",
        ),
        (
            answered,
            ("tasks.mine.exclude={where: {sorce: 1}}",),
            "--set tasks.mine.exclude: a column of rows.jsonl must be one of answer, completion, prompt. Got 'sorce'. "
            "Correct the option exclude.where.",
        ),
    ],
)
def test_what_a_tasks_data_refuse_is_said_with_its_line(
    recipe: Any, tmp_path: Path, row: Any, override: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InterlaceError) as caught:
        build_tasks(recipe(row, *override), 0)
    assert (str(caught.value), caught.value.exit_code) == (message.format(here=tmp_path), 3)


def test_a_missing_file_is_said_with_the_line_of_its_path(recipe: Any, tmp_path: Path) -> None:
    asked = recipe(answered)
    Path("rows.jsonl").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        build_tasks(asked, 0)
    assert str(caught.value).startswith("mine.yaml:4: data file rows.jsonl must exist. Got none in ")


class Notes(Observer):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, sentence: str) -> None:
        self.said.append(sentence)


def test_empty_responses_are_counted_and_said_once(recipe: Any) -> None:
    asked, notes = recipe(answered, "seeds=[0, 1]"), Notes()
    said = (
        "task mine: the expert's response to 10 of 40 prompts is empty, which teaches a policy to say nothing; if it "
        "is not meant, leave such rows out (in a task of files by exclude: {empty: true})"
    )
    assert remarks(build_tasks(asked, 0)) == [said]
    assert plan_recipe(asked, Path("planned")).notes[-1] == said
    interlace.run(asked, "runs", observer=notes)
    assert notes.said.count(said) == 1
    left_out = recipe(answered, "tasks.mine.exclude={empty: true}")
    assert remarks(build_tasks(left_out, 0)) == []
