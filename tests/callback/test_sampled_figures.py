"""What is read of the samples that training draws anyway, against the same figures group by group."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from interlace.callback.gathering import batch_of, listen, rollouts_of
from interlace.callback.rollouts import Batch, Rollouts, in_groups
from interlace.estimate import Estimate, Figure, Unresolved
from tests.attachment import worlds


def gathered(rewards: np.ndarray) -> Rollouts:
    rollouts = Rollouts.seeded("rows", Unresolved("not asked"), "not asked", 0)
    rollouts.add(Batch(rewards, np.full(rewards.shape, 3.0), np.zeros(rewards.shape)))
    return rollouts


def test_rewards_are_read_group_by_group_and_what_was_not_scored_is_left_out() -> None:
    rng = np.random.default_rng(0)
    rewards = rng.standard_normal((30, 8))
    rewards[rng.random((30, 8)) < 0.2] = np.nan
    rewards[3] = np.nan
    rewards[5, 1:] = np.nan
    found = gathered(rewards).figures()
    groups = [group[~np.isnan(group)] for group in rewards]
    whole = [group for group in groups if group.size > 1]
    reward, variance = found["train_reward"], found["train_reward_variance"]
    assert isinstance(reward, Estimate) and isinstance(variance, Estimate)
    assert reward.n == variance.n == len(whole) == 28
    assert reward.value == pytest.approx(np.mean([group.mean() for group in whole]))
    assert variance.value == pytest.approx(np.mean([group.var(ddof=1) for group in whole]))


def test_a_reward_that_was_never_earned_is_not_known_to_be_0() -> None:
    found = gathered(np.zeros((16, 4))).figures()
    reward, variance = found["train_reward"], found["train_reward_variance"]
    assert isinstance(reward, Estimate) and reward.lower == 0.0 < reward.upper < 0.3
    assert isinstance(variance, Unresolved) and "no reward differs within any of 16 groups" in variance.reason


def alike(rng: np.random.Generator, groups: int, members: int = 8) -> dict[str, np.ndarray]:
    """Completions of one prompt are alike: a group has its own length, share cut off and size of advantage."""
    shape = groups, members
    length = rng.gamma(4.0, 5.0, size=(groups, 1)) * rng.gamma(8.0, 1.0 / 8.0, size=shape)
    cut = (rng.random(shape) < rng.beta(0.2, 1.8, size=(groups, 1))).astype(float)
    return {"lengths": length, "cut": cut, "advantages": np.abs(rng.gamma(2.0, 0.5, size=(groups, 1)) * np.ones(shape))}


TRUTH = {"train_completion_tokens": 20.0, "train_truncated_fraction": 0.1, "train_advantage_size": 1.0}


@pytest.mark.parametrize("groups", [16, 64])
def test_intervals_of_what_is_alike_within_groups_cover(groups: int) -> None:
    """Over single completions they covered in 62 to 84 %."""
    rng, runs = np.random.default_rng(0), 400
    hits = dict.fromkeys(TRUTH, 0)
    for _ in range(runs):
        drawn = alike(rng, groups)
        rollouts = Rollouts.seeded("rows", Unresolved("not asked"), "not asked", 0)
        rollouts.add(Batch(np.full(drawn["cut"].shape, np.nan), drawn["lengths"], drawn["cut"]))
        rollouts.advantages.append(drawn["advantages"])
        found = rollouts.figures()
        for name, truth in TRUTH.items():
            figure = found[name]
            assert isinstance(figure, Estimate) and figure.n == groups and figure.lower >= 0.0
            hits[name] += figure.covers(truth)
    share = found["train_truncated_fraction"]
    assert isinstance(share, Estimate) and share.upper <= 1.0
    assert all(count / runs >= 0.91 for count in hits.values())


def test_a_share_never_leaves_0_to_1() -> None:
    cut = np.zeros((8, 4))
    cut[0, 0] = 1.0
    for shares in (cut, 1.0 - cut, 0.0 * cut):
        rollouts = Rollouts.seeded("rows", Unresolved("not asked"), "not asked", 0)
        rollouts.add(Batch(np.full(cut.shape, np.nan), np.full(cut.shape, 2.0), shares))
        found = rollouts.figures()["train_truncated_fraction"]
        assert isinstance(found, Estimate) and 0.0 <= found.lower < found.upper <= 1.0


def test_a_process_that_holds_part_of_a_group_reads_that_part(tmp_path: Path) -> None:
    trainer = worlds.grpo(tmp_path, worlds.make_task())  # groups of 4
    trainer.processing_class = SimpleNamespace(eos_token_id=0, pad_token_id=1)
    rewards = torch.arange(12, dtype=torch.float32)[:, None]  # of two processes, six completions each
    ids = [[5, 0], [5, 5, 0], [5], [0], [5, 5, 5, 5, 5], [7, 0]]
    batch = batch_of(trainer, rewards, ids)
    assert batch.rewards.shape == (3, 4) and batch.lengths.shape == (2, 4)
    assert np.nanmean(batch.lengths, axis=1).tolist() == [7 / 4, 7 / 2]
    assert np.nanmean(batch.cut, axis=1).tolist() == [1 / 4, 1 / 2]


@pytest.mark.parametrize(
    ("funcs", "weights", "expected"),
    [
        (1, None, None),
        (1, [1.0], None),
        (1, [0.5], "the trainer's reward is 0.5 times the task's (reward_weights)"),
        (2, None, "the trainer's reward is not the task's reward alone"),
    ],
)
def test_only_the_tasks_reward_with_weight_1_compares_with_the_experts(
    tmp_path: Path, funcs: int, weights: list[float] | None, expected: str | None
) -> None:
    task = worlds.make_task()
    trainer = worlds.grpo(tmp_path, task, reward_funcs=[task.reward] * funcs, reward_weights=weights)
    rollouts = rollouts_of(trainer, task)
    assert rollouts.mismatch == expected
    rng = np.random.default_rng(0)
    rollouts.add(Batch(rng.binomial(1, 0.5, (32, 4)).astype(float), np.ones((32, 4)), np.zeros((32, 4))))
    gap = rollouts.figures()["train_parity_gap"]
    if expected is None:
        assert isinstance(gap, Estimate)
    else:
        assert isinstance(gap, Unresolved) and gap.reason == f"{expected}, so the expert's does not compare"


def windows(*pass_rates: float) -> list[Figure]:
    """RL time after each window of 64 groups of 8, on a path where all prompts are alike."""
    rng = np.random.default_rng(1)
    rollouts = Rollouts.seeded("rows", Unresolved("not asked"), "not asked", 0)
    found = []
    for rate in pass_rates:
        rewards = rng.binomial(1, rate, (64, 8)).astype(float)
        rollouts.add(Batch(rewards, np.ones((64, 8)), np.zeros((64, 8))))
        found.append(rollouts.figures()["train_rl_time"])
    return found


def log_odds(rate: float) -> float:
    return float(np.log(rate / (1.0 - rate)))


@pytest.mark.parametrize("flat", [0.0, 1.0])
def test_a_window_without_variance_is_refused_alone(flat: float) -> None:
    """On one prompt's path dR/dt = R (1 - R), so that RL time is the change of log odds."""
    before, refused, after = windows(0.4, 0.5, flat, 0.6)[1:]
    assert isinstance(refused, Unresolved) and "nothing to move along" in refused.reason
    assert isinstance(before, Estimate) and before.covers(log_odds(0.5) - log_odds(0.4))
    assert isinstance(after, Estimate) and after.covers(log_odds(0.6) - log_odds(0.4))
    assert after.method.endswith("; 1 window without variance left out")


