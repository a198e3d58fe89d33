"""Figures of checkpoints against direct computations, and what is made of them: differences, choice, JSON, CSV."""

from __future__ import annotations

import csv
import io
import json
import socket
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from peft import PeftModel
from scipy import stats
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

import interlace
from interlace.checkpoints import Measured
from interlace.checkpoints.differences import num_comparisons
from interlace.encoding import dumps
from interlace.errors import RecipeError
from interlace.estimate import Estimate, Unresolved, figure_from_json
from interlace.policies import make_embedded
from interlace.statistics import detectable_change, mcnemar, paired_difference
from interlace.statistics.multiplicity import holm
from interlace.tasks import Task
from tests.checkpoints.conftest import SIZES

KL = "kl_policy_first_nats_per_response"


@pytest.fixture(scope="module")
def measured(models: Path, task: Task) -> Measured:
    return interlace.measure([models / "a", models / "b", models / "c"], task)


def value(figure: object) -> float:
    assert isinstance(figure, Estimate)
    return figure.value


def direct_logprobs(model: PreTrainedModel, tokenizer: Any, task: Task) -> np.ndarray:
    """log p of every expert response and its end: one sequence, one forward, float64 from the logits on."""
    found = []
    for example in task.heldout:
        for response in example.responses:
            prompt = tokenizer(example.prompt)["input_ids"]
            ids = [*prompt, *tokenizer(response.text)["input_ids"], tokenizer.eos_token_id]
            with torch.no_grad():
                logprobs = model.eval()(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
            found.append(sum(float(logprobs[at - 1, ids[at]]) for at in range(len(prompt), len(ids))))
    return np.array(found)


def relative_difference(found: np.ndarray | None, expected: np.ndarray) -> float:
    assert found is not None
    return float(np.abs(found / expected - 1.0).max())


def test_log_likelihoods_are_those_of_transformers(measured: Measured, models: Path, task: Task) -> None:
    for name in "abc":
        model = AutoModelForCausalLM.from_pretrained(models / name, dtype=torch.float32)
        expected = direct_logprobs(model, AutoTokenizer.from_pretrained(models / name), task)
        found = measured.snapshots[name, "sums"].scores.expert_logprobs
        assert relative_difference(found, expected) < 1e-5


def test_an_adapter_is_measured_on_its_base(adapters: Path, models: Path, task: Task) -> None:
    measured = interlace.measure([models / "a", adapters / "first"], task)
    base = AutoModelForCausalLM.from_pretrained(models / "a", dtype=torch.float32)
    model = PeftModel.from_pretrained(base, adapters / "first")
    expected = direct_logprobs(model, AutoTokenizer.from_pretrained(models / "a"), task)
    assert relative_difference(measured.snapshots["first", "sums"].scores.expert_logprobs, expected) < 1e-5
    assert value(measured.figure("first", KL)) > 0.0


def test_cells_are_every_objective_of_every_checkpoint(measured: Measured) -> None:
    objectives = ["sft_loss", "sft_loss_per_token", "sft_loss_right", "sft_loss_wrong", "reward", "reward_lenient", KL]
    assert [(cell.checkpoint, cell.objective) for cell in measured.cells] == [(n, o) for n in "abc" for o in objectives]
    assert (value(measured.figure("a", KL)), value(measured.figure("c", KL)) > value(measured.figure("b", KL))) == (
        0.0,
        True,
    )
    with pytest.raises(KeyError, match="cell must be one of"):
        measured.figure("d", "reward")


def test_differences_are_paired_from_the_first_and_between_neighbours(measured: Measured) -> None:
    found = {(item.start, item.end, item.objective): item for item in measured.differences}
    assert list(dict.fromkeys((start, end) for start, end, _ in found)) == [("a", "b"), ("a", "c"), ("b", "c")]
    for (start, end, objective), item in found.items():
        if objective in ("sft_loss", "reward"):
            before, after = (getattr(measured.snapshots[name, "sums"], {"sft_loss": "loss"}.get(objective, objective))
                             for name in (start, end))  # fmt: skip
            expected = paired_difference(before, after, unit="x")
            assert value(item.figure) == pytest.approx(value(expected.change))
            assert item.p_value == pytest.approx(expected.p_value)
    distinct = [item for item in measured.differences if item.objective != "sft_loss_per_token"]
    p_values = np.array([item.p_value for item in distinct])
    assert num_comparisons(measured.differences) == len(distinct) == 3 * 5
    assert [item.p_value_adjusted for item in distinct] == pytest.approx(holm(p_values).tolist())
    for start, end in (("a", "b"), ("a", "c"), ("b", "c")):  # nats a token change where nats a response do
        loss, per_token = (found[start, end, name] for name in ("sft_loss", "sft_loss_per_token"))
        assert (per_token.p_value, per_token.p_value_adjusted) == (loss.p_value, loss.p_value_adjusted)
    pair = measured.difference("c", "b", "sft_loss")
    assert value(pair.change) == pytest.approx(-value(found["b", "c", "sft_loss"].figure))
    assert isinstance(measured.difference("a", "b", KL).change, Unresolved)


def test_beside_a_change_that_is_not_resolved_stands_what_would_have_been(measured: Measured) -> None:
    for item in measured.differences:
        assert isinstance(item.figure, Estimate)
        assert (item.detectable is None) == (item.figure.sign != 0)
        if item.objective == "sft_loss" and item.detectable is not None:
            before, after = (measured.snapshots[name, "sums"].loss for name in (item.start, item.end))
            expected = detectable_change(float((after - before).std(ddof=1)), 40, unit="")
            assert value(item.detectable) == pytest.approx(value(expected))
    rows = [row for row in csv.DictReader(io.StringIO(measured.to_csv())) if row["kind"] == "difference"]
    assert [bool(row["detectable"]) for row in rows] == [
        isinstance(item.detectable, Estimate) for item in measured.differences
    ]
    assert any(item.detectable for item in measured.differences)


def test_few_prompts_are_refused_with_how_many_are_needed(models: Path, task: Task) -> None:
    few = interlace.measure([models / "a", models / "c"], task, prompts=8)
    reason = "an interval needs at least 12 prompts, got 8"
    assert "the least SFT loss, by the means alone, which have no interval" in few.recommend().reason
    assert few.figure("a", "sft_loss") == few.difference("a", "c", "sft_loss").change == Unresolved(reason)


def longer(completions: list[str], **columns: Any) -> list[float]:
    return [float(len(text) > 1) for text in completions]


def test_single_binary_rewards_are_compared_exactly(models: Path) -> None:
    rows = [{"prompt": f"{a}+{b}="} for a in range(10) for b in range(10)]
    task = Task.from_rows(rows, reward=longer, heldout=60, max_response_tokens=3)
    single = interlace.measure([models / "a", models / "c"], task, completions=1)
    before, after = (single.snapshots[name, "rows"].reward == 1.0 for name in "ac")
    (reward,) = (item for item in single.differences if item.objective == "reward")
    assert reward.p_value == mcnemar(before, after).p_value
    assert isinstance(reward.figure, Estimate) and reward.figure.method == "melded exact McNemar"
    assert reward.figure.value == pytest.approx(after.mean() - before.mean())
    several = interlace.measure([models / "a", models / "c"], task, completions=4)
    (clustered,) = (item for item in several.differences if item.objective == "reward")
    means = [several.snapshots[name, "rows"].reward for name in "ac"]
    t, a = stats.ttest_rel(means[1], means[0]).statistic, stats.skew(means[1] - means[0]) / 60**0.5
    halls = t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6
    assert clustered.p_value == pytest.approx(2 * stats.t.sf(min(abs(t), abs(halls)), 59))
    assert "no expert responses" in str(single.figure("a", "sft_loss"))
    assert "there is no SFT loss to weigh" in single.recommend().reason


def test_samples_are_the_same_whatever_stands_beside_them(models: Path, measured: Measured, task: Task) -> None:
    alone = interlace.measure(models / "c", task)
    assert alone.figure("c", "reward") == measured.figure("c", "reward")
    assert alone.differences == ()
    assert str(alone).startswith("c, sft_loss on sums: ") and "\nkeep c: " in str(alone)
    assert alone.recommend().checkpoint == "c"


def test_json_is_as_documented(measured: Measured) -> None:
    found = json.loads(dumps(measured))
    assert list(found) == ["schema_version", "checkpoints", "tasks", "cells", "differences", "num_comparisons",
                           "on_format", "pareto", "recommendation"]  # fmt: skip
    assert list(found["cells"][0]) == ["checkpoint", "task", "objective", "estimate"]
    assert list(found["differences"][0])[:6] == ["from", "to", "task", "objective", "estimate", "p_value"]
    assert set(found["recommendation"]) == {"checkpoint", "rule", "reason"}
    assert [figure_from_json(cell["estimate"]) for cell in found["cells"]] == [cell.figure for cell in measured.cells]
    assert set(found["pareto"]) <= {item["name"] for item in found["checkpoints"]}


def test_csv_has_a_row_a_figure(measured: Measured) -> None:
    rows = list(csv.DictReader(io.StringIO(measured.to_csv())))
    assert len(rows) == len(measured.cells) + len(measured.differences)
    assert float(rows[0]["value"]) == value(measured.cells[0].figure)
    assert {row["kind"] for row in rows} == {"cell", "difference"}


def test_several_tasks(models: Path, task: Task) -> None:
    asked = [task, "more=addition:digits=1,error_kind=off_by_one,heldout=12,expert_error=0"]
    measured = interlace.measure([models / "a", models / "b"], asked)
    assert measured.tasks == ("sums", "more")
    assert len(measured.cells) == 2 * 2 * 7
    assert isinstance(measured.figure("a", "sft_loss_wrong", "more"), Unresolved)
    assert " on more" in measured.recommend(budget=100.0).reason


def test_nothing_is_asked_of_a_network(
    models: Path, adapters: Path, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*arguments: Any) -> NoReturn:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert interlace.measure([models / "a", adapters / "first"], task, prompts=4).tasks == ("sums",)


def test_between_two_vocabularies_there_is_no_kl(models: Path, task: Task, tmp_path: Path) -> None:
    other = make_embedded(tmp_path / "other", task.alphabet + "xyz", 0, SIZES)
    measured = interlace.measure([models / "a", other], task)
    assert "the vocabularies differ" in str(measured.figure("other", KL))
    assert isinstance(measured.difference("a", "other", "sft_loss").change, Estimate)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"budget": 0.1, "exchange_rate": 1.0}, RecipeError, "must not stand together"),
        ({"budget": -1.0}, RecipeError, "--budget must be finite and at least 0. Got -1.0"),
        ({"write": "blend"}, RecipeError, "--write must stand with --between"),
        ({"between": 0}, RecipeError, "--between must be at least 1 blend"),
        ({"dtype": "float8"}, RecipeError, "--dtype must be one of bfloat16, .* Got 'float8'"),
        ({"prompts": 1}, RecipeError, "--prompts must be at least 2"),
        ({"completions": 0}, RecipeError, "--completions must be at least 1"),
        ({"task": None}, RecipeError, "--task must say what to measure on"),
    ],
)
def test_mistakes_are_said_before_anything_is_loaded(
    models: Path, task: Task, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        interlace.measure([models / "a", models / "b"], **({"task": task} | options))
