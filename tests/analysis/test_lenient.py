"""A lenient reward beside the training reward: on the same completions, in the stage's table and in a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.analysis.changes import OBJECTIVES, objective_changes
from interlace.analysis.lenient import FormatExcess, disagreement, format_excess, level_disagreement, stage_excess
from interlace.analysis.trajectory import Snapshot, Trajectory
from interlace.estimate import Estimate, Unresolved
from interlace.measurement import RAW, HeldOut, PromptScores

PROMPTS = 64
HELD = HeldOut("sums", PROMPTS, np.arange(PROMPTS), np.ones(PROMPTS), np.ones(PROMPTS), np.full(PROMPTS, 3), True)


def snapshot(step, strict, lenient, completions=1):
    """One where the first `strict` prompts are right by the training reward and the first `lenient` by the other."""
    right = [np.repeat((np.arange(PROMPTS) < count)[:, None], completions, axis=1) * 1.0 for count in (strict, lenient)]
    law = PromptScores.sampled(right[0])
    scores = PromptScores(
        None, law.reward_values, law.reward_probabilities, strict_rewards=right[0], lenient_rewards=right[1]
    )
    return Snapshot(HELD, step, None, scores)


def stage(*snapshots):
    return Trajectory("sums", RAW, HELD, snapshots)


def figure(value, half):
    return Estimate(value, value - half, value + half, 0.95, 64, "t", "reward units")


@pytest.mark.parametrize("completions", [1, 4])
def test_the_excess_is_the_share_that_only_the_lenient_parser_takes(completions):
    excess = format_excess(snapshot(0, 16, 40, completions))
    assert excess.value == pytest.approx((40 - 16) / PROMPTS)
    assert excess.sign == 1


def test_parsers_that_agree_are_not_told_apart_and_nothing_is_said():
    same = snapshot(0, 20, 20)
    assert format_excess(same).sign == 0
    assert level_disagreement("rl", same) == ""
    assert disagreement(stage_excess(stage(same, snapshot(9, 50, 50))), figure(0.5, 0.1), figure(0.5, 0.1)) == ""


def test_a_rise_of_format_alone_leaves_the_lenient_reward_where_it_was():
    run = stage(snapshot(0, 10, 50), snapshot(9, 50, 50))
    changes = {change.objective: change for change in objective_changes(run)}
    assert changes["reward"].change.value == pytest.approx(40 / PROMPTS)
    lenient = changes["reward_lenient"]
    assert (lenient.before.value, lenient.change.value, lenient.change.sign) == (50 / PROMPTS, 0.0, 0)
    assert lenient.prompts.share.size == PROMPTS
    said = disagreement(stage_excess(run), changes["reward"].change, lenient.change)
    assert "may be one of format" in said
    assert "+0.62" in said


def test_a_rise_of_content_is_shared():
    run = stage(snapshot(0, 5, 25), snapshot(9, 30, 60))
    changes = {change.objective: change for change in objective_changes(run)}
    said = disagreement(stage_excess(run), changes["reward"].change, changes["reward_lenient"].change)
    assert "not of format alone" in said
    away = FormatExcess(figure(0.5, 0.1), figure(0.1, 0.05))
    assert "the other way" in disagreement(away, figure(0.2, 0.1), figure(-0.2, 0.1))
    assert disagreement(away, figure(0.0, 0.1), figure(0.0, 0.1)).endswith("against the training reward's.")


def test_what_was_not_measured_is_left_out():
    law = PromptScores.sampled(np.zeros((PROMPTS, 1)))
    bare = Snapshot(HELD, 0, None, law)
    assert stage_excess(stage(bare, bare)) is None
    assert level_disagreement("rl", bare) == ""
    assert disagreement(None, figure(0.1, 0.05), Unresolved("none")) == ""
    assert "reward_lenient" not in {change.objective for change in objective_changes(stage(bare, bare))}
    assert [name for name, objective in OBJECTIVES.items() if objective.is_optional] == ["reward_lenient"]


def test_a_checkpoint_says_what_format_costs_it():
    assert level_disagreement("rl", snapshot(0, 16, 40)).startswith("rl: a lenient parser reads +0.38")
