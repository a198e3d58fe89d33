"""The first sentences say what is resolved, and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from interlace.analysis.seeds import across_seeds
from interlace.analysis.summary import RunSummary, Split, Stages, StageSummary
from interlace.estimate import Figure, Unresolved, figure_text
from interlace.report.headline import cards, run_headline, seeds_headline
from tests.report.examples import controls_summary, facts_summary, figure


def with_stage(summary: RunSummary, name: str, edit: Callable[[StageSummary], StageSummary]) -> RunSummary:
    stages = tuple(edit(stage) if stage.name == name else stage for stage in summary.stages)
    return dataclasses.replace(summary, stages=Stages(stages))


def with_sft_loss(stage: StageSummary, change: Figure) -> StageSummary:
    edited = (
        dataclasses.replace(item, change=change) if item.objective == "sft_loss" and item.weights == "raw" else item
        for item in stage.objectives
    )
    return dataclasses.replace(stage, objectives=tuple(edited))


def test_the_title_says_what_each_stage_did_to_the_other_objective(summary: RunSummary) -> None:
    expected = "RL raised the SFT loss by 0.32 nats a response. The SFT after it lowered the reward by 0.19."
    assert run_headline(summary).title == expected


@pytest.mark.parametrize(
    ("change", "start"),
    [
        (figure(-0.3, 0.1), "RL lowered the SFT loss by 0.30 nats a response."),
        (figure(0.05, 0.1), "RL did not resolvably change the SFT loss."),
        (Unresolved("no expert"), "What RL did to the SFT loss is not resolved."),
    ],
)
def test_an_unresolved_sign_makes_no_claim(summary: RunSummary, change: Figure, start: str) -> None:
    edited = with_stage(summary, "rl", lambda stage: with_sft_loss(stage, change))
    assert run_headline(edited).title.startswith(start)


def test_a_rise_is_told_apart_into_damage_and_wanted_unlearning(summary: RunSummary) -> None:
    sentence = run_headline(summary).sentences[-1]
    assert "wrong responses contributed +0.75" in sentence
    assert "right responses \u22120.43 (an improvement, not damage)" in sentence


def test_without_a_split_nothing_is_said_of_damage(summary: RunSummary) -> None:
    none = Unresolved("the reward is not binary")
    split = {"raw": Split(none, none, none, none, none)}
    edited = with_stage(summary, "rl", lambda stage: dataclasses.replace(stage, split=split))
    assert not any("wrong responses" in sentence for sentence in run_headline(edited).sentences)


def test_a_placebo_is_named(summary: RunSummary) -> None:
    edited = with_stage(summary, "rl", lambda stage: dataclasses.replace(stage, placebo="strict"))
    assert run_headline(edited).title.startswith("RL with shuffled rewards raised")


def test_controls_are_called_so() -> None:
    summary = controls_summary()
    assert [card.control for card in cards(summary)] == [
        None,
        "rewards permuted within each group",
        "SFT again, from sft",
    ]
    expected = (
        "RL with shuffled rewards raised the SFT loss by 0.32 nats a response. SFT after SFT lowered the reward by"
    )
    assert run_headline(summary).title == f"{expected} 0.19."


def test_a_card_says_in_words_what_its_figures_do_not(summary: RunSummary) -> None:
    assert [card.remark for card in cards(summary)] == [stage.remark for stage in summary.stages]


def test_true_rewards_come_before_a_placebo(summary: RunSummary) -> None:
    first, rl, last = summary.stages
    placebo = dataclasses.replace(rl, name="placebo", placebo="strict")
    edited = dataclasses.replace(summary, stages=Stages((first, placebo, rl, last)))
    assert run_headline(edited).title.startswith("RL raised")


def test_a_run_without_rl_is_named_by_its_recipe(summary: RunSummary) -> None:
    edited = dataclasses.replace(summary, stages=Stages((summary.stages["sft"],)))
    assert run_headline(edited).title == "quickstart: what each stage changed"


def test_the_headline_over_seeds_takes_the_means_over_seeds() -> None:
    summaries = [facts_summary(seed) for seed in (1, 2, 3)]
    across = across_seeds(summaries)
    row = next(row for row in across if (row.stage, row.objective, row.weights) == ("rl", "sft_loss", "raw"))
    assert figure_text(row.change, signed=True) in seeds_headline([summaries]).sentences[0]


def test_the_headline_of_several_recipes_says_which_they_are() -> None:
    groups = [[facts_summary(seed) for seed in (1, 2, 3)], [controls_summary(seed) for seed in (1, 2)]]
    headline = seeds_headline(groups)
    assert headline.title == "quickstart (3 seeds) beside quickstart-controls (2 seeds)"
    first, second = headline.sentences
    assert first.startswith("quickstart: RL raised the SFT loss by ") and "The SFT after it lowered" in first
    assert second.startswith("quickstart-controls: RL with shuffled rewards ") and "SFT after SFT lowered" in second


def test_an_unfinished_stage_says_how_far_it_came(summary: RunSummary) -> None:
    edited = with_stage(summary, "rl", lambda stage: dataclasses.replace(stage, steps_done=40))
    assert cards(edited)[1].steps == "40 of 100 steps"
