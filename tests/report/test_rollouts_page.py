"""The page of a plan from rollouts: every figure in it, drawn from finite numbers, nothing from outside as markup."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from interlace.dumps import RolloutPlan, plan_rollouts
from interlace.encoding import dumps
from interlace.estimate import Estimate, value_text
from interlace.report.dumps import render_rollouts
from interlace.report.dumps.chart import rollouts_chart
from tests.dumps.worlds import rollouts, world, write_verl

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def plan() -> RolloutPlan:
    return plan_rollouts("example", exchange_rate=0.5)


def test_the_page_holds_every_figure(plan: RolloutPlan) -> None:
    page = render_rollouts(plan)
    for point in plan.points:
        for figure in (point.reward, point.reward_variance, point.dead_groups, point.rl_time):
            assert not isinstance(figure, Estimate) or value_text(figure) in page
    for sentence in (*plan.advice, *plan.conditions):
        assert sentence in page.replace("&#39;", "'")
    for title in ("Reward, as sampled", "on the curve", "Variance within prompts, as sampled", "Curve above"):
        assert title in page
    assert "<h1>Reward passed the expert\u2019s 0.76" in page


def test_the_figure_has_all_panels_and_only_finite_numbers(plan: RolloutPlan) -> None:
    chart = rollouts_chart(plan)
    assert {"yaxis", "yaxis2", "yaxis3", "yaxis4", "yaxis5"} <= set(chart.layout)
    assert len(chart.layout["shapes"]) == 3
    text = dumps(chart.spec)
    assert '"inf"' not in text and '"nan"' not in text
    assert json.loads(text)["layout"]["yaxis"]["range"][0] < 0.7


def test_without_an_expert_the_page_is_of_rewards(tmp_path: Path) -> None:
    write_verl(tmp_path, rollouts(world(4, 1.0), np.random.default_rng(0), prompts=20, samples=4))
    plan = plan_rollouts(tmp_path)
    assert "<h1>Reward went from" in render_rollouts(plan)
    assert "yaxis4" not in rollouts_chart(plan).layout


def test_nothing_from_outside_is_markup(plan: RolloutPlan) -> None:
    page = render_rollouts(replace(plan, rollouts=HOSTILE, source=HOSTILE, notes=(HOSTILE,)))
    assert HOSTILE not in page
