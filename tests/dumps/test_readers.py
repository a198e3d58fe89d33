"""Every writer's files, and files of no writer: found, recognised, mapped, and what is left out is said."""

from __future__ import annotations

import gzip
import json
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from interlace.dumps import plan_rollouts
from interlace.dumps.expert import read_expert
from interlace.dumps.losses import read_losses
from interlace.dumps.places import one_dump, step_of
from interlace.dumps.rows import Samples
from interlace.dumps.samples import read_samples
from interlace.errors import DataError, MissingFileError, RecipeError
from tests.dumps.worlds import WRITE, Row, rollouts, world, write_lines, write_nemo, write_trl, write_verl


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return rollouts(world(3, 1.0), np.random.default_rng(0), prompts=5, samples=4)


def plain(prompt: object, reward: object, **more: object) -> Row:
    return {"prompt": prompt, "completion": "c", "reward": reward, **more}


def totals(samples: Samples) -> dict[int, float]:
    return {int(step): float(samples.rewards[samples.steps == step].sum()) for step in np.unique(samples.steps)}


@pytest.mark.parametrize("writer", WRITE)
def test_a_writer_is_recognised_and_read_whole(writer: str, rows: list[Row], tmp_path: Path) -> None:
    WRITE[writer](tmp_path, rows)
    samples = read_samples(tmp_path)
    assert f"of {writer}" in samples.source
    assert ("step" in samples.source) is (writer not in ("prime-rl", "prime-rl traces", "NeMo-RL"))
    assert len(samples.rewards) == len(rows)
    assert totals(samples) == {step: sum(row["reward"] for row in rows if row["step"] == step) for step in range(3)}
    assert len(np.unique(samples.prompts)) == len({row["prompt"] for row in rows})


def test_compressed_lines_and_one_list_of_rows_read_alike(rows: list[Row], tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "b.json").write_text(json.dumps(rows))
    compressed, listed = (read_samples(tmp_path / name) for name in ("a.jsonl.gz", "b.json"))
    assert totals(compressed) == totals(listed) and compressed.source == listed.source


def test_the_step_is_the_files_where_no_column_has_it(tmp_path: Path) -> None:
    for step in (2, 10):
        write_lines(tmp_path / f"{step}.jsonl", [plain("p", 1.0), plain("p", 0.0)])
    assert totals(read_samples(tmp_path)) == {2: 1.0, 10: 1.0}
    write_lines(tmp_path / "alone" / "rollouts.jsonl", [plain("p", 1.0)])
    assert "taken as of step 0" in read_samples(tmp_path / "alone").notes[-1]


@pytest.mark.parametrize(
    ("name", "step"),
    [("train_data_step12.jsonl", 12), ("completions_00040.parquet", 40), ("step_7/train/all/traces.jsonl", 7),
     ("rollouts.jsonl", None), ("global_step_3/rollouts.jsonl", 3), ("x" + "9" * 40 + ".jsonl", None)],
)  # fmt: skip
def test_steps_in_names(name: str, step: int | None) -> None:
    assert step_of(Path("root") / name, Path("root")) == step


def test_evaluation_and_what_a_trainer_kept_are_left_out_and_said(rows: list[Row], tmp_path: Path) -> None:
    write_nemo(tmp_path, rows)
    write_lines(tmp_path / "val_data_step1.jsonl", [{"content": [[{"role": "user", "content": "q"}]], "rewards": [1]}])
    samples = read_samples(tmp_path)
    assert len(samples.rewards) == len(rows)
    assert samples.notes[0].startswith("1 files were left out of evaluation")
    kept, notes = one_dump([Path("r/all/t.jsonl"), Path("r/effective/t.jsonl")], Path("r"))
    assert kept == [Path("r/all/t.jsonl")] and "only what the trainer kept" in notes[0]
    validation = [Path("r/val_1.jsonl"), Path("r/val_2.jsonl")]
    assert one_dump(validation, Path("r")) == (validation, [])


def test_validation_conversations_of_nemo_have_their_prompt(tmp_path: Path) -> None:
    def row(question: str, answer: str, reward: float) -> Row:
        content = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        return {"content": [content], "rewards": [reward], "idx": 0}

    write_lines(tmp_path / "val_data_step5.jsonl", [row("q", "a", 1.0), row("q", "b", 0.0), row("r", "a", 1.0)])
    samples = read_samples(tmp_path)
    assert samples.prompts.tolist() == [0, 0, 1] and samples.steps.tolist() == [5, 5, 5]


