"""C9: rewards permuted within groups carry no information; what would break that is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from transformers import TrainerState
from trl import GRPOConfig, GRPOTrainer

from interlace.errors import RecipeError
from interlace.stages.grpo import PlaceboGRPOTrainer, drawn_anew, permuted_within_groups, refuse_leaks


def configured(**options: object) -> GRPOConfig:
    return GRPOConfig("unused", use_cpu=True, bf16=False, per_device_train_batch_size=8, **options)


def advantages(rewards: torch.Tensor, group: int) -> torch.Tensor:
    """TRL's default: group mean and standard deviation."""
    grouped = rewards.view(-1, group)
    return ((grouped - grouped.mean(1, keepdim=True)) / (grouped.std(1, keepdim=True) + 1e-4)).flatten()


def test_C9_the_mean_over_permutations_of_every_advantage_is_zero() -> None:
    """Enumeration of all 24 permutations of a group of four unequal rewards."""
    rewards = torch.tensor([0.0, 1.0, 1.0, 3.0], dtype=torch.float64)
    every = torch.stack([advantages(rewards[list(order)], 4) for order in itertools.permutations(range(4))])
    torch.testing.assert_close(every.mean(0), torch.zeros(4, dtype=torch.float64))


def test_groups_keep_their_rewards_and_rows_keep_their_columns() -> None:
    rewards = torch.arange(24.0).view(12, 2)
    permuted = permuted_within_groups(rewards, 4, np.random.default_rng(0))
    assert not torch.equal(permuted, rewards)
    for start in range(0, 12, 4):
        assert sorted(permuted[start : start + 4].tolist()) == rewards[start : start + 4].tolist()


def test_a_permutation_depends_on_its_seed_alone() -> None:
    rewards = torch.arange(16.0).view(16, 1)
    first, again, other = (permuted_within_groups(rewards, 8, np.random.default_rng([s, 5])) for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_iterations", 2),
        ("steps_per_generation", 4),
        ("beta", 0.04),
    ],
)
def test_strict_refuses_what_gives_the_gradient_a_mean(name: str, value: object) -> None:
    with pytest.raises(RecipeError, match=f"placebo: strict needs `{name}`"):
        refuse_leaks(configured(**{name: value}))


def test_strict_takes_the_defaults() -> None:
    refuse_leaks(configured(beta=0.0))


def stub(mode: str, monkeypatch: pytest.MonkeyPatch) -> PlaceboGRPOTrainer:
    """A trainer whose rewards are 0 to 7 and whose advantages are 1 to 8, without a model."""
    rewards, advantages = torch.arange(8.0)[:, None], torch.arange(1.0, 9.0)
    monkeypatch.setattr(GRPOTrainer, "_calculate_rewards", lambda self, *_: rewards)
    monkeypatch.setattr(GRPOTrainer, "_generate_and_score_completions", lambda self, _: {"advantages": advantages})
    trainer = object.__new__(PlaceboGRPOTrainer)
    trainer.placebo_mode, trainer.placebo_seed = mode, 0
    trainer.args, trainer.state = configured(), TrainerState(global_step=3)
    trainer._step, trainer.num_generations, trainer.beta = 3, 4, 0.0
    return trainer


def test_the_trainer_permutes_within_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    found = stub("strict", monkeypatch)._calculate_rewards()
    assert not torch.equal(found, torch.arange(8.0)[:, None])
    assert sorted(found[:4, 0].tolist()) == [0, 1, 2, 3] and sorted(found[4:, 0].tolist()) == [4, 5, 6, 7]


def test_only_the_mirrored_placebo_turns_the_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    for mode, sign in (("strict", 1.0), ("as_configured", 1.0), ("mirrored", -1.0)):
        found = stub(mode, monkeypatch)._generate_and_score_completions([])["advantages"]
        assert torch.equal(found, sign * torch.arange(1.0, 9.0))


def test_C9_random_rewards_are_independent_of_completions_and_keep_mean_and_variance() -> None:
    """Enumeration over the generator's draws: any row may come from any other, each as often."""
    rewards = torch.tensor([[0.0], [1.0], [1.0], [3.0]], dtype=torch.float64)
    drawn = torch.stack([drawn_anew(rewards, np.random.default_rng(seed)) for seed in range(20_000)])[..., 0]
    own = rewards[:, 0]
    spread = float(own.std(correction=0))
    assert (drawn.mean(0) - own.mean()).abs().max() < 4 * spread / 20_000**0.5
    assert (drawn.var(0, correction=0) - own.var(correction=0)).abs().max() < 0.06
    correlations = torch.corrcoef(drawn.T) - torch.eye(4)
    assert correlations.abs().max() < 4 / 20_000**0.5
    assert advantages(drawn.flatten(), 4).view(-1, 4).mean(0).abs().max() < 0.03


def test_random_rewards_stay_rewards_of_the_batch_and_rows_keep_their_columns() -> None:
    rewards = torch.arange(24.0).view(12, 2)
    drawn = drawn_anew(rewards, np.random.default_rng(0)).tolist()
    assert all(row in rewards.tolist() for row in drawn) and sorted(drawn) != rewards.tolist()
