"""Sentences and advice: claims from resolved figures only."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from scipy import stats

from interlace.analysis import summarise
from interlace.estimate import figure_text
from interlace.theory.distributional.tilt import tilted_policy
from tests.analysis.worlds import Stage, binary_problem, make_record, softmax_gradient_run, tilted_run


@pytest.fixture
def problem(rng):
    return binary_problem(rng, prompts=200)


def mixed(problem, start, shares):
    return {10 * i: (1 - share) * start + share * problem.expert for i, share in enumerate(shares)}


def test_a_rise_is_put_on_right_and_wrong_responses(problem):
    summary = summarise(make_record(problem, Stage(tilted_run(problem, np.linspace(0.0, 7.0, 15)))))
    sentence = summary.stages["rl"].sentence
    assert sentence.startswith("RL raised reward from 0.29 to 1.00 (+0.71 [")
    assert "and raised SFT loss from" in sentence
    assert "(unlearning that the reward asks for) on the expert's wrong responses" in sentence
    assert "(no damage) on its right ones" in sentence
    assert "Reward passed the expert's 0.694 by step" in sentence and "SFT loss was least at step" in sentence


def test_the_advice_prices_the_steps_after_the_least_loss_and_names_the_data(problem):
    summary = summarise(make_record(problem, Stage(tilted_run(problem, np.linspace(0.0, 7.0, 15)))))
    stop, mend = summary.advice
    assert stop.startswith(f"To keep the SFT skills, stop rl near step {summary.stages['rl'].least_sft_loss_step}")
    assert "the least SFT loss of 15 looks, not told apart from steps " in stop
    assert "correct the SFT data rather than hold RL back" in mend


@pytest.mark.parametrize("looks", [3, 15])
def test_the_steps_not_told_apart_from_the_least_loss_are_those_of_a_paired_t_test(problem, looks):
    """With the error divided over the other looks."""
    run = tilted_run(problem, np.linspace(0.0, 7.0, looks))
    summary = summarise(make_record(problem, Stage(run)))
    losses = {step: -(problem.expert * np.log(policy)).sum(axis=1) for step, policy in run.items()}
    least = min(losses, key=lambda step: losses[step].mean())
    alike = [
        step
        for step, loss in losses.items()
        if step == least
        or loss.mean() < losses[least].mean()
        or stats.ttest_rel(loss, losses[least]).pvalue >= 0.05 / (looks - 1)
    ]
    apart = (
        f", not told apart from steps {alike[0]} to {alike[-1]}" if len(alike) > 1 else ", resolved below all others"
    )
    assert f"the least SFT loss of {looks} looks{apart}" in summary.advice[0]


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
    assert undone.startswith("sft-2 took back reward (\u2212")
    assert "by step 10 reward was" in undone and "mix RL into it" in undone
    assert "SFT lowered reward" in summary.stages["sft-2"].sentence


def test_other_weights_are_advised_where_they_beat_the_raw_ones_at_equal_reward(problem):
    raw = softmax_gradient_run(problem, 3.0, 20)
    path = tilted_run(problem, np.linspace(0.0, 3.0, 5))
    line = {i / 4: policy for i, policy in enumerate(path.values())}
    summary = summarise(make_record(problem, Stage(raw, averaged={20: path[30]}, line=line)))
    ship = summary.advice[-1]
    assert sum("If you ship" in sentence for sentence in summary.advice) == 1
    assert ship.startswith("If you ship rl, take the averaged weights (reward") and ship.endswith("that you need.")
    assert "more when they passed that reward) or the weights at 0." in ship
    assert "of the straight line from start to end (reward" in ship


def test_a_stage_that_cost_sft_loss_from_its_start_on_is_priced(problem):
    """A start above parity: no earlier step is better for SFT loss, so a nat has a price, and others may be cheaper."""
    start = tilted_policy(problem, 2.5)
    above = dataclasses.replace(problem, reference=start)
    raw = softmax_gradient_run(above, 3.0, 20)
    path = tilted_run(above, np.linspace(0.0, 2.0, 5))
    line = {i / 4: policy for i, policy in enumerate(path.values())}
    summary = summarise(make_record(above, Stage(raw, averaged={20: path[20]}, line=line)))
    price, stage = summary.advice[0], summary.stages["rl"]
    assert stage.least_sft_loss_step == 0 and "before it starts" not in price
    assert price.startswith("Every measured step of rl had a higher SFT loss than its start. All of it bought reward +")
    per_nat = stage.reward.change.value / stage.sft_loss.change.value
    assert f": {per_nat:.2f}" in price and "reward units/nat" in price
    assert "Cheaper: the averaged weights, +" in price and "of the straight line from start to end, +" in price


def test_a_stage_that_cost_sft_loss_and_won_nothing_has_no_price(problem):
    """RL that goes down in reward, away from the expert on every side."""
    start = problem.expert
    raw = tilted_run(dataclasses.replace(problem, reference=start), [0.0, -1.0, -2.0])
    (price, *_) = summarise(make_record(problem, Stage(raw))).advice
    assert "shows no gain of reward for it (\u2212" in price and price.endswith(": go back to its start.")


def test_the_remark_leaves_out_what_a_card_shows(problem):
    run = tilted_run(problem, np.linspace(0.0, 7.0, 15))
    stage = summarise(make_record(problem, Stage(run, averaged={140: run[100]}))).stages["rl"]
    assert stage.sentence.endswith(stage.remark) and "raised reward from" not in stage.remark
    assert stage.remark.startswith("Of the rise of SFT loss, +")
    assert "Reward passed the expert's" in stage.remark and "Averaged weights ended at" in stage.remark


def test_sentences_print_figures_as_tables_do(problem):
    stage = summarise(make_record(problem, Stage(tilted_run(problem, np.linspace(0.0, 7.0, 15))))).stages["rl"]
    texts = [stage.sentence, *(item.sentence for item in (*stage.verdicts, *stage.self_checks))]
    assert figure_text(stage.sft_loss.change, signed=True) in stage.sentence
    assert not [text for text in texts if re.search(r"(^|[ (\[])-\d", text)]


def test_no_other_weights_are_advised_on_one_and_the_same_path(problem):
    raw, path = tilted_run(problem, np.linspace(0.0, 4.0, 7)), tilted_run(problem, np.linspace(0.0, 3.1, 5))
    line = {i / 4: policy for i, policy in enumerate(path.values())}
    summary = summarise(make_record(problem, Stage(raw, averaged={60: path[30]}, line=line)))
    assert not any("If you ship" in sentence or "Interpolate" in sentence for sentence in summary.advice)


def test_nothing_resolved_is_said(rng):
    problem = binary_problem(rng, prompts=12)
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


def test_a_reward_that_gives_one_number_to_everything_is_to_be_mended(problem):
    constant = dataclasses.replace(problem, reward=np.zeros_like(problem.reward))
    summary = summarise(make_record(constant, Stage({0: problem.reference, 10: problem.expert})))
    (advice,) = summary.advice
    assert advice.startswith("Mend the reward of rl: all that it scored earned 0.000, at the start and at the end")


def test_a_reward_that_failed_is_to_be_mended_and_nothing_else_is_advised(problem):
    record = make_record(problem, Stage(tilted_run(problem, [0.0, 0.0])))
    failed = "the reward failed, and what reads it was switched off: no reward today"
    (stage,) = record.stages
    record = dataclasses.replace(record, stages=(dataclasses.replace(stage, dead_reward=failed),))
    assert summarise(record).advice == (
        f"Mend the reward of rl, then train again: {failed}. From there on nothing of it was measured.",
    )


def test_a_preference_stage_says_what_is_seen_on_both_sides(problem):
    sentence = (
        summarise(make_record(problem, Stage(tilted_run(problem, np.linspace(0.0, 7.0, 15)), kind="preference")))
        .stages["preference"]
        .sentence
    )
    assert sentence.startswith("Preference training raised reward")
    assert "(unlearnt) on the expert's wrong responses" in sentence and "not told from 0" not in sentence