def test_columns_that_are_said(tmp_path: Path) -> None:
    lines = [{"q": f"p{i // 2}", "verdict": {"points": i % 2}, "when": 4, "other": 9.0} for i in range(6)]
    write_lines(tmp_path / "a.jsonl", lines)
    samples = read_samples(tmp_path, "prompt=q,reward=verdict.points,step=when")
    assert totals(samples) == {4: 3.0} and len(samples.keys) == 3
    assert samples.source.endswith("prompt = q, reward = verdict.points, step = when")
    with pytest.raises(
        RecipeError,
        match="a role of --columns must be one of .* Got 'promt'. Did you mean 'prompt'. Write --columns ROLE=COLUMN.",
    ):
        read_samples(tmp_path, "promt=q")
    with pytest.raises(RecipeError, match="--columns or --reward must be one of .* Got 'points'. .*: --reward COLUMN."):
        read_samples(tmp_path, "prompt=q,reward=points")
    with pytest.raises(RecipeError, match="Got 'question'. Say which one it is: --columns prompt=COLUMN."):
        read_samples(tmp_path, "prompt=question,reward=other")
    with pytest.raises(DataError, match="must hold rows with a reward and a prompt"):
        read_samples(tmp_path)


def test_several_rewards_are_added_up_as_trl_adds_them(tmp_path: Path) -> None:
    columns = {
        "step": [1] * 4,
        "prompt": ["p"] * 4,
        "completion": list("abcd"),
        "accuracy": [1.0, 0.0, None, None],
        "format": [1.0, 1.0, 1.0, None],
        "note": ["x"] * 4,
        "advantage": [0.5, -0.5, 0.0, 0.0],
    }
    pa.parquet.write_table(pa.table(columns), tmp_path / "completions_00001.parquet")
    samples = read_samples(tmp_path)
    assert "reward = accuracy + format" in samples.source
    assert samples.rewards.tolist() == [2.0, 1.0, 1.0]
    assert samples.notes == ("1 row was left out: the reward is missing or no number (completions_00001.parquet:4).",)
    weighted = read_samples(tmp_path, reward="accuracy, format=0.2")
    assert weighted.rewards.tolist() == [1.2, 0.2, 0.2] and "accuracy + 0.2 format" in weighted.source
    with pytest.raises(RecipeError, match="--reward must say NAME=WEIGHT"):
        read_samples(tmp_path, reward="accuracy=much")


def test_a_column_of_trl_that_goes_with_the_prompt_is_no_reward_and_said(tmp_path: Path) -> None:
    rows = [
        {"step": 1, "prompt": f"p{i}", "completion": str(k), "right": float(k), "level": i, "advantage": k - 0.5}
        for i in range(3)
        for k in range(2)
    ]
    write_lines(tmp_path / "completions_00001.jsonl", rows)
    samples = read_samples(tmp_path)
    assert "reward = right," in samples.source and samples.rewards.tolist() == [0.0, 1.0] * 3
    assert "No reward, since it goes with the prompt: level." in samples.notes[0]
    assert read_samples(tmp_path, reward="right,level").rewards.tolist() == [0.0, 1.0, 1.0, 2.0, 2.0, 3.0]
    write_lines(tmp_path / "completions_00001.jsonl", [row | {"right": 1.0} for row in rows])
    assert "reward = right + level" in read_samples(tmp_path).source  # nothing tells completions apart: no evidence


def test_columns_inside_objects_and_lists_and_those_there_are_named(tmp_path: Path) -> None:
    rows = [{"full_result": [{"input": f"p{i}", "reward": 0.5}], "rewards": [float(i)], "idx": i} for i in range(2)]
    write_lines(tmp_path / "1.jsonl", rows)
    with pytest.raises(DataError, match=r"1.jsonl has the columns full_result, rewards, idx, none of which is known"):
        read_samples(tmp_path)
    samples = read_samples(tmp_path, "prompt=full_result.0.input,reward=rewards.0")
    assert samples.rewards.tolist() == [0.0, 1.0] and len(samples.keys) == 2


def test_a_batch_that_trl_logs_again_counts_once(rows: list[Row], tmp_path: Path) -> None:
    first = [row | {"step": 1} for row in rows if row["step"] == 0]
    write_trl(tmp_path, [*first, *(row | {"step": 2} for row in first), *(row | {"step": 3} for row in rows[20:40])])
    samples = read_samples(tmp_path)
    assert sorted(totals(samples)) == [1, 3]
    assert "written again, and were left out (first step 2)" in samples.notes[-1]


