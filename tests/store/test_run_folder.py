"""The run folder: append-only, held by one process, refused when foreign, readable whatever a kill left."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from interlace.errors import RunFolderError
from interlace.estimate import Estimate, Unresolved
from interlace.measurement import GradientProducts, HeldOut, Measurement, Point, PromptScores
from interlace.store import RunStore, newest_complete_checkpoint, read_run, seal_checkpoint, verify_checkpoint
from interlace.store.run_store import adds_stages, difference, read_manifest

RESOLVED = "name: r\nseeds: [0]\n"
MANIFEST = {"recipe": "r", "seed": 0}


def claim(folder: Path, resolved: str = RESOLVED) -> RunStore:
    return RunStore.claim(folder, resolved, resolved, MANIFEST)


def begin(store: RunStore, resumed_from: int = -1) -> None:
    store.event(
        "stage_started",
        stage="01-sft",
        name="sft",
        stage_kind="sft",
        task="t",
        steps_planned=10,
        resumed_from=resumed_from,
        options={},
    )


def figure(value: float) -> Estimate:
    return Estimate(value, value - 1, value + 1, 0.95, 5, "t", "nats/response")


def write(store: RunStore, step: int, value: float) -> None:
    store.measurements(Measurement(Point("01-sft", step, "t"), "sft_loss", figure(value)))


def values(folder: Path) -> dict[int, float]:
    found = read_run(folder).stages[0].measurements
    return {item.point.step: item.figure.value for item in found if isinstance(item.figure, Estimate)}


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    with_inf = Measurement(Point("01-sft", 0, "t"), "sft_loss", Estimate(math.inf, 0.0, math.inf, 0.95, 3, "m", "nats"))
    unresolved = Measurement(Point("01-sft", 1, "t", "line", 0.25), "reward", Unresolved("too few prompts"))
    store = claim(tmp_path / "a run")
    begin(store)
    store.measurements(with_inf)
    store.measurements(unresolved)
    assert set(read_run(tmp_path / "a run").stages[0].measurements) == {with_inf, unresolved}


def test_a_torn_last_line_is_dropped_and_said(tmp_path: Path) -> None:
    store = claim(tmp_path)
    begin(store)
    write(store, 1, 1.0)
    store.close()
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"kind": "measurement", "stage": "01-s')
    assert values(tmp_path) == {1: 1.0}
    store = claim(tmp_path)
    write(store, 2, 2.0)
    assert values(tmp_path) == {1: 1.0, 2: 2.0}
    assert "torn line of 38 bytes" in (tmp_path / "events.jsonl").read_text()


def test_damage_before_the_last_line_is_refused_with_its_place(tmp_path: Path) -> None:
    store = claim(tmp_path)
    begin(store)
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b"garbage\n")
    with pytest.raises(RunFolderError, match=r"events\.jsonl:2 must be one JSON record"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    {
        "a word for a number": ('"value": 1.0', '"value": "abc"', "a number must be a float, 'inf', '-inf' or 'nan'"),
        "outside its interval": ('"value": 1.0', '"value": 7.0', "an interval must contain its value. Got 7.0 outside"),
        "a field that is gone": ('"unit": "nats/response"', '"union": 0', "it has no 'unit'"),
    }.values(),
)  # fmt: skip
def test_a_damaged_figure_is_refused_with_its_place(tmp_path: Path, before: str, after: str, found: str) -> None:
    store = claim(tmp_path)
    begin(store)
    write(store, 1, 1.0)
    events = tmp_path / "events.jsonl"
    events.write_text(events.read_text().replace(before, after))
    with pytest.raises(RunFolderError) as caught:
        read_run(tmp_path)
    assert str(caught.value).startswith(f"{events}:2 must hold what interlace wrote there: {found}")
    assert caught.value.exit_code == 3 and ".." not in str(caught.value).removeprefix(str(events))


@pytest.mark.parametrize(
    ("name", "text", "found"),
    {
        "a manifest cut short": ("manifest.json", '{"recipe": "r", ', "must be what interlace wrote"),
        "a manifest without its seed": ("manifest.json", '{"recipe": "r"}', "must say seed"),
        "a manifest of another kind": ("manifest.json", "3", "a mapping. Got '3'"),
        "a recipe cut short": ("resolved.yaml", "stages: [{", "line 1"),
        "an empty recipe": ("resolved.yaml", "", "a mapping. Got 'None'"),
        "no recipe": ("resolved.yaml", None, "must exist in a run folder"),
    }.values(),
)  # fmt: skip
def test_a_damaged_manifest_or_recipe_is_refused_by_name(
    tmp_path: Path, name: str, text: str | None, found: str
) -> None:
    store = claim(tmp_path)
    begin(store)
    store.close()
    (tmp_path / name).unlink() if text is None else (tmp_path / name).write_text(text)
    more = f"{RESOLVED}stages: [{{sft: {{}}}}]\n"
    for refused in (lambda: read_run(tmp_path), lambda: claim(tmp_path), lambda: claim(tmp_path, more)):
        with pytest.raises(RunFolderError) as caught:
            refused()
        said = str(caught.value)
        assert said.startswith(str(tmp_path / name)) and found in said and caught.value.exit_code == 3


def test_a_manifest_without_what_a_run_goes_on_with_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"recipe": "r", "seed": 0, "data": {}}')
    assert read_manifest(tmp_path, "data")["data"] == {}
    with pytest.raises(RunFolderError, match="must say bf16_auto. It does not"):
        read_manifest(tmp_path, "data", "bf16_auto")


def test_stages_are_added_after_the_last() -> None:
    one, two = {"sft": {"task": "t"}}, {"rl": {"task": "t"}}
    assert adds_stages({"name": "r", "stages": [one]}, {"name": "r", "description": "more", "stages": [one, two]})
    assert adds_stages({"name": "r", "stages": None}, {"name": "r", "stages": [one]})
    assert not adds_stages({"name": "r", "stages": [one]}, {"name": "r", "stages": [two, one]})
    assert not adds_stages({"name": "r", "stages": [one]}, {"name": "r", "stages": None})


@pytest.mark.parametrize("line", ["3", "{}", '{"kind": "flag", "step": "two"}'])
def test_a_line_that_is_no_record_is_refused_with_its_place(tmp_path: Path, line: str) -> None:
    store = claim(tmp_path)
    begin(store)
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(RunFolderError, match=r"events\.jsonl:2 must be one JSON record"):
        read_run(tmp_path)


def test_a_resume_takes_back_what_it_does_again(tmp_path: Path) -> None:
    store = claim(tmp_path)
    begin(store)
    for step in (0, 2, 4, 6):
        write(store, step, float(step))
    begin(store, resumed_from=4)
    write(store, 6, 60.0)
    assert values(tmp_path) == {0: 0.0, 2: 2.0, 4: 4.0, 6: 60.0}
    begin(store)
    assert values(tmp_path) == {}


def test_a_folder_belongs_to_one_process(tmp_path: Path) -> None:
    store = claim(tmp_path)
    code = (
        "import sys; from pathlib import Path; from interlace.store import RunStore\n"
        f"RunStore.claim(Path({str(tmp_path)!r}), {RESOLVED!r}, '', {MANIFEST!r})"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "must belong to one process at a time" in other.stderr
    store.close()
    claim(tmp_path).close()


def test_another_recipe_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    claim(tmp_path).close()
    before = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir())
    with pytest.raises(RunFolderError, match=r"there 'seeds: \[0\]', here 'seeds: \[1\]'"):
        claim(tmp_path, "name: r\nseeds: [1]\n")
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == before


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="must be empty or a run folder"):
        claim(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("kept", "asked", "words"),
    {
        "the same": ("a: 1", "a: 1", None),
        "one more at the end": ("a: 1", "a: 1\nb: 2", "'b: 2' stands only here"),
        "one less": ("a: 1\nb: 2\nc: 3", "a: 1\nc: 3", "'b: 2' stands only there"),
        "an entry of a list": ("a:\n- 1\nb: 2", "a:\n- 3\nb: 2", "a: there '- 1', here '- 3'"),
        "the name alone": ("name: a\nb: 1", "name: c\nb: 1", "there 'name: a', here 'name: c'"),
        "the name, and what is trained": (
            "name: a\ndescription: d\nx: 1\ny: 1",
            "name: b\ndescription: e\nx: 2\ny: 2",
            "there 'name: a', here 'name: b'; there 'x: 1', here 'x: 2'; 2 lines more",
        ),
        "another key in its place": (
            "a: 1\n  b: 2\nc: 3",
            "a: 1\n  d: 2\nc: 3",
            "'d: 2' stands only here; 1 line more",
        ),
        "lines put in": ("a: 1\nc: 3", "a: 1\nb: 2\nb: 3\nc: 3", "'b: 2' stands only here; 1 line more"),
    }.values(),
)
def test_what_differs_is_named(kept: str, asked: str, words: str | None) -> None:
    assert difference(kept, asked) == words


def test_checkpoints_are_whole_or_passed_over(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "weights").write_bytes(b"w" * step)
        if step < 30:
            seal_checkpoint(folder)
    (tmp_path / "checkpoint-20" / "weights").write_bytes(b"v" * 20)
    newest, skipped = newest_complete_checkpoint(tmp_path)
    assert newest == tmp_path / "checkpoint-10"
    assert "checkpoint-30 has no interlace_manifest.json" in skipped[0]
    assert "checkpoint-20/weights differs" in skipped[1]
    (tmp_path / "checkpoint-10" / "weights").write_bytes(b"w")
    assert "1 bytes instead of 10" in (verify_checkpoint(tmp_path / "checkpoint-10") or "")


def test_scores_and_heldout_survive_with_their_shapes_and_non_finite_numbers(tmp_path: Path) -> None:
    store = claim(tmp_path)
    begin(store)
    heldout = HeldOut(
        "t", 2, np.array([0, 0, 1]), np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.0, np.nan]), np.array([4, 4, 3]), True
    )
    store.heldout(heldout)
    point = Point("01-sft", 3, "t", "line", 0.25)
    scores = PromptScores(np.array([-1.0, -np.inf, -2.0]), np.eye(2), np.eye(2), True, None)
    store.scores(point, scores)
    record = read_run(tmp_path)
    kept = record.scores(point)
    assert kept.kl is None and kept.reward_is_exact
    assert kept.expert_logprobs is not None and kept.reward_values is not None
    np.testing.assert_array_equal(kept.expert_logprobs, scores.expert_logprobs)
    np.testing.assert_array_equal(kept.reward_values, np.eye(2))
    for name in ("prompt", "probability", "reward", "num_tokens"):
        np.testing.assert_array_equal(getattr(record.heldout["t"], name), getattr(heldout, name))
    with pytest.raises(KeyError):
        record.scores(Point("01-sft", 4, "t"))


def test_rewards_of_completions_survive_with_their_shapes(tmp_path: Path) -> None:
    store = claim(tmp_path)
    begin(store)
    strict, lenient = np.eye(3)[:, :2], np.ones((3, 2))
    store.scores(Point("01-sft", 3, "t"), PromptScores(lenient_rewards=lenient, strict_rewards=strict))
    kept = read_run(tmp_path).scores(Point("01-sft", 3, "t"))
    np.testing.assert_array_equal(kept.strict_rewards, strict)
    np.testing.assert_array_equal(kept.lenient_rewards, lenient)
    store.scores(Point("01-sft", 4, "t"), PromptScores(kl=np.zeros(2)))
    before = read_run(tmp_path).scores(Point("01-sft", 4, "t"))
    assert before.lenient_rewards is None and before.strict_rewards is None


def test_products_of_gradients_survive_with_their_shapes(tmp_path: Path) -> None:
    store = claim(tmp_path)
    begin(store)
    products = GradientProducts(np.eye(2), np.full((3, 3), 0.5), np.arange(6.0).reshape(2, 3))
    point = Point("01-sft", 3, "t")
    store.scores(point, PromptScores(gradients=products))
    kept = read_run(tmp_path).scores(point).gradients
    assert kept is not None
    for name in ("loss", "reward", "cross"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(products, name))


def test_two_sided_shape_of_reward_statistics() -> None:
    sampled = PromptScores(None, np.array([[1.0, 0.0, 0.0, 1.0]]), np.full((1, 4), 0.25), False)
    exact = PromptScores(None, np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]), True)
    assert sampled.reward_variance()[0] == pytest.approx(np.var([1, 0, 0, 1], ddof=1))
    assert exact.reward_variance()[0] == pytest.approx(0.25)
