"""Published methods: schedules at steps worked out by hand, token losses' gradients in closed form, groups by hand."""

from __future__ import annotations

import inspect
import json
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from interlace.methods import METHODS, Imitated, Update, Weights
from interlace.methods.low_rank import new_adapter
from tests.methods.worlds import PLAN, expert, groups, hint, made, own, softmax

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
        ("srft", {}, {0: (1.0, 1.0)}),
        ("uft", {}, {0: (1.0, 0.001)}),
        ("prefix_rft_like", {}, {0: RL}),
        ("relift", {}, {0: RL, 9: RL}),
        ("mifo_like", {}, {0: RL, 9: RL}),
        ("lspo_like", {}, {0: SFT, 1: RL, 2: SFT}),
        ("bridge_like", {}, {0: (0.5, 0.5), 9: (0.5, 0.5)}),
        ("bridge_like", {"mu": 0.3}, {0: (0.7, 0.3)}),
        ("replay", {}, {0: (0.9, 0.1)}),
        ("replay", {"of": "solved", "rl_steps": 2}, {0: RL, 1: RL, 2: SFT, 3: RL}),
        ("kl_anchor", {}, {0: RL}),
        ("noise_control", {}, {0: RL, 9: RL}),
        ("noise_control", {"mu": 0.25}, {0: (0.75, 0.25)}),
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
    ones = torch.ones(2, dtype=torch.float64)
    tokens = softmax().sampled_tokens([True, True])
    found = {}
    for p in (0.02, 0.1, 0.9):
        at = replace(tokens, logprobs=torch.full_like(tokens.logprobs, math.log(p)))
        found[p] = float(made("luffy").token_advantages(ones, at)[0, 0])
    assert found == pytest.approx({0.02: 0.002 / 0.0144, 0.1: 0.25, 0.9: 0.09}, abs=1e-12)


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
    assert found.sft == 1.0
    assert made(name, **options, weight="share").regroup(batch).sft == pytest.approx(len(imitated) / 3)
    for prompt in range(3):
        expected = 0.0 * batch.advantages[prompt] if prompt in imitated else batch.advantages[prompt]
        assert (found.advantages[prompt] == expected).all()


def test_own_successes_are_imitated_beside_unchanged_advantages() -> None:
    batch = groups()
    found = made("positive_lm").regroup(batch)
    assert found.imitated == tuple(Imitated(own(p, k), is_own=True) for p, k in [(1, 0), (1, 3), (2, 0)])
    assert (found.advantages == batch.advantages).all() and found.sft == 1.0


def test_unless_it_says_otherwise_a_method_adds_gradients_and_leaves_advantages() -> None:
    method, one = made("joint"), {"w": torch.ones(2)}
    assert torch.equal(method.combine(one, {"w": 2 * one["w"]}, one)["w"], 3 * one["w"])
    advantages = torch.tensor([1.0, -1.0])
    assert method.token_advantages(advantages, softmax().sampled_tokens([False, False])) is advantages
    assert method.hint(0, 0, 0) is None and method.state == {} and PLAN.rng(1).random() != PLAN.rng(2).random()


def test_srft_weighs_imitation_by_how_sure_the_policy_is_of_the_response() -> None:
    world = softmax()
    weight = 0.5 * (-world.mean_entropies).exp()
    torch.testing.assert_close(world.expert_gradient(made("srft")), world.weighted(weight[:, None].expand(2, 3)))


def test_srft_weighs_own_solved_completions_by_entropy_and_the_others_by_minus_one() -> None:
    world, method = softmax(), made("srft")
    tokens = world.sampled_tokens([False, False])
    weight = torch.stack([0.1 * world.mean_entropies[0].exp(), torch.tensor(-1.0, dtype=torch.float64)])
    found = world.policy_gradient(method, [1.0, -1.0], tokens)
    torch.testing.assert_close(found, world.weighted(weight[:, None].expand(2, 3)))


def test_srft_treats_the_experts_completion_as_luffy_does() -> None:
    world, tokens = softmax(), softmax().sampled_tokens([True, True])
    found, luffy = (world.policy_gradient(made(name), [0.75, -0.25], tokens) for name in ("srft", "luffy"))
    torch.testing.assert_close(found, luffy)