def test_chat_prompts_are_the_same_prompt_in_parquet_and_json(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "1+1=\u2603"}]
    padded = [{"role": "user", "content": "1+1=\u2603", "tool_calls": None}]
    write_lines(tmp_path / "a.jsonl", [plain(chat, 1.0), plain([{"content": "1+1=\u2603", "role": "user"}], 0.0)])
    pa.parquet.write_table(pa.Table.from_pylist([plain(padded, 1.0)]), tmp_path / "b.parquet")
    samples = read_samples(tmp_path)
    assert samples.prompts.tolist() == [0, 0, 0]


def test_two_trainers_in_one_folder_are_refused(rows: list[Row], tmp_path: Path) -> None:
    write_trl(tmp_path, rows)
    write_verl(tmp_path / "other", rows)
    with pytest.raises(
        DataError, match=r"the rollouts of one trainer. Got .* with .*TRL \(completions_00000.parquet\)"
    ):
        read_samples(tmp_path)


def test_other_files_beside_rollouts_are_left_out_and_said(rows: list[Row], tmp_path: Path) -> None:
    write_verl(tmp_path, rows)
    (tmp_path / "config.json").write_text('{"model": "x"}')
    write_lines(tmp_path / "metrics.jsonl", [{"loss": 0.1}])
    assert "2 files hold no rollouts and were left out: config.json, metrics.jsonl." in read_samples(tmp_path).notes


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="--rollouts must be a file or a folder that is there"):
        read_samples(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"--rollouts must hold \.parquet, \.jsonl.* where there is none"):
        read_samples(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match="--rollouts must end with one of"):
        read_samples(tmp_path / "a.txt")


def test_empty_and_damaged_files_are_told_from_unknown_columns(rows: list[Row], tmp_path: Path) -> None:
    write_trl(tmp_path / "whole", rows)
    whole = min((tmp_path / "whole" / "completions").iterdir())
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "1.jsonl").write_text("")
    (broken / "2.jsonl").write_text('{"prompt": "1+1=", "rew')
    (broken / "3.parquet").write_bytes(whole.read_bytes()[:200])
    (broken / "4.csv").write_text("prompt,reward\n")
    why = {"1.jsonl": "0 bytes", "2.jsonl": r"ends in the middle of a line, as while it is written \(2.jsonl:1\)",
           "3.parquet": "the file is no whole Parquet file", "4.csv": "no rows"}  # fmt: skip
    for name, reason in why.items():
        expected = rf"must hold whole files of rows. Got .*{name}, where nothing can be read: .*{reason}.*Copy it again"
        with pytest.raises(DataError, match=expected):
            read_samples(broken / name)
    with pytest.raises(DataError, match="1.jsonl: 0 bytes; 2.jsonl: .*; 3.parquet: .*; and 1 more. Copy it again"):
        read_samples(broken)
    (broken / "config.json").write_text('{"model": "x"}')
    with pytest.raises(DataError, match="config.json has the columns model, .* Beside it nothing can be read: 1.jsonl"):
        read_samples(broken)
    (broken / whole.name).write_bytes(whole.read_bytes())
    left = next(note for note in read_samples(broken).notes if note.startswith("Left out as empty or damaged"))
    assert left.startswith("Left out as empty or damaged, 4 files: 1.jsonl: 0 bytes; 2.jsonl: ")


