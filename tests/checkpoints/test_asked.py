"""Words for tasks, and conditions for gates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import interlace
from interlace.checkpoints import Measured
from interlace.checkpoints.asked import build_tasks
from interlace.checkpoints.conditions import failures, parse_condition, same_weights
from interlace.checkpoints.session import Session
from interlace.errors import RecipeError
from interlace.tasks import Task


def test_a_kind_with_options() -> None:
    (task,) = build_tasks(["addition:digits=1,heldout=30,error_kind=off_by_one"], seed=1)
    assert (task.name, len(task.heldout)) == ("addition", 30)
    (same,) = build_tasks([{"kind": "addition", "digits": 1, "heldout": 30, "error_kind": "off_by_one"}], seed=1)
    assert same.fingerprint() == task.fingerprint()


def test_a_recipes_task_and_a_runs_own() -> None:
    (task,) = build_tasks(["quickstart/sums"])
    assert task.name == "sums" and task.expert_is_known
    with pytest.raises(RecipeError, match="the task of quickstart must be one of sums. Got 'sum'. Did you mean 'sums'"):
        build_tasks(["quickstart/sum"])


def test_a_file_with_options_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f"number {n},{n % 2}\n" for n in range(40)))
    words = f'ends={path}:prompt_template="{{text}}\\n?",completion=label,labels={{0: " no", 1: " yes"}}'
    (task,) = build_tasks([words])
    assert task.name == "ends" and task.reward is not None
    assert str(task.heldout[0].prompt).endswith("\n?")
    plain = tmp_path / "plain.jsonl"
    plain.write_text("".join(json.dumps({"prompt": f"{n}", "completion": f"{n}"}) + "\n" for n in range(20)))
    assert build_tasks([str(plain)])[0].name == "plain"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("additon", "--task must be one of .* Did you mean 'addition'"),
        ("addition:digits=x", "task 'addition': digits must be a whole number"),
        ("addition:digits=2,heldout", "--task must read SOURCE:option=value"),
        ("addition:digits={", "--task option digits must have a value in YAML"),
        ("addition:digitz=2", "The nearest known key is 'digits'"),
    ],
)
def test_words_that_name_no_task(words: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build_tasks([words])


def test_two_tasks_of_one_name() -> None:
    with pytest.raises(RecipeError, match="--task must name different tasks. Got 'addition' twice"):
        build_tasks(["addition:digits=1,heldout=9", "addition:digits=1,heldout=8"])


@pytest.fixture(scope="module")
def measured(models: Path, task: Task) -> Measured:
    return interlace.measure([models / "a", models / "c"], task)


def test_a_gate_is_failed_by_a_whole_interval(measured: Measured) -> None:
    change = measured.difference("a", "c", "sft_loss").change
    assert change.sign != 0
    rise = "increase" if change.sign > 0 else "decrease"
    low, high = sorted(abs(end) for end in (change.lower, change.upper))  # type: ignore[union-attr]

    def failed(text: str) -> list[str]:
        return failures(measured, [parse_condition(text)])

    assert failed(f"sft_loss.{rise} > {low * 0.99}")[0].startswith(
        f"sft_loss.{rise} > {low * 0.99}: c against a on sums"
    )
    assert failed(f"sft_loss.{rise} > {low * 1.01}") == []
    assert failed(f"sft_loss.{rise}.estimate > {low * 1.01}")
    assert failed(f"sums:sft_loss.{rise}.upper > {high * 1.01}") == []
    assert len(failed("reward.value < 2")) == 2
    with pytest.raises(RecipeError, match="--fail-on task must be one of sums. Got 'other'"):
        failed("other:reward.value < 2")


def test_what_is_not_resolved_does_not_pass_a_gate(models: Path, task: Task) -> None:
    few = interlace.measure([models / "a", models / "c"], task, prompts=4)
    (sentence,) = failures(few, [parse_condition("sft_loss.increase > 0")])
    assert "cannot be decided for c against a on sums: not resolved" in sentence


def test_a_change_needs_two_checkpoints(models: Path, task: Task) -> None:
    alone = interlace.measure(models / "a", task, prompts=4)
    assert failures(alone, [parse_condition("reward.value.estimate > 2")]) == []
    with pytest.raises(RecipeError, match="must have two checkpoints to compare. Got a alone"):
        failures(alone, [parse_condition("sft_loss.increase > 0.02")])


def test_the_same_weights_named_twice_changed_by_0_exactly(models: Path, task: Task) -> None:
    gate = "sft_loss.increase > 0"
    session = Session(prompts=12, fail_on=[gate])
    same = session.measure([models / "a", f"again={models / 'a'}"], [task])
    conditions = [parse_condition(gate), parse_condition("reward.decrease > 0")]
    assert [item.name for item in same.checkpoints] == ["a"] and failures(same, conditions) == []
    assert (
        same_weights(same, conditions) == f"{models / 'a'} has the weights of a: each change between them is 0 exactly"
    )
    assert same_weights(same, [parse_condition("reward.value < 1")]) is None
    (met,) = failures(same, [parse_condition("sft_loss.increase >= 0")])
    assert met == f"sft_loss.increase >= 0: {models / 'a'} against a on sums, 0.000 nats/response"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sft_loss", "--fail-on must read like"),
        ("sft_loss.increase > much", "--fail-on must read like"),
        ("sft_los.increase > 1", "--fail-on objective must be one of .* Did you mean 'sft_loss'"),
        ("sft_loss.growth > 1", "--fail-on property must be one of"),
        ("sft_loss.increase.top > 1", "--fail-on end must be one of"),
        ("kl_policy_first_nats_per_response.increase > 0", "for its value: KL is a distance from the first"),
    ],
)
def test_conditions_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_condition(text)