def test_srft_keeps_the_experts_advantage_and_takes_the_signs_of_the_others() -> None:
    first = np.zeros((3, 4), dtype=np.bool_)
    first[:, 0] = True
    batch = groups(is_expert=first)
    found = made("srft").regroup(batch)
    assert found.advantages[:, 1:].tolist() == [[-1, -1, -1], [-1, -1, 1], [-1, -1, -1]]
    assert (found.advantages[:, 0] == batch.advantages[:, 0]).all() and found.imitated == ()


def test_uft_hints_fall_along_a_cosine_and_then_end() -> None:
    """p_t at t = 1, half way, and at the last update with hints; none after it."""
    method = made("uft")
    chances = [method.chance(step) for step in (0, 149, 299, 300, 10_000)]
    assert chances == pytest.approx([0.05 + 0.45 * (1 + math.cos(math.pi / 300)), 0.5, 0.05, 0.0, 0.0], abs=1e-12)
    assert (
        made("uft", hint_steps=None).chance(9) == pytest.approx(0.05) and made("uft", hint_steps=None).chance(10) == 0.0
    )


def test_uft_gives_a_binomial_number_of_chunks_the_same_to_a_whole_group() -> None:
    method = made("uft")
    hints = [method.hint(149, prompt, 0) for prompt in range(4000)]
    chunks = np.array([0 if hint is None else round(hint.share * 5) for hint in hints])
    expected = np.array([math.comb(5, k) for k in range(6)]) / 32
    found = np.bincount(chunks, minlength=6) / 4000
    assert (np.abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / 4000)).all()
    assert all(hint is None or hint.in_prompt for hint in hints)
    assert hints[:20] == [method.hint(149, prompt, 3) for prompt in range(20)]
    assert hints[:20] != [method.hint(150, prompt, 0) for prompt in range(20)]


def test_uft_imitates_hints_alone() -> None:
    batch = groups()
    found = made("uft").regroup(batch)
    assert found.imitated == (Imitated(hint(0)), Imitated(hint(2)))
    assert (found.advantages == batch.advantages).all() and found.sft == 1.0


def test_prefix_rft_gives_the_first_completion_a_prefix_that_becomes_shorter() -> None:
    method = made("prefix_rft_like")
    shares = [method.hint(step, 7, 0).share for step in (0, 3, 9)]
    assert shares == pytest.approx([0.95, 0.05 + 0.45 * (1 + math.cos(math.pi / 3)), 0.05], abs=1e-12)
    assert not method.hint(0, 7, 0).in_prompt and method.hint(0, 7, 1) is None


def test_prefix_rft_updates_only_the_given_tokens_of_highest_entropy() -> None:
    """Three tokens are given in one row and one in the other: a half rounds up to two and one."""
    world = softmax()
    tokens = world.sampled_tokens([False, False], num_given=(3, 1))
    found = made("prefix_rft_like", top_entropy=0.5).token_advantages(torch.tensor([2.0, -1.0]), tokens)
    expected = torch.tensor([[2.0, 2.0, 2.0], [-1.0, -1.0, -1.0]])
    expected[0, world.entropies[0].argmin()] = 0.0
    assert torch.equal(found, expected)
    none = made("prefix_rft_like", top_entropy=0.0).token_advantages(torch.tensor([2.0, -1.0]), tokens)
    assert none.tolist() == [[0.0, 0.0, 0.0], [0.0, -1.0, -1.0]]


def test_what_the_expert_does_not_answer_is_neither_imitated_nor_without_advantage() -> None:
    """Two of three prompts fail; the expert answers the third alone."""
    batch = groups(is_answered=np.array([False, True, True]))
    found = made("hpt", gate=0.25, weight="share").regroup(batch)
    assert found.imitated == (Imitated(expert(2)),) and found.sft == pytest.approx(1 / 3)
    assert (found.advantages[:2] == batch.advantages[:2]).all() and not found.advantages[2].any()
    relift = made("relift", buffer_size=1)
    relift.regroup(batch)
    assert relift.weights(1).sft == 0.0 and relift.state["buffer"] == []