def test_damaged_scores_and_log_probabilities_say_so(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text("")
    for option, read in (("--expert-scores", partial(read_expert, None)), ("--logprobs", read_losses)):
        with pytest.raises(DataError, match=rf"{option} must hold whole files of rows. Got .*s.jsonl, .* 0 bytes"):
            read(tmp_path / "s.jsonl", {})


def test_hostile_rows_are_counted_never_dropped_in_silence(tmp_path: Path) -> None:
    lines = [
        json.dumps(plain("p", 1.0, step=1)),
        '{"prompt": "p", "completion": "c", "reward": NaN, "step": 1}',
        '{"prompt": "p", "completion": "c", "reward": null, "step": 1}',
        '{"prompt": "p", "completion": "c", "reward": ' + "9" * 5000 + ', "step": 1}',
        '{"prompt": "p", "completion": "c", "reward": 1, "step": ' + "9" * 400 + "}",
        '{"prompt": "p", "completion": "c", "reward": 1, "step": -3}',
        '{"prompt": "p", "completion": "c", "reward": 1, "step": 1.5}',
        json.dumps(plain(None, 1.0, step=1)),
        json.dumps(plain("p", [1.0], step=1)),
        "[" * 100_000,
        "[1, 2]",
        "",
        json.dumps(plain("\ud83d", True, step=2)),
        '{"prompt": "p", "completion": "c", "rew',
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    samples = read_samples(tmp_path)
    assert samples.steps.tolist() == [1, 2] and samples.rewards.tolist() == [1.0, 1.0]
    assert samples.notes == (
        "3 rows were left out: the reward is missing or no number (first a.jsonl:2).",
        "3 rows were left out: it is no JSON object (first a.jsonl:4).",
        "3 rows were left out: the step is no whole number from 0 on (first a.jsonl:5).",
        "1 row was left out: the prompt is missing (a.jsonl:8).",
        "1 row was left out: the file ends in the middle of a line, as while it is written (a.jsonl:14).",
    )


@pytest.mark.parametrize(("text", "shown"), [("1e999", "inf"), ("9" * 400, "inf"), ("-2.5e120", r"-2.5e\+120")])
def test_rewards_of_an_absurd_size_are_refused_where_they_stand(text: str, shown: str, tmp_path: Path) -> None:
    row = '{"prompt": "p", "completion": "c", "reward": %s, "step": 1}\n'
    (tmp_path / "a.jsonl").write_text(row % "1.0" + row % text)
    with pytest.raises(DataError, match=rf"a reward must be finite, and at most 1e\+30 .* Got {shown} at a.jsonl:2\."):
        read_samples(tmp_path)
    (tmp_path / "s.jsonl").write_text(f'{{"prompt": "p", "score": {text}}}\n')
    with pytest.raises(DataError, match=rf"a score must be finite, .* Got {shown} at s.jsonl:1\."):
        read_expert(None, tmp_path / "s.jsonl", {})


def test_large_rewards_are_read_and_shown_in_few_digits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    made = [plain(f"p{i // 4}", float(x), step=s) for s in (0, 1) for i, x in enumerate(rng.random(80) * 1e29)]
    write_lines(tmp_path / "a.jsonl", made)
    said = plan_rollouts(tmp_path).advice[0]
    assert "\u00d7 10\u00b2\u2078" in said and len(said) < 160


def test_broken_files_are_said(rows: list[Row], tmp_path: Path) -> None:
    write_verl(tmp_path, rows)
    with gzip.open(tmp_path / "3.jsonl.gz", "wt") as file:
        file.write("".join(json.dumps({"input": f"p{i}", "output": "o" * i, "score": 1.0}) + "\n" for i in range(9000)))
    whole = (tmp_path / "3.jsonl.gz").read_bytes()
    (tmp_path / "3.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    notes = " ".join(read_samples(tmp_path).notes)
    assert "the rest of the file cannot be unpacked" in notes
    write_trl(tmp_path / "trl", rows)
    (tmp_path / "trl" / "completions" / "completions_00009.parquet").write_bytes(b"PAR1 half of it")
    assert "completions_00009.parquet" in " ".join(read_samples(tmp_path / "trl").notes)


def test_no_row_with_a_reward_says_why(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain("p", None), plain("q", None)])
    with pytest.raises(DataError, match="where none is left. 2 rows were left out: the reward is missing"):
        read_samples(tmp_path)


def test_episodes_that_failed_are_counted(tmp_path: Path) -> None:
    task = {"key": "k", "data": {}}
    good = {"env": {}, "task": task, "ok": True, "traces": [{"ok": True, "rewards": {"r": {"score": 0.5}}}]}
    failed = good | {"ok": False, "traces": [{"ok": False, "rewards": {}}]}
    unscored = good | {"traces": [{"ok": True, "rewards": {"r": None}}]}
    write_lines(tmp_path / "step_1" / "traces.jsonl", [good, failed, unscored, good | {"traces": ["x"]}])
    samples = read_samples(tmp_path)
    assert samples.rewards.tolist() == [0.5]
    assert samples.notes[0].startswith("2 rows were left out: the reward is missing")
    assert samples.notes[1].startswith("1 row was left out: the row is none of prime-rl episodes's")
