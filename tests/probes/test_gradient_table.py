"""Parts and their inner products against pairwise loops over per-example gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from interlace.policies import EncodedResponse, Policy
from interlace.policies.parameters import ParameterSpace
from interlace.probes import MeasuredTask, ProbeContext, gradient_table
from interlace.probes.gradient_table import LOSS, REWARD, fill_table
from interlace.probes.moment import preconditioner
from interlace.probes.parts import loss_parts, merged, num_parts, sampled_reward_parts, split_prompts
from interlace.tasks.base import Task
from tests.probes import naive
from tests.probes.conftest import imitate

Look = Callable[..., ProbeContext]


def test_no_prompt_is_in_two_parts(look: Look) -> None:
    parts = look().parts(8)
    prompts = np.concatenate([part.prompts for each in parts.values() for part in each])
    assert len(parts) == 2 and len(np.unique(prompts)) == prompts.size == 48
    assert {len(part.prompts) for each in parts.values() for part in each} == {3}


def test_prompts_are_dealt_like_cards() -> None:
    first, second, third = split_prompts(8, 3)
    assert (first.tolist(), second.tolist(), third.tolist()) == ([0, 3], [1, 4], [2, 5])
    assert [each.tolist() for each in split_prompts(100, 2, most=4)] == [[0, 2], [1, 3]]


def test_parts_fit_the_memory() -> None:
    assert num_parts(446_000, 2) == 12
    assert num_parts(135_000_000, 2) == 4
    assert 4 <= num_parts(20_000_000, 2) < 12


def test_the_table_is_what_pairwise_loops_find(look: Look, little: Policy) -> None:
    seen = look()
    table, parts = seen.gradients, seen.parts(12)
    alone = {key: [naive.gradient(little, part.total) for part in each] for key, each in parts.items()}
    errors = {}
    for left in parts:
        for right in parts:
            truth = np.array([[a @ b for b in alone[right]] for a in alone[left]])
            errors[left[1], right[1]] = naive.relative_error(table.products(left, right), truth)
    print({key: f"{error:.1e}" for key, error in errors.items()})
    assert max(errors.values()) < 1e-11
    step = next(iter(seen.look.directions))
    direction = seen.look.directions[step].numpy()
    slopes = [vector @ direction for vector in alone["sums", LOSS]]
    np.testing.assert_allclose(table.slopes(("sums", LOSS), step), slopes, rtol=1e-9)


def test_blocks_add_up_to_the_whole(look: Look) -> None:
    table = look().gradients
    assert set(table.blocks) == {"embed_tokens", "layers.0", "layers.1", "norm"}
    np.testing.assert_allclose(sum(table.blocks.values()), table.whole)


def test_values_are_the_objectives(look: Look, little_task: Task) -> None:
    """All prompts in one part: the probes' own SFT loss and reward."""
    seen = look()
    loss, reward = (merged(parts) for parts in seen.parts(6).values())
    table = fill_table(seen.policy, seen.look.space, {("sums", LOSS): [loss], ("sums", REWARD): [reward]})
    heldout = seen.target.heldout
    per_prompt = heldout.per_prompt(-np.array([seen.logprobs[row].sum() for row in seen.target.expert]))
    assert table.parts(("sums", LOSS))[0] == pytest.approx(per_prompt[loss.prompts].mean(), rel=1e-6)
    assert seen.target.rewarded is not None
    earned = [sum(r * np.exp(seen.logprobs[i].sum()) for i, r in row) for row in seen.target.rewarded]
    assert table.parts(("sums", REWARD))[0] == pytest.approx(np.mean([earned[i] for i in reward.prompts]), rel=1e-6)