@pytest.mark.parametrize("weight", ["fixed", "share"])
def test_hpts_share_of_imitation_is_that_of_its_prompts(weight: str) -> None:
    """Two of three prompts fail, then one: whatever their loss weighs, a coin for each prompt had these rates."""
    method = made("hpt", gate=0.25, weight=weight)
    method.regroup(groups())
    assert method.imitation(Weights(1.0, 1.0)) == pytest.approx(2 / 3)
    method.regroup(groups(is_answered=np.array([False, True, True])))
    assert method.imitation(Weights(1.0, 1.0)) == pytest.approx(1 / 3)


def test_own_completions_are_told_from_the_experts() -> None:
    """positive_lm imitates the policy's own; frontier where they are better; replay those that it kept."""
    batch = groups()
    assert all(item.is_own for item in made("positive_lm").regroup(batch).imitated)
    assert not any(item.is_own for item in made("hpt", gate=0.25).regroup(batch).imitated)
    replay = made("replay", of="solved", share=0.5)
    replay.regroup(batch)
    drawn = replay.imitated(1, lambda step, count: [expert(0)] * count)
    assert {item.is_own for item in drawn} == {True, False}
    assert all(item.is_own == (item.response != expert(0)) for item in drawn)


def test_relift_imitates_once_when_its_buffer_is_full() -> None:
    """One prompt of three fails each time: at two the buffer is full, and the update after it is imitation."""
    method = made("relift", buffer_size=2)
    assert method.regroup(groups(step=0)).imitated == ()
    assert method.weights(1).sft == 0.0
    method.regroup(groups(step=1))
    assert (method.weights(1).sft, method.weights(2).rl, method.weights(2).sft) == (0.0, 0.0, 1.0)
    again = made("relift", buffer_size=2)
    again.restore(json.loads(json.dumps(method.state)))
    for each in (method, again):
        assert list(each.imitated(2, no_rows)) == [Imitated(expert(0))] * 2
        each.regroup(groups(step=3))
        assert each.weights(3).rl == 1.0 and list(each.imitated(3, no_rows)) == [Imitated(expert(0))]
    assert method.state == again.state


def test_replayed_experts_are_a_share_of_the_batch() -> None:
    """A quarter of 8."""
    assert list(made("replay", share=0.25).imitated(3, rows)) == [Imitated(expert(3)), Imitated(expert(3))]
    assert len(made("replay", share=0.01).imitated(3, rows)) == 1


def test_replayed_successes_are_drawn_from_the_newest_and_stand_beside_the_experts() -> None:
    method = made("replay", of="solved", share=0.25, capacity=4)
    assert [row.response for row in method.imitated(1, rows)] == [expert(1)] * 8
    method.regroup(groups(step=0))
    method.regroup(groups([[0.0, 1.0]], step=2))
    again = made("replay", of="solved", share=0.25, capacity=4)
    again.restore(json.loads(json.dumps(method.state)))
    kept = {own(1, 0), own(1, 3), own(2, 0), own(0, 1)}
    drawn = set()
    for step in range(40):
        responses = [row.response for row in method.imitated(step, rows)]
        assert responses[:6] == [expert(step)] * 6 and len(set(responses[6:])) == 2
        assert responses == [row.response for row in again.imitated(step, rows)]
        drawn |= set(responses[6:])
    assert drawn == kept
    method.regroup(groups([[1.0, 0.0]], step=3))
    assert own(1, 0) not in [row.response for step in range(40) for row in method.imitated(step, rows)]


def test_mifo_freezes_what_rl_moved_most_while_it_imitates() -> None:
    """RL moves the coordinates by 3, 1, 2 and 0 in two updates; half of them are frozen, the first and the third."""
    method = made("mifo_like", buffer_size=2)
    at, ones = torch.zeros(2, 2), torch.ones(2, 2)
    for step, moved in ((0, [[-1.0, 0.0], [2.0, 0.0]]), (1, [[2.0, 1.0], [0.0, 0.0]])):
        after = torch.tensor(moved)
        assert method.settle(Update(step, "w", at, after, at, 1e-3)) is after
        method.regroup(groups(step=step))
    assert method.tensors["w"].tolist() == [[3.0, 1.0], [2.0, 0.0]]
    again = made("mifo_like", buffer_size=2)
    again.restore(json.loads(json.dumps(method.state)))
    again.restore_tensors(method.tensors)
    for each in (method, again):
        assert each.weights(2).rl == 0.0
        assert each.settle(Update(2, "w", at, ones, at, 1e-3)).tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert method.tensors["w"].tolist() == [[3.0, 1.0], [2.0, 0.0]]


