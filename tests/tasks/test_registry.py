"""The registry of tasks, and how a recipe names one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from interlace.errors import RecipeError
from interlace.tasks import TASKS, build_task, task_options
from interlace.tasks.exclusion import Exclude
from interlace.tasks.files import FilesOptions


@pytest.mark.parametrize("kind", TASKS.values(), ids=TASKS)
def test_every_kind_and_every_option_documents_itself(kind):
    assert TASKS[kind.name] is kind and kind.sentence.endswith(".") and kind.source and kind.cost
    assert all(field.description for field in kind.options.model_fields.values())


def test_rules_of_exclusion_document_themselves():
    assert all(field.description for field in Exclude.model_fields.values())


@pytest.mark.parametrize("path", ["rows.jsonl", "data/rows.TSV", "/data/rows", "./rows"])
def test_a_path_stands_for_a_files_task(path):
    assert task_options("mine", path) == (TASKS["files"], FilesOptions(path=path))


def test_validating_reads_no_file():
    kind, options = task_options("mine", {"kind": "files", "path": "not/there.csv", "heldout": 3})
    assert kind is TASKS["files"] and options.heldout == 3


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            "additon",
            "the kind of task 'mine' must be one of addition, cards, countdown, files, given. Got 'additon'. "
            "Did you mean 'addition'?",
        ),
        (
            {"kind": "file"},
            "the kind of task 'mine' must be one of addition, cards, countdown, files, given. Got 'file'. "
            "Did you mean 'files'?",
        ),
        (
            {"digits": 2},
            "task 'mine' must have a kind. Got {'digits': 2}. Add kind: addition | cards | countdown | files | given.",
        ),
    ],
)
def test_a_mistaken_kind_is_answered_with_one_sentence(config, message):
    with pytest.raises(RecipeError) as caught:
        task_options("mine", config)
    assert str(caught.value) == message


def test_a_given_task_cannot_be_built_from_a_recipe():
    with pytest.raises(RecipeError) as caught:
        build_task("mine", "given", seed=0)
    assert str(caught.value) == (
        "task 'mine' must be handed over in Python. Got none. "
        "Say interlace.run(recipe, tasks={'mine': task}) with an interlace.Task."
    )


def test_tasks_and_rewards_need_no_torch():
    code = "import sys, interlace.tasks, interlace.rewards; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
