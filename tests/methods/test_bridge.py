"""BRIDGE's three movers on a small softmax policy in float64, against base, baseline and factors held apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from interlace.errors import RecipeError
from interlace.methods import METHODS, Update, method_options
from interlace.methods.low_rank import new_adapter
from tests.methods.worlds import PLAN, made

MATRIX, VECTOR = "proj.weight", "norm.weight"
SCALE, MU, RATE, BASELINE_RATE, LEARNING_RATE = 1.5, 0.3, 3.0, 2.0, 0.01
Weights = dict[str, Tensor]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


CONTEXTS, REWARDS, EXPERT = drawn(7, 4), drawn(7, 5, seed=1), torch.tensor([0, 3, 1, 4, 2, 2, 0])
START = {MATRIX: drawn(5, 4, seed=2), VECTOR: drawn(5, seed=3)}


def sft_loss(weights: Weights) -> Tensor:
    """Mean cross-entropy of the expert's choice, weighted as in an update."""
    logprobs = (CONTEXTS @ weights[MATRIX].T + weights[VECTOR]).log_softmax(-1)
    return -MU * logprobs.gather(-1, EXPERT[:, None]).mean()


def rl_loss(weights: Weights) -> Tensor:
    """Expected reward, exactly, turned; weighted as in an update."""
    policy = (CONTEXTS @ weights[MATRIX].T + weights[VECTOR]).softmax(-1)
    return -(1.0 - MU) * (policy * REWARDS).sum(-1).mean()


def gradient(loss: Any, weights: Weights) -> Weights:
    leaves = {name: each.detach().clone().requires_grad_() for name, each in weights.items()}
    return dict(zip(leaves, torch.autograd.grad(loss(leaves), list(leaves.values())), strict=True))


def bridge(**options: Any) -> Any:
    asked = {"mu": MU, "rank": 2, "scale": SCALE, "rate": RATE, "baseline_rate": BASELINE_RATE}
    return made("bridge_like", **asked | options)


def displaced(method: Any, weights: Weights) -> Weights:
    apart = method.displacement()
    return {name: each + apart[name] if name in apart else each for name, each in weights.items()}


def updated(method: Any, weights: Weights, step: int) -> Weights:
    """The merged weights after an update, the base by plain steps of 0.1 on what the method combines."""
    method.see_second_point(gradient(rl_loss, displaced(method, weights)))
    ones = {name: torch.ones_like(each) for name, each in weights.items()}
    combined = method.combine(gradient(rl_loss, weights), gradient(sft_loss, weights), ones)
    return {
        name: method.settle(Update(step, name, each, each - 0.1 * combined[name], combined[name], LEARNING_RATE))
        for name, each in weights.items()
    }


def factors(method: Any) -> tuple[Tensor, Tensor]:
    return method.tensors[f"{MATRIX}|left"], method.tensors[f"{MATRIX}|right"]


@dataclass
class Apart:
    """Base, baseline and factors as parameters of their own."""

    base: Weights
    baseline: Weights
    left: Tensor
    right: Tensor

    @classmethod
    def at_start(cls) -> Apart:
        begin = new_adapter(START[MATRIX], 2, PLAN.rng(0, *MATRIX.encode()))
        base, baseline = ({name: each.clone().requires_grad_() for name, each in START.items()} for _ in range(2))
        return cls(base, baseline, *(begin[part].clone().requires_grad_() for part in ("left", "right")))

    def merged(self, weights: Weights) -> Weights:
        return {MATRIX: weights[MATRIX] + SCALE * self.left @ self.right, VECTOR: weights[VECTOR]}

    @property
    def joint(self) -> Tensor:
        here = self.merged(self.base)
        return sft_loss(here) + rl_loss(here)

    @property
    def alone(self) -> Tensor:
        return rl_loss(self.merged(self.baseline))


def test_bridge_moves_base_baseline_and_adapter_as_three_optimizers_would() -> None:
    """All by gradients at the same place: the base of both losses, the baseline of RL's, the factors of the penalty
    form, by torch's own optimizers."""
    method, merged, twin = bridge(), START, Apart.at_start()
    movers = (
        (torch.optim.SGD(twin.base.values(), lr=0.1), lambda: twin.joint),
        (torch.optim.Adam(twin.baseline.values(), lr=BASELINE_RATE * LEARNING_RATE), lambda: twin.alone),
        (torch.optim.Adam([twin.left, twin.right], lr=RATE * LEARNING_RATE), lambda: twin.joint - twin.alone),
    )
    for step in range(8):
        merged = updated(method, merged, step)
        held = [[each for group in mover.param_groups for each in group["params"]] for mover, _ in movers]
        found = [torch.autograd.grad(loss(), each) for (_, loss), each in zip(movers, held, strict=True)]
        for (mover, _), parameters, gradients in zip(movers, held, found, strict=True):
            for parameter, each in zip(parameters, gradients, strict=True):
                parameter.grad = each
            mover.step()
        for expected, weights in ((twin.base, merged), (twin.baseline, displaced(method, merged))):
            for name, each in twin.merged(expected).items():
                torch.testing.assert_close(weights[name], each.detach(), rtol=1e-9, atol=1e-11)
    assert max(float(each.abs().max()) for each in method.displacement().values()) > 0.05


