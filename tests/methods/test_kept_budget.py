"""What guarded RL says of its budget: on prompts that did not steer, look by look."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.analysis.kept_rises import judged_rises
from interlace.analysis.trajectory import Snapshot, Trajectory
from interlace.measurement import HeldOut, PromptScores
from interlace.methods import Method, Plan, build_method
from interlace.methods.kept_budget import budget_sentence

PROMPTS = np.arange(64)
HELD = HeldOut("t", 64, PROMPTS, np.ones(64), np.ones(64), np.full(64, 2), True)
PLAN = Plan("other", "t", 10, 2, 2, 32, 0)
STEERS = PROMPTS % 2 == 0
"""Those that the controller reads: here they rise by 5 nats a token, and that is nobody's business."""


def look(step: int, rise: float, spread: float = 0.0) -> Snapshot:
    rises = np.where(STEERS, 5.0, rise + spread * np.where(PROMPTS // 2 % 2, 1.0, -1.0))
    return Snapshot(HELD, step, None, PromptScores(-1.0 - 2.0 * rises, None, None, True, None))


def seen(*looks: Snapshot, weights: str = "raw") -> Trajectory:
    start = Snapshot(HELD, 0, None, PromptScores(np.full(64, -1.0), None, None, True, None))
    return Trajectory("t", weights, HELD, (start, *looks))


def test_looks_within_the_budget_or_not_resolved_from_it_are_counted() -> None:
    looks = seen(look(5, 0.01, 0.01), look(10, 0.3, 0.01), look(15, 0.12, 0.4))
    rises = judged_rises(looks)
    assert [rise.value for rise in rises] == pytest.approx([0.01, 0.3, 0.12], abs=1e-9)
    assert rises[0].upper < 0.1 < rises[1].lower and rises[2].lower < 0.1 < rises[2].upper
    sentence = budget_sentence(looks, 0.1)
    assert sentence.startswith("on held-out prompts that did not steer, the rise of SFT loss was within the budget of ")
    assert "at 2 of 3 looks (resolved within it at 1); at the last it was +0.12 [" in sentence
    assert sentence.endswith("nats/token, not resolved from the budget")


@pytest.mark.parametrize(("rise", "said"), [(0.3, ", above the budget"), (0.01, ", within the budget")])
def test_the_last_look_is_held_against_the_budget(rise: float, said: str) -> None:
    assert budget_sentence(seen(look(5, 0.05, 0.01), look(10, rise, 0.01)), 0.1).endswith(said)


def test_what_was_not_measured_is_said() -> None:
    assert budget_sentence(seen(), 0.1) == (
        "whether the budget of 0.1 nats/token was kept cannot be told: SFT loss was measured at the stage's start only"
    )


@pytest.mark.parametrize(
    ("asked", "kept", "read"), [(None, "averaged", 0.3), (None, "raw", 0.01), ("raw", "averaged", 0.01)]
)
def test_guarded_concludes_of_the_weights_that_it_guards(asked: str | None, kept: str, read: float) -> None:
    """Of the average where the stage keeps one, unless it is told otherwise; of the task that it imitates."""
    method = build_method({"name": "guarded", "budget": 0.1, "weights": asked}, PLAN)
    found = {"raw": seen(look(5, 0.01, 0.01)), "averaged": seen(*[look(5, 0.3, 0.01)] * (kept == "averaged"))}
    if kept == "raw":
        found["averaged"] = Trajectory("t", "averaged", HELD, ())

    def of(task: str, weights: str) -> Trajectory:
        assert task == "t"
        return found[weights]

    assert f"at the last it was +{read:.2f}"[:28] in method.conclude(of)


def test_others_conclude_nothing() -> None:
    assert Method.conclude(build_method("joint", PLAN), lambda task, weights: seen()) is None
