"""Sentences and advice: claims from resolved figures only."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from interlace.analysis import summarise
from interlace.theory.tilt import tilted_policy
from tests.analysis.worlds import Stage, binary_problem, make_record, softmax_gradient_run, tilted_run


@pytest.fixture
def problem(rng):
    return binary_problem(rng, prompts=200)


def mixed(problem, start, shares):
    return {10 * i: (1 - share) * start + share * problem.expert for i, share in enumerate(shares)}


def test_a_rise_is_put_on_right_and_wrong_responses(problem):
    summary = summarise(make_record(problem, Stage(tilted_run(problem, np.linspace(0.0, 7.0, 15)))))
    sentence = summary.stages["rl"].sentence
    assert sentence.startswith("RL raised reward from 0.289 to 0.997 (+0.709 [")
    assert "and raised SFT loss from" in sentence
    assert "(unlearning that the reward asks for) on the expert's wrong responses" in sentence
    assert "(no damage) on its right ones" in sentence
    assert "Reward passed the expert's 0.694" in sentence and "SFT loss was least at step" in sentence


def test_the_advice_prices_the_steps_after_the_least_loss_and_names_the_data(problem):
    summary = summarise(make_record(problem, Stage(tilted_run(problem, np.linspace(0.0, 7.0, 15)))))
    stop, mend = summary.advice
    assert stop.startswith(f"To keep the SFT skills, stop rl near step {summary.stages['rl'].least_sft_loss_step}")
    assert "correct the SFT data rather than hold RL back" in mend


def test_damage_is_not_blamed_on_the_data(problem):
    """RL that moves mass among right answers, away from the expert's."""
    shifted = problem.reference * [5.0, 0.02, 0.1, 0.1, 0.1]
    summary = summarise(
        make_record(problem, Stage({0: problem.reference, 10: shifted / shifted.sum(1, keepdims=True)}))
    )
    assert "(damage) on its right ones" in summary.stages["rl"].sentence
    assert not any("correct the SFT data" in sentence for sentence in summary.advice)


def test_sft_after_rl_that_takes_the_reward_back_is_named(problem):
    rl = tilted_run(problem, [0.0, 2.0, 7.0])
    sft = mixed(problem, rl[20], [0.0, 0.5, 0.9])
    summary = summarise(make_record(problem, Stage(rl), Stage(sft, kind="sft", name="sft-2")))
    undone = summary.advice[-1]
    assert undone.startswith("sft-2 took back reward (-")
    assert "by step 10 reward was" in undone and "mix RL into it" in undone
    assert "SFT lowered reward" in summary.stages["sft-2"].sentence


def test_other_weights_are_advised_where_they_beat_the_raw_ones_at_equal_reward(problem):
    raw = softmax_gradient_run(problem, 3.0, 20)
    path = tilted_run(problem, np.linspace(0.0, 3.0, 5))
    line = {i / 4: policy for i, policy in enumerate(path.values())}
    summary = summarise(make_record(problem, Stage(raw, averaged={20: path[30]}, line=line)))
    ship, interpolate = summary.advice[-2:]
    assert ship.startswith("Ship the averaged weights of rl: reward") and "more when they passed that reward" in ship
    assert interpolate.startswith("Interpolate the weights of rl, 0.")


def test_no_other_weights_are_advised_on_one_and_the_same_path(problem):
    raw, path = tilted_run(problem, np.linspace(0.0, 4.0, 7)), tilted_run(problem, np.linspace(0.0, 3.1, 5))
    line = {i / 4: policy for i, policy in enumerate(path.values())}
    summary = summarise(make_record(problem, Stage(raw, averaged={60: path[30]}, line=line)))
    assert not any("Ship" in sentence or "Interpolate" in sentence for sentence in summary.advice)


def test_nothing_resolved_is_said(rng):
    problem = binary_problem(rng, prompts=3)
    still = problem.reference * np.exp(0.01 * rng.normal(size=problem.reference.shape))
    still /= still.sum(axis=1, keepdims=True)
    summary = summarise(make_record(problem, Stage({0: problem.reference, 10: still})))
    assert "did not move reward beyond its interval" in summary.stages["rl"].sentence
    assert summary.advice[0].startswith("Nothing is resolved in this run")


def test_an_unfinished_stage_says_so(problem):
    summary = summarise(make_record(problem, Stage(tilted_run(problem, [0.0, 1.0]), planned=100)))
    assert summary.stages["rl"].sentence.startswith("So far (10 of 100 steps) RL raised reward")
    assert "rl lacks 90 of 100 steps: run the same command again to go on." in summary.advice


def test_averaged_weights_have_a_sentence(problem):
    run = tilted_run(problem, [0.0, 1.0, 3.0])
    sentence = summarise(make_record(problem, Stage(run, averaged={20: run[10]}))).stages["rl"].sentence
    assert "Averaged weights ended at reward" in sentence


def test_a_perfect_expert_has_no_wrong_responses(rng):
    problem = binary_problem(rng)
    right = problem.expert * problem.reward
    problem = dataclasses.replace(problem, expert=right / right.sum(axis=1, keepdims=True))
    sentence = summarise(make_record(problem, Stage(tilted_run(problem, [0.0, 2.0])))).stages["rl"].sentence
    assert "the expert has no wrong ones" in sentence


def test_nothing_measured_is_a_sentence_too(problem):
    record = make_record(problem, Stage({0: problem.reference}))
    sentence = summarise(dataclasses.replace(record, kept={})).stages["rl"].sentence
    assert "has nothing resolved" in sentence


def test_sft_towards_the_expert_is_learning(problem):
    start = tilted_policy(problem, -2.0)
    sentence = summarise(make_record(problem, Stage(mixed(problem, start, [0.0, 0.9]), kind="sft"))).stages[0].sentence
    assert sentence.startswith("SFT raised reward") and "(learnt) on its right ones" in sentence
