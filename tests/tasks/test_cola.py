"""The files task on CoLA, the data of the paper's experiment."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from interlace.tasks import build_task

DATA = Path(os.environ.get("INTERLACE_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "cola"

pytestmark = pytest.mark.skipif(
    not (DATA / "in_domain_train.tsv").is_file(),
    reason=f"CoLA's public in-domain split is not in {DATA}; set INTERLACE_DATA to the folder that holds cola/",
)


@pytest.fixture(scope="module")
def cola():
    config = {
        "kind": "files",
        "path": str(DATA / "in_domain_train.tsv"),
        "heldout_path": str(DATA / "in_domain_dev.tsv"),
        "header": False,
        "columns": ["source", "label", "mark", "sentence"],
        "prompt_template": "Sentence: {sentence}\nAcceptable:",
        "completion": "label",
        "labels": {0: " no", 1: " yes"},
        "expert_error": 0.2,
        "exclude": {"duplicates": True},
    }
    return build_task("cola", config, seed=0)


def test_no_sentence_is_in_both_splits(cola):
    train = {line.split("\t")[3] for line in (DATA / "in_domain_train.tsv").read_text("utf-8").splitlines()}
    dev = {line.split("\t")[3] for line in (DATA / "in_domain_dev.tsv").read_text("utf-8").splitlines()}
    assert len(cola.heldout) == len(dev) and len(cola.train) == len(train - dev)
    assert cola.exclusions["prompt is held out"] >= len(train & dev) > 0


def test_the_expert_is_known(cola):
    assert cola.expert_reward == pytest.approx(0.8)
    assert cola.expert_entropy == pytest.approx(-0.8 * math.log(0.8) - 0.2 * math.log(0.2))
    wrong = sum(response.reward == 0.0 for e in cola.train for response in e.responses) / len(cola.train)
    assert abs(wrong - 0.2) < 5 * math.sqrt(0.2 * 0.8 / len(cola.train))


def test_the_majority_is_right_as_often_as_counted_by_hand(cola):
    majority = sum(example.columns["label_word"] == " yes" for example in cola.heldout) / len(cola.heldout)
    assert 0.65 < majority < 0.7
