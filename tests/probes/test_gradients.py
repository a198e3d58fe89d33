"""Gradients and Hessian products against their naive twins in float64, and training untouched by them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from peft import LoraConfig

from interlace.policies import EncodedResponse, Policy, encode_responses, gradients, load_policy
from interlace.policies.gradients import HessianMethod, ResponseSum, gradient, hessian_product
from interlace.policies.kept import KeptPolicy
from interlace.policies.parameters import ParameterSpace, block_of
from interlace.policies.policy import independent_copy
from interlace.probes import MeasuredTask, ProbeContext
from interlace.probes.parts import loss_parts, split_prompts
from interlace.tasks.base import Task
from tests.probes import naive

PAIRS = [("1+2=", "30"), ("7+8=", "501"), ("3=", "0"), ("10+22=", "2"), ("=", "1717")]


@pytest.fixture
def policy(little_folder: Path) -> Policy:
    return load_policy(str(little_folder), "float64")


def total(policy: Policy, *, of_probability: bool = False) -> ResponseSum:
    weights = np.array([0.4, -1.3, 0.2, 0.7, -0.1])
    return ResponseSum(tuple(encode_responses(policy.tokenizer, PAIRS, 64)), weights, of_probability)


@pytest.mark.parametrize("of_probability", [False, True])
def test_batched_gradients_are_the_sum_of_each_responses_own(policy: Policy, of_probability: bool) -> None:
    space, wanted = ParameterSpace.of(policy.model), total(policy, of_probability=of_probability)
    found = gradient(policy, wanted, space)
    error = naive.relative_error(found.vector.numpy(), naive.gradient(policy, wanted))
    print(f"gradient against per-example autograd: relative error {error:.1e}")
    assert error < 1e-12
    assert found.value == pytest.approx(naive.value(policy, wanted).detach().item(), rel=1e-12)


def test_the_limits_on_a_batch_do_not_change_what_is_found(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    space = ParameterSpace.of(policy.model)
    whole = gradient(policy, total(policy), space).vector
    monkeypatch.setattr(gradients, "MAX_BATCH_TOKENS", 8)
    torch.testing.assert_close(gradient(policy, total(policy), space).vector, whole)


def test_an_empty_sum_has_gradient_0(policy: Policy) -> None:
    found = gradient(policy, ResponseSum((), np.array([])), ParameterSpace.of(policy.model))
    assert found.value == 0.0 and not found.vector.any()


def test_gradients_at_other_weights_are_those_of_a_model_that_has_them(policy: Policy) -> None:
    space = ParameterSpace.of(policy.model)
    shift = torch.randn(space.dimension, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.01
    other = policy.with_model(independent_copy(policy.model))
    weights = space.shifted(policy.weights(), shift)
    with torch.no_grad():
        for name, weight in other.model.named_parameters():
            weight.copy_(weights[name])
    found = gradient(policy, total(policy), space, weights).vector
    torch.testing.assert_close(found, gradient(other, total(other), space).vector)
    torch.testing.assert_close(space.flat(weights) - space.flat(space.weights(policy.model)), shift)


def test_hessian_products_are_those_of_the_whole_hessian(little: Policy) -> None:
    """The model itself rounds to float32 in its norms and rotations, which second derivatives show."""
    items = tuple(EncodedResponse(context, (5, 4, 1), 3) for context in ((3, 4), (6, 3, 7)))
    space, wanted = ParameterSpace.of(little.model), ResponseSum(items, np.array([-0.5, -0.5]))
    direction = torch.randn(space.dimension, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    truth = naive.hessian(little, wanted) @ direction.numpy()
    errors = {
        method: naive.relative_error(hessian_product(little, wanted, space, direction, method).numpy(), truth)
        for method in get_args(HessianMethod)
    }
    print(f"against the dense Hessian of {space.dimension} parameters: relative error {errors}")
    assert errors["double_backward"] < 1e-5
    assert errors["finite_difference"] < 0.01


def test_finite_differences_hold_in_float32_too(little_folder: Path) -> None:
    policy = load_policy(str(little_folder))
    items = tuple(EncodedResponse(context, (5, 4, 1), 3) for context in ((3, 4), (6, 3, 7)))
    space, wanted = ParameterSpace.of(policy.model), ResponseSum(items, np.array([-0.5, -0.5]))
    direction = torch.randn(space.dimension, generator=torch.Generator().manual_seed(1))
    exact = hessian_product(policy, wanted, space, direction)
    error = naive.relative_error(hessian_product(policy, wanted, space, direction, "finite_difference"), exact)
    print(f"finite difference in float32: relative error {error:.1e}")
    assert error < 0.02


def test_only_trained_parameters_have_a_gradient(little_folder: Path) -> None:
    """Of an adapter: the base is frozen, and the forward runs through both."""
    policy = load_policy(str(little_folder), "float64")
    torch.manual_seed(0)
    policy.model.add_adapter(LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    policy.model.double()
    space = ParameterSpace.of(policy.model)
    assert space.names and all("lora" in name for name in space.names)
    found = gradient(policy, total(policy), space).vector.numpy()
    assert naive.relative_error(found, naive.gradient(policy, total(policy))) < 1e-12


def test_a_look_differentiates_without_the_trainer_noticing(little_folder: Path) -> None:
    """Dropout, gradient checkpointing and clipping on: the same bits with looks at every moment as without any."""
    alone, watched = (
        train(load_policy(str(little_folder)), looks=False),
        train(load_policy(str(little_folder)), looks=True),
    )
    for name in alone:
        assert torch.equal(alone[name], watched[name]), name


def train(policy: Policy, *, looks: bool) -> dict[str, torch.Tensor]:
    """Weights, gradients, second moments and random state after a few steps on one response."""
    torch.manual_seed(0)
    policy.model.train()
    policy.model.gradient_checkpointing_enable()
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=1e-2)
    for _ in range(4):
        optimizer.zero_grad()
        policy.model(
            input_ids=torch.tensor([[3, 4, 5, 6]] * 8), labels=torch.tensor([[3, 4, 5, 6]] * 8)
        ).loss.backward()
        look(policy, looks)
        torch.nn.utils.clip_grad_norm_(policy.model.parameters(), 0.1)
        optimizer.step()
        look(policy, looks)
    named = dict(policy.model.named_parameters())
    state = {name: weight.detach() for name, weight in named.items()} | {"rng": torch.random.get_rng_state()}
    state |= {f"grad {name}": weight.grad for name, weight in named.items() if weight.grad is not None}
    state |= {f"moment {name}": optimizer.state[weight]["exp_avg_sq"] for name, weight in named.items()}
    return state | {"modes": torch.tensor([module.training for module in policy.model.modules()])}


def look(policy: Policy, wanted: bool) -> None:
    if wanted:
        items = (EncodedResponse((3, 4), (5, 6), 2),)
        space, some = ParameterSpace.of(policy.model), ResponseSum(items, np.array([1.0]))
        direction = gradient(policy, some, space).vector
        hessian_product(policy, some, space, direction)
        hessian_product(policy, some, space, direction, "finite_difference")


def test_dropout_does_change_training(little_folder: Path) -> None:
    """So that the test above means something."""
    policy = load_policy(str(little_folder))
    calm = load_policy(str(little_folder))
    for layer in calm.model.model.layers:
        layer.self_attn.attention_dropout = 0.0
    ids = torch.tensor([[3, 4, 5, 6]] * 8)
    noisy, plain = (each.model.train()(input_ids=ids).logits for each in (policy, calm))
    assert not torch.equal(noisy, plain)


def test_looking_goes_past_a_trainers_own_forward(policy: Policy) -> None:
    """Trainers wrap `forward` in bfloat16 autocast; a gradient is taken in the weights' own precision."""
    space, expected = ParameterSpace.of(policy.model), gradient(policy, total(policy), ParameterSpace.of(policy.model))

    def broken(*_: object, **__: object) -> None:
        raise AssertionError("the trainer's forward was called")

    policy.model.__dict__["forward"] = broken
    assert torch.equal(gradient(policy, total(policy), space).vector, expected.vector)
    assert policy.model.__dict__["forward"] is broken


