"""Published methods: schedules at steps worked out by hand, token losses' gradients in closed form, groups by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from interlace.methods import METHODS, Imitated
from tests.methods.worlds import PLAN, expert, groups, made, own, softmax

SFT, RL = (0.0, 1.0), (1.0, 0.0)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("joint", {}, {0: (0.5, 0.5), 9: (0.5, 0.5)}),
        ("joint", {"mu": 0.3}, {0: (0.7, 0.3)}),
        ("ptx", {"gamma": 27.8}, {0: (1.0, 27.8), 9: (1.0, 27.8)}),
        ("sequential", {}, {0: SFT, 4: SFT, 5: RL, 9: RL}),
        ("sequential", {"first": "rl", "switch_at": 0.3}, {2: RL, 3: SFT}),
        ("interleaved", {"rl_steps": 2}, {0: SFT, 1: RL, 2: RL, 3: SFT}),
        ("interleaved", {"rl_steps": 2, "first": "rl"}, {0: RL, 1: RL, 2: SFT, 3: RL}),
        ("progressive", {}, {0: SFT, 3: (1 / 3, 2 / 3), 9: RL}),
        ("progressive", {"begin": 0.2, "end": 0.8}, {0: (0.8, 0.2), 9: (0.2, 0.8)}),
        ("data_mixing", {}, {0: (1.0, 1.0)}),
        ("chord_mu", {"decay_steps": 200}, {0: (0.1, 0.9), 100: (0.525, 0.475), 200: (0.95, 0.05), 999: (0.95, 0.05)}),
        ("chord_mu", {"decay_steps": 200}, {50: (0.2244796, 0.7755204)}),  # cos(pi / 4)
        ("chord_mu", {"warmup_steps": 2}, {0: RL, 1: (0.55, 0.45), 2: (0.1, 0.9), 6: (0.525, 0.475), 10: (0.95, 0.05)}),
        ("chord_phi", {}, {0: (0.9, 0.1)}),
        ("dft", {}, {0: SFT}),
        ("gift", {}, {0: SFT}),
        ("hpt", {}, {0: (1.0, 1.0)}),
        ("superrl", {}, {0: (1.0, 1.0)}),
        ("positive_lm", {}, {0: (1.0, 0.1)}),
        ("luffy", {}, {0: RL}),
    ],
)  # fmt: skip
def test_weights_of_both_losses_at_steps_worked_out_by_hand(name: str, options: Any, expected: Any) -> None:
    """The plan has 10 steps; a pair is the RL loss's weight and the imitation loss's."""
    method = made(name, **options)
    for step, pair in expected.items():
        weights = method.weights(step)
        assert (weights.rl, weights.sft) == pytest.approx(pair, abs=1e-7), step


def test_a_random_switch_has_its_rate_and_draws_the_same_again() -> None:
    drawn = [made("random_switch", rate=0.3).weights(step).sft for step in range(4000)]
    assert set(drawn) == {0.0, 1.0}
    assert abs(np.mean(drawn) - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 4000)
    assert drawn[:50] == [made("random_switch", rate=0.3).weights(step).sft for step in range(50)]
    assert {made("random_switch", rate=rate).weights(5).sft for rate in (0.0, 1.0)} == {0.0, 1.0}


def test_plain_imitation_has_the_gradient_of_cross_entropy() -> None:
    world = softmax()
    torch.testing.assert_close(world.expert_gradient(made("joint")), world.weighted(torch.ones_like(world.chosen)))


def test_dft_weighs_a_token_by_its_probability() -> None:
    world = softmax()
    torch.testing.assert_close(world.expert_gradient(made("dft")), world.weighted(world.chosen))


def test_chord_phi_weighs_a_token_by_how_undecided_the_policy_is() -> None:
    world = softmax()
    expected = world.weighted(world.chosen * (1 - world.chosen))
    torch.testing.assert_close(world.expert_gradient(made("chord_phi")), expected)


@pytest.mark.parametrize("beta", [0.5, 3.0, 20.0, 1000.0])
def test_gift_is_cross_entropy_to_the_tilted_start(beta: float) -> None:
    """Its value, and its gradient p - q, with q = softmax(log p_start + beta on the expert's token) built outright."""
    world, method = softmax(), made("gift", beta=beta)
    target = (world.start.log_softmax(-1) + beta * world.one_hot).softmax(-1)
    explicit = -(target * world.probabilities.log()).sum(-1)
    torch.testing.assert_close(method.expert_loss(world.expert_tokens()).detach(), explicit)
    expected = world.mask[..., None] * (world.probabilities - target)
    torch.testing.assert_close(world.expert_gradient(method), expected)


@pytest.mark.parametrize("gamma", [0.1, 0.7])
def test_luffy_has_the_gradient_of_its_shaped_probability(gamma: float) -> None:
    """-A p/(p + gamma) on the expert's row, -A log p on the sampled one."""
    world, advantages = softmax(), [0.75, -0.25]
    chance = world.expert_tokens().logprobs.exp()
    shaped, plain = -0.75 * chance / (chance + gamma), 0.25 * chance.log()
    expected = world.gradient(torch.stack([shaped[0], plain[1]]))
    found = world.policy_gradient(made("luffy", gamma=gamma), advantages, world.sampled_tokens([True, False]))
    torch.testing.assert_close(found, expected)


def test_luffy_weighs_unlikely_tokens_most_where_the_probability_is_gamma() -> None:
    """p f'(p) = gamma p/(p + gamma)^2 has its maximum, 1/4, at p = gamma."""
    world = softmax()
    tokens = world.sampled_tokens([True, True])
    at = {p: torch.full_like(tokens.logprobs, math.log(p)) for p in (0.02, 0.1, 0.9)}
    found = {
        p: float(made("luffy").token_advantages(torch.ones(2, dtype=torch.float64), _with(tokens, logprobs))[0, 0])
        for p, logprobs in at.items()
    }
    assert found == pytest.approx({0.02: 0.002 / 0.0144, 0.1: 0.25, 0.9: 0.09}, abs=1e-12)


def _with(tokens: Any, logprobs: torch.Tensor) -> Any:
    return type(tokens)(logprobs, tokens.entropies, tokens.mask, tokens.is_expert)


@pytest.mark.parametrize(
    ("name", "options", "imitated"),
    [
        ("hpt", {}, [0]),
        ("hpt", {"gate": 0.25}, [0, 2]),
        ("hpt", {"gate": 0.25, "reward_above": 1.0}, [0, 1, 2]),
        ("superrl", {}, [0]),
    ],
)
def test_prompts_that_fail_are_imitated_and_have_no_advantage(name: str, options: Any, imitated: list[int]) -> None:
    """Of groups that solve 0, 2 and 1 of 4."""
    batch = groups()
    found = made(name, **options).regroup(batch)
    assert found.imitated == tuple(Imitated(expert(prompt)) for prompt in imitated)
    assert found.sft == pytest.approx(len(imitated) / 3)
    for prompt in range(3):
        expected = 0.0 * batch.advantages[prompt] if prompt in imitated else batch.advantages[prompt]
        assert (found.advantages[prompt] == expected).all()


def test_own_successes_are_imitated_beside_unchanged_advantages() -> None:
    batch = groups()
    found = made("positive_lm").regroup(batch)
    assert found.imitated == tuple(Imitated(own(p, k)) for p, k in [(1, 0), (1, 3), (2, 0)])
    assert (found.advantages == batch.advantages).all() and found.sft == 1.0


def test_sources_of_trl_options_are_kept() -> None:
    """HPT and LUFFY centre rewards alone; SuperRL leaves TRL's normalisation."""
    assert METHODS["hpt"].trl == METHODS["luffy"].trl == {"scale_rewards": "none", "beta": 0.0}
    assert METHODS["superrl"].trl == {} and METHODS["luffy"].expert_rows == 1


def test_unless_it_says_otherwise_a_method_adds_gradients_and_leaves_advantages() -> None:
    method, one = made("joint"), {"w": torch.ones(2)}
    assert torch.equal(method.combine(one, {"w": 2 * one["w"]}, one)["w"], 3 * one["w"])
    advantages = torch.tensor([1.0, -1.0])
    assert method.token_advantages(advantages, softmax().sampled_tokens([False, False])) is advantages
    assert method.hint(0, 0, 0) is None and method.state == {} and PLAN.rng(1).random() != PLAN.rng(2).random()
