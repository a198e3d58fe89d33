"""C9: rewards permuted within groups carry no information; what would break that is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from trl import GRPOConfig

from interlace.errors import RecipeError
from interlace.stages.grpo import permuted_within_groups, refuse_leaks


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
        ("mask_truncated_completions", True),
    ],
)
def test_strict_refuses_what_gives_the_gradient_a_mean(name: str, value: object) -> None:
    with pytest.raises(RecipeError, match=f"placebo: strict needs `{name}`"):
        refuse_leaks(configured(**{name: value}))


def test_strict_takes_the_defaults() -> None:
    refuse_leaks(configured(beta=0.0))