def test_sampled_gradients_average_to_the_exact_one(look: Look, little: Policy, little_task: Task) -> None:
    """Leave-one-out policy gradient: unbiased for the enumerated gradient, on a policy that earns something."""
    imitate(little, little_task, num_steps=60, learning_rate=1e-2)
    seen, sets, space = look(), split_prompts(48, 1), ParameterSpace.of(little.model)
    exact = seen._reward_parts(sets)
    truth = fill_table(little, space, {("sums", REWARD): exact})
    directions = {"truth": torch.from_numpy(naive.gradient(little, exact[0].total))}
    draws = [
        fill_table(little, space, {("sums", REWARD): sampled(seen, seed)._reward_parts(sets)}, directions=directions)
        for seed in range(12)
    ]
    along = np.array([draw.slopes(("sums", REWARD), "truth")[0] for draw in draws])
    assert abs(along.mean() - truth.whole[0, 0]) < 4 * along.std(ddof=1) / np.sqrt(len(along))
    assert along.mean() == pytest.approx(truth.whole[0, 0], rel=0.2)
    rewards = np.array([draw.values[0] for draw in draws])
    assert abs(rewards.mean() - truth.values[0]) < 4 * rewards.std(ddof=1) / np.sqrt(len(rewards))


def sampled(seen: ProbeContext, seed: int) -> ProbeContext:
    """The same look where rewards cannot be enumerated."""
    target = replace(seen.target, rewarded=None)
    return ProbeContext(seen.policy, seen.start, target, completions_per_prompt=64, seed=seed)


def test_leave_one_out_advantages_by_hand() -> None:
    items = [[EncodedResponse((3,), (token, 1), 2) for token in (4, 5, 6)]]
    (part,) = sampled_reward_parts(items, np.array([[1.0, 0.0, 0.0]]), split_prompts(1, 1))
    np.testing.assert_allclose(part.total.weights, np.array([1.0, -0.5, -0.5]) / 3)
    (flat,) = sampled_reward_parts(items, np.array([[1.0, 1.0, 1.0]]), split_prompts(1, 1))
    assert flat.total.responses == () and flat.value == 1.0


def test_large_models_are_kept_in_half_the_memory(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    full = look().gradients
    parts = look().parts(12)
    monkeypatch.setattr(gradient_table, "MAX_BYTES", 1)
    seen = look()
    rounded = fill_table(seen.policy, seen.look.space, parts)
    error = naive.relative_error(rounded.whole, full.whole)
    print(f"products of bfloat16 vectors: relative error {error:.1e}")
    assert error < 2e-3


def test_adams_diagonal_turns_a_gradient_into_its_step(little: Policy) -> None:
    """Without momentum a step is -lr P g."""
    space = ParameterSpace.of(little.model)
    optimizer = torch.optim.AdamW(little.model.parameters(), lr=1e-3, betas=(0.0, 0.9), weight_decay=0.0)
    assert preconditioner(little.model, space, optimizer) is None
    for _ in range(3):
        optimizer.zero_grad()
        little.model.eval()(input_ids=torch.tensor([[3, 4, 5]]), labels=torch.tensor([[3, 4, 5]])).loss.backward()
        before = space.flat(space.weights(little.model))
        optimizer.step()
    found = preconditioner(little.model, space, optimizer)
    assert found is not None
    gradient = torch.cat([w.grad.reshape(-1) for w in little.model.parameters() if w.grad is not None])
    step = space.flat(space.weights(little.model)) - before
    torch.testing.assert_close(step, -1e-3 * found * gradient, rtol=1e-6, atol=1e-12)
    assert preconditioner(little.model, space, torch.optim.SGD(little.model.parameters(), lr=0.1)) is None


def test_too_few_prompts_have_no_objectives(look: Look, little_task: Task) -> None:
    few = replace(little_task, heldout=little_task.heldout[:5])
    assert look(task=few).objectives == ()


def test_a_task_with_only_an_expert_uses_every_prompt(look: Look, little_task: Task) -> None:
    examples = tuple(replace(example, rewarded=None) for example in little_task.heldout)
    unrewarded = replace(little_task, heldout=examples, reward=None)
    (parts,) = look(task=unrewarded).parts(12).values()
    assert sum(len(part.prompts) for part in parts) == 48


def test_merged_parts_are_the_mean_of_all_prompts(look: Look) -> None:
    target: MeasuredTask = look().target
    sets = split_prompts(48, 4)
    (whole,) = loss_parts(target, [np.sort(np.concatenate(sets))])
    joined = merged(loss_parts(target, sets))
    policy = look().policy
    assert naive.relative_error(naive.gradient(policy, joined.total), naive.gradient(policy, whole.total)) < 1e-12