def test_windows_added_one_by_one_are_the_whole_path_at_once() -> None:
    found = windows(0.3, 0.4, 0.5, 0.6, 0.7)[-1]
    rng = np.random.default_rng(1)
    groups = [rng.binomial(1, rate, (64, 8)).astype(float) for rate in (0.3, 0.4, 0.5, 0.6, 0.7)]
    rewards, variances = (np.array([f(each) for each in groups]) for f in (np.mean, mean_variance))
    expected = np.sum(np.diff(rewards) * (1.0 / variances[1:] + 1.0 / variances[:-1]) / 2.0)
    assert isinstance(found, Estimate) and found.value == pytest.approx(expected)


def mean_variance(groups: np.ndarray) -> float:
    return float(groups.var(axis=1, ddof=1).mean())


def test_groups_are_laid_out_in_rows() -> None:
    assert np.array_equal(in_groups(np.arange(4.0), 2), [[0.0, 1.0], [2.0, 3.0]])


@pytest.mark.parametrize(
    ("funcs", "options", "is_dead", "falls"),
    [
        (1, {}, True, True),
        (2, {}, True, False),
        (1, {"shuffle_dataset": False}, True, False),
        (1, {"multi_objective_aggregation": "normalize_then_sum"}, True, True),
        (2, {"multi_objective_aggregation": "normalize_then_sum"}, False, False),
    ],
)
def test_flags_read_groups_only_as_far_as_they_can_be_read(
    tmp_path: Path, funcs: int, options: dict[str, object], is_dead: bool, falls: bool
) -> None:
    """Equal sums of several rewards have advantages where each is normalised first; other rewards than the task's, or
    prompts in an order of their own, do not compare with the first ones."""
    task = worlds.make_task()
    rollouts = rollouts_of(worlds.grpo(tmp_path, task, reward_funcs=[task.reward] * funcs, **options), task)
    for _ in range(4):
        rollouts.add(Batch(np.zeros((32, 4)), np.ones((32, 4)), np.zeros((32, 4))))
    groups, flat = rollouts.groups, rollouts.figures()["train_flat_groups_fraction"]
    assert (groups is not None) == is_dead == isinstance(flat, Estimate)
    assert (groups is not None and groups.first is not None) == falls


def test_equal_sums_of_rewards_normalised_first_have_advantages(tmp_path: Path) -> None:
    """TRL's own advantages, of two rewards whose weighted sums are all the same."""
    task = worlds.make_task()

    def first(completions: list[str], **_: object) -> list[float]:
        return [float(i % 2) for i in range(len(completions))]

    def second(completions: list[str], **_: object) -> list[float]:
        return [-2.0 * value for value in first(completions)]

    sizes = []
    for way in ("sum_then_normalize", "normalize_then_sum"):
        trainer = worlds.grpo(tmp_path, task, reward_funcs=[first, second], reward_weights=[1.0, 0.5], max_steps=1,
                              multi_objective_aggregation=way)  # fmt: skip
        rollouts = listen(trainer, task, lambda where, read: read())
        trainer.train()
        (batch,) = rollouts.batches
        assert np.ptp(batch.rewards) == 0.0
        sizes.append(float(np.max(rollouts.advantages)))
    assert sizes[0] == 0.0 and sizes[1] > 0.5