def test_frozen_copies_have_no_space(policy: Policy) -> None:
    assert ParameterSpace.of(copy.deepcopy(policy.model).requires_grad_(False)).dimension == 0


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("model.norm.weight", "norm"),
        ("lm_head.weight", "lm_head"),
        ("transformer.h.11.attn.c_attn.weight", "h.11"),
        ("base_model.model.model.layers.3.self_attn.q_proj.lora_A.default.weight", "layers.3"),
        ("vision.layers.3.weight", "vision.layers.3"),
    ],
)
def test_blocks_are_layers(name: str, block: str) -> None:
    assert block_of(name) == block


def test_a_kept_policy_is_differentiated_where_it_was_kept(little: Policy, little_task: Task) -> None:
    """Both ways to a Hessian-vector product, and the directions, read the kept weights, not those trained since."""
    space, start = ParameterSpace.of(little.model), KeptPolicy.of(little)
    part = loss_parts(MeasuredTask.prepare(little_task, little), split_prompts(8, 2))[0]
    direction = torch.randn(space.dimension, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    truths = {m: hessian_product(little, part.total, space, direction, m) for m in get_args(HessianMethod)}
    with torch.no_grad():
        for weight in little.model.parameters():
            weight += 0.05
    for method, truth in truths.items():
        torch.testing.assert_close(hessian_product(start, part.total, space, direction, method), truth)
    there = ProbeContext(start, start, MeasuredTask.prepare(little_task, little), 2, 0, at_start=True)
    assert there.look.directions == {}
    since = ProbeContext(little, start, MeasuredTask.prepare(little_task, little), 2, 0)
    torch.testing.assert_close(since.look.directions["displacement"], torch.full((space.dimension,), 0.05).double())