def test_mifo_freezes_nothing_that_rl_has_not_moved() -> None:
    method, at, ones = made("mifo_like"), torch.zeros(4), torch.ones(4)
    method.settle(Update(0, "w", at, torch.tensor([0.0, 0.0, 5.0, 0.0]), at, 1e-3))
    method.restore({"buffer": [], "due": 1})
    assert method.settle(Update(1, "w", at, ones, at, 1e-3)).tolist() == [1.0, 1.0, 0.0, 1.0]


def test_lspo_is_lora_on_imitation_and_leaves_rl_alone() -> None:
    """Against factors trained by torch's Adam under a frozen base, RL moving that base in between."""
    method = made("lspo_like", rank=2, scale=1.5, rate=3.0)
    rng = np.random.default_rng(1)
    inputs, target = (torch.from_numpy(rng.normal(size=size)).float() for size in ((20, 4), (20, 5)))
    base = merged = torch.zeros(5, 4)
    begin = new_adapter(base, 2, PLAN.rng(0, *b"proj.weight"))
    left, right = (begin[part].clone().requires_grad_() for part in ("left", "right"))
    assert (left == 0).all() and 0 < right.abs().max() <= 0.5
    adam = torch.optim.Adam([left, right], lr=0.03)
    for step in range(7):
        merged.requires_grad_(True)
        (gradient,) = torch.autograd.grad(((inputs @ merged.T - target) ** 2).mean(), merged)
        merged = merged.detach()
        after = merged - 0.1 * gradient
        settled = method.settle(Update(step, "proj.weight", merged, after, gradient, 0.01))
        if step % 2:
            assert settled is after
            base = base + (after - merged)
        else:
            adam.zero_grad()
            ((inputs @ (base + 1.5 * left @ right).T - target) ** 2).mean().backward()
            adam.step()
        merged = settled
        torch.testing.assert_close(merged, (base + 1.5 * left @ right).detach(), rtol=1e-4, atol=1e-6)
    again = made("lspo_like", rank=2)
    again.restore_tensors(method.tensors)
    assert all(torch.equal(again.tensors[name], each) for name, each in method.tensors.items())


@pytest.mark.parametrize("name", ["norm.weight", "embed_tokens.weight", "lm_head.weight"])
def test_what_has_no_adapter_stays_while_lspo_imitates(name: str) -> None:
    before = torch.ones(3) if "norm" in name else torch.ones(3, 2)
    assert made("lspo_like").settle(Update(0, name, before, 2 * before, before, 0.01)) is before


def test_mifo_imitates_the_tokens_of_highest_entropy() -> None:
    """A third of three tokens and of two, rounded up: one each."""
    world = softmax()
    top = torch.zeros(2, 3, dtype=torch.float64)
    top[0, world.entropies[0].argmax()] = top[1, world.entropies[1, :2].argmax()] = 1.0
    torch.testing.assert_close(world.expert_gradient(made("mifo_like", top_entropy=1 / 3)), world.weighted(top))


def rows(step: int, count: int) -> list[Any]:
    return [expert(step)] * count


def no_rows(step: int, count: int) -> list[Any]:
    raise AssertionError("a buffer needs no training rows")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_is_and_whence(name: str) -> None:
    """A source has an arXiv id; what is known second hand says so before anything else."""
    method = METHODS[name]
    ours = ("guarded", "frontier", "guarded_frontier", "noise_control", "cycle", "soft_projected")
    own_words = dict.fromkeys(ours, "interlace") | {"random_switch": "control"}
    assert method.name == name and method.sentence and method.cost and method.__doc__
    assert re.search(r"arXiv \d{4}\.\d{5}", method.source) or own_words[name] in method.source
    module = inspect.getmodule(method)
    assert module is not None and module.__doc__
    said = module.__doc__.startswith("Known second hand")
    second_hand = name.endswith("_like") or name == "noise_aware"
    assert said == second_hand == ("second hand" in method.source)
    assert made(name).state == json.loads(json.dumps(made(name).state))
