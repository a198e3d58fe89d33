"""What a hybrid stage must say, and what it is told when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlace.errors import RecipeError
from interlace.recipe import load_recipe

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
            "sft: {task: sums, max_steps: 2, blend: {position: 0.5}}",
            "blend must stand in a stage of kind rl, hybrid or",
        ),
    ],
)
def test_mistakes_of_hybrid_stages_are_said_with_their_line(tmp_path: Path, stage: str, message: str) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text(TASKS + stage)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}:3: ") and message in str(caught.value)
