"""What a hybrid stage must say, and what it is told when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

import interlace
from interlace.errors import DataError, InterlaceError, RecipeError
from interlace.recipe import load_recipe
from interlace.tasks import Task

TASKS = "tasks: {sums: {kind: addition}}\nstages:\n  - "


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("hybrid: {task: sums, max_steps: 2}", "method must say its name. Got none. Choose one of"),
        ("hybrid: {task: sums, max_steps: 2, method: jont}", "Got 'jont'. Did you mean 'joint'?"),
        ("hybrid: {task: sums, max_steps: 2, method: {name: joint, mu: 2}}", "mu"),
        ("hybrid: {task: sums, max_steps: 2, method: joint, imitate: sum}", "imitate must be one of sums. Got 'sum'."),
        (
            "rl: {task: sums, max_steps: 2, method: joint}",
            "method must stand in a stage of kind hybrid. Got it in kind rl",
        ),
        (
            "hybrid: {task: sums, max_steps: 2, method: {name: guarded, weights: averaged}}",
            "method with weights: averaged must stand in a stage that keeps averaged_weights. It keeps none.",
        ),
        (
            "hybrid: {task: sums, max_steps: 2, method: {name: joint, like: hpt}}",
            "like must name an earlier hybrid stage whose share of imitation is counted, and there is none. Got 'hpt'.",
        ),
        (
            "hybrid: {task: sums, max_steps: 2, method: {name: joint, like: hpt, mu: 0.2}}",
            "like must stand without mu, whose place it takes. Got both. Remove one.",
        ),
        ("hybrid: {task: sums, max_steps: 2, method: {name: noise_control, like: hpt}}", "like"),
        (
            "sft: {task: sums, max_steps: 2, blend: {position: 0.5}}",
            "blend must stand in a stage of kind rl, hybrid or",
        ),
        (
            "hybrid: {task: sums, max_steps: 2, method: kl_anchor, beta: 0}",
            "beta must be above 0 with method kl_anchor, whose penalty it is. Got 0. Leave it out for 0.04, or",
        ),
    ],
)
def test_mistakes_of_hybrid_stages_are_said_with_their_line(tmp_path: Path, stage: str, message: str) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text(TASKS + stage)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}:3: ") and message in str(caught.value)


def test_a_control_is_like_a_stage_whose_share_is_counted(tmp_path: Path) -> None:
    """LUFFY's experts stand inside its groups, so that no weight says how much it imitates."""
    path = tmp_path / "mix.yaml"
    stage = "hybrid: {task: sums, max_steps: 2, name: NAME, method: METHOD}\n  - "
    made = [stage.replace("NAME", name).replace("METHOD", method) for name, method in (("a", "luffy"), ("b", "hpt"))]
    path.write_text(TASKS + "".join(made) + "hybrid: {task: sums, max_steps: 2, method: {name: joint, like: a}}")
    with pytest.raises(RecipeError, match="share of imitation is counted, one of b. Got 'a'"):
        load_recipe(path)
    path.write_text(path.read_text().replace("like: a", "like: b"))
    resolved = load_recipe(path).stages[-1].to_options()["method"]
    assert resolved == {"name": "joint", "expert_batch_size": None, "like": "b"}
    path.write_text(load_recipe(path).to_yaml())
    assert load_recipe(path).stages[-1].to_options()["method"] == resolved


ROWS = [{"prompt": f"{n}=", "completion": str(n % 10)} for n in range(60)]


def right(completions: list[str], **_: object) -> list[float]:
    return [float(len(text)) for text in completions]


@pytest.mark.parametrize(
    ("stage", "kind", "message"),
    [
        (
            "hybrid:\n      task: earn\n      max_steps: 2\n      method: luffy\n      imitate: talk",
            DataError,
            "9: method luffy must imitate the task whose prompts it samples, 'earn'",
        ),
        (
            "hybrid:\n      task: bare\n      max_steps: 2\n      method: joint",
            DataError,
            "6: task 'bare' must have expert responses for m",
        ),
        (
            "hybrid:\n      task: earn\n      imitate: bare\n      max_steps: 2\n      method: joint",
            DataError,
            "7: task 'bare' must have expert responses for method joint",
        ),
        (
            "hybrid:\n      task: talk\n      max_steps: 2\n      method: joint",
            DataError,
            "6: task 'talk' must have a reward for stage",
        ),
        ("rl:\n      task: talk\n      max_steps: 2", DataError, "6: task 'talk' must have a reward for stage"),
        ("sft:\n      task: bare\n      max_steps: 2", DataError, "6: task 'bare' must have expert responses for sft"),
        (
            "rl:\n      task: bare\n      max_steps: 2\n      blend: {position: 0.5}",
            DataError,
            "8: task 'bare' must have expert responses, by which a blend is measured. It has not. Drop blend.",
        ),
        (
            "hybrid:\n      task: earn\n      max_steps: 2\n      method: joint\n      loss_type: grpo",
            RecipeError,
            "9: loss_type of stage '02-hybrid' must be dapo",
        ),
        (
            "rl:\n      task: earn\n      max_steps: 2\n      num_generations: 7",
            RecipeError,
            "5: stage '02-rl' must have options that TRL accepts",
        ),
    ],
)
def test_what_the_data_refuse_is_said_with_its_line_before_anything_is_written(
    tmp_path: Path, stage: str, kind: type[InterlaceError], message: str
) -> None:
    """The second stage is at fault; the first is not begun."""
    path = tmp_path / "mix.yaml"
    path.write_text(f"stages:\n  - sft:\n      task: earn\n      max_steps: 2\n  - {stage}\n")
    tasks = {
        "earn": Task.from_rows(ROWS, right, heldout=16),
        "talk": Task.from_rows(ROWS, heldout=16),
        "bare": Task.from_rows([{"prompt": row["prompt"]} for row in ROWS], right, heldout=16),
    }
    with pytest.raises(kind) as caught:
        interlace.run(str(path), tmp_path / "run", tasks=tasks)
    assert str(caught.value).startswith(f"{path}:{message}")
    assert not (tmp_path / "run").exists()


def test_what_an_override_brought_is_said_by_the_override(tmp_path: Path) -> None:
    stages = [{"rl": {"task": "earn", "max_steps": 2}}]
    tasks = {"earn": Task.from_rows(ROWS, right, heldout=16)}
    with pytest.raises(RecipeError, match=r"^--set stages.rl.learning_rate: learning_rate of stage '01-rl' must be"):
        interlace.run({"name": "r", "stages": stages}, tmp_path / "run", tasks=tasks,
                      overrides=["stages.rl.learning_rate=-1"])  # fmt: skip