def test_the_adapter_follows_the_slope_of_the_penalty_form_and_the_base_that_of_the_joint_loss() -> None:
    """Against central differences, at a place where base and baseline are apart and both factors are not 0."""
    method, merged = bridge(), START
    for step in range(4):
        merged = updated(method, merged, step)
    left, right = factors(method)
    base = {**merged, MATRIX: merged[MATRIX] - SCALE * left @ right}
    apart = displaced(method, base)

    def penalty(parts: list[Tensor]) -> float:
        here, there = ({**each, MATRIX: each[MATRIX] + SCALE * parts[0] @ parts[1]} for each in (base, apart))
        return float(sft_loss(here) + rl_loss(here) - rl_loss(there))

    means = {part: method.tensors[f"{MATRIX}|{part}_mean"].clone() for part in ("left", "right")}
    updated(method, merged, 4)
    for place, part in enumerate(means):
        slope = (method.tensors[f"{MATRIX}|{part}_mean"] - 0.9 * means[part]) / 0.1
        torch.testing.assert_close(slope, differences(penalty, [left, right], place), rtol=0, atol=1e-8)
        assert slope.abs().max() > 1e-2
    combining = bridge()
    combining.see_second_point(gradient(rl_loss, merged))
    found = combining.combine(gradient(rl_loss, merged), gradient(sft_loss, merged), merged)

    def joint(parts: list[Tensor]) -> float:
        weights = dict(zip(START, parts, strict=True))
        return float(sft_loss(weights) + rl_loss(weights))

    for place, name in enumerate(START):
        slope = differences(joint, [merged[each] for each in START], place)
        torch.testing.assert_close(found[name], slope, rtol=0, atol=1e-8)


def differences(function: Any, at: list[Tensor], place: int, size: float = 1e-5) -> Tensor:
    """Central ones of a function of several tensors, by each entry of one of them."""
    found = torch.zeros_like(at[place])
    for entry in np.ndindex(*found.shape):
        values = []
        for sign in (1.0, -1.0):
            moved = [each.clone() for each in at]
            moved[place][entry] += sign * size
            values.append(function(moved))
        found[entry] = (values[0] - values[1]) / (2.0 * size)
    return found


def test_where_base_and_baseline_are_one_the_adapter_follows_imitation_alone() -> None:
    """To the bit, at the first update."""
    method = bridge()
    right = new_adapter(START[MATRIX], 2, PLAN.rng(0, *MATRIX.encode()))["right"]
    assert method.displacement() == {}
    updated(method, START, 0)
    alone = (1 - 0.9) * (SCALE * gradient(sft_loss, START)[MATRIX] @ right.T)
    assert torch.equal(method.tensors[f"{MATRIX}|left_mean"], alone)


def test_without_rl_both_base_and_adapter_imitate_and_there_is_no_baseline() -> None:
    method = bridge(mu=1.0)
    assert (method.weights(0).rl, method.weights(0).sft) == (0.0, 1.0)
    method.see_second_point({})
    slope = gradient(sft_loss, START)
    settled = {
        name: method.settle(Update(0, name, each, each - slope[name], slope[name], LEARNING_RATE))
        for name, each in START.items()
    }
    assert torch.equal(settled[VECTOR], START[VECTOR] - slope[VECTOR])
    added = settled[MATRIX] - (START[MATRIX] - slope[MATRIX])
    assert float((added * slope[MATRIX]).sum()) < 0.0
    assert method.displacement() == {}


def test_bridge_goes_on_with_what_it_remembered() -> None:
    method, merged = bridge(), START
    for step in range(3):
        merged = updated(method, merged, step)
    again = bridge()
    again.restore_tensors({name: each.clone() for name, each in method.tensors.items()})
    one, other = updated(method, merged, 3), updated(again, merged, 3)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert method.tensors.keys() == again.tensors.keys()
    assert all(torch.equal(again.tensors[name], each) for name, each in method.tensors.items())


@pytest.mark.parametrize("name", ["embed_tokens.weight", "lm_head.weight"])
def test_embeddings_are_of_the_base_alone(name: str) -> None:
    method, after = bridge(), torch.ones(3, 2)
    method.see_second_point({name: after})
    method.combine({name: after}, {name: after}, {name: after})
    assert method.settle(Update(0, name, after * 2, after, after, 0.01)) is after
    torch.testing.assert_close(method.displacement()[name], after - BASELINE_RATE * 0.01)


def test_what_the_second_loss_would_disturb_is_refused() -> None:
    option, sentence = METHODS["bridge_like"].refuses({"use_adaptive_entropy": True}) or ("", "")
    assert option == "use_adaptive_entropy" and "must be off with method bridge_like" in sentence
    assert METHODS["bridge_like"].refuses({"beta": 0.1}) is None
    with pytest.raises(RecipeError, match="mu"):
        method_options({"name": "bridge_like", "mu": 0.0})
