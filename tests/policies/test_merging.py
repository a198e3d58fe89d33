"""Every way to merge against its closed form, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from interlace.errors import RecipeError
from interlace.policies.merging import MERGES, merge_config, merge_options, on_arc

SHAPES = {"a": (3, 4), "b": (5,), "c": (2, 2, 2)}


def drawn(seed: int, scale: float = 1.0) -> dict[str, Tensor]:
    rng = np.random.default_rng(seed)
    return {name: torch.from_numpy(scale * rng.normal(size=shape)) for name, shape in SHAPES.items()}


BASE, ENDS = drawn(0), [drawn(seed) for seed in (1, 2, 3)]


def merged(name: str, base: dict[str, Tensor], ends: list[dict[str, Tensor]], **options: object) -> dict[str, Tensor]:
    way, asked = merge_options({"name": name, **options}, len(ends))
    return way.merge(base, ends, asked)


def close(found: dict[str, Tensor], expected: dict[str, np.ndarray]) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].numpy(), value, rtol=1e-12, atol=1e-12)


def vectors(base: dict[str, Tensor], end: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: (end[name] - base[name]).numpy() for name in base}


def test_linear_is_the_weighted_mean() -> None:
    for weights in ((1.0, 1.0, 1.0), (1.0, 2.0, 5.0)):
        expected = {
            name: sum(w * end[name].numpy() for w, end in zip(weights, ENDS, strict=True)) / sum(weights)
            for name in SHAPES
        }
        close(merged("linear", BASE, ENDS, weights=list(weights)), expected)
    close(merged("linear", BASE, ENDS), {name: np.mean([end[name].numpy() for end in ENDS], axis=0) for name in SHAPES})


def test_task_arithmetic_adds_scaled_task_vectors_and_is_the_mean_at_a_scale_of_one_over_n() -> None:
    expected = {name: BASE[name].numpy() + 0.7 * sum(vectors(BASE, end)[name] for end in ENDS) for name in SHAPES}
    close(merged("task_arithmetic", BASE, ENDS, scale=0.7), expected)
    mean = {name: value.numpy() for name, value in merged("linear", BASE, ENDS).items()}
    close(merged("task_arithmetic", BASE, ENDS, scale=1 / 3), mean)


@given(st.integers(0, 2**31), st.floats(0.0, 1.0))
def test_an_arc_turns_by_its_share_of_the_angle_and_keeps_the_length(seed: int, share: float) -> None:
    """In the plane of both: the angle to the first is share * W, that to the second the rest."""
    rng = np.random.default_rng(seed)
    one, other = (torch.from_numpy(vector / np.linalg.norm(vector)) for vector in rng.normal(size=(2, 6)))
    whole = math.acos(float(one @ other))
    found = on_arc(one, other, share)
    assert float(found.norm()) == pytest.approx(1.0, abs=1e-9)
    assert math.acos(min(1.0, float(found @ one))) == pytest.approx(share * whole, abs=1e-6)
    assert math.acos(min(1.0, float(found @ other))) == pytest.approx((1 - share) * whole, abs=1e-6)


def test_an_arc_of_unequal_lengths_is_warps_formula() -> None:
    """At a right angle and half way: (one + other)/sqrt 2, longer than the chord's (one + other)/2."""
    one, other = torch.tensor([3.0, 0.0]).double(), torch.tensor([0.0, 1.0]).double()
    torch.testing.assert_close(on_arc(one, other, 0.5), (one + other) / math.sqrt(2.0))
    torch.testing.assert_close(on_arc(one, other, 0.0), one)
    torch.testing.assert_close(on_arc(one, other, 1.0), other)


@pytest.mark.parametrize("other", [[2.0, 4.0], [-1.0, -2.0], [0.0, 0.0]], ids=["parallel", "opposed", "none"])
def test_where_there_is_no_arc_it_is_the_chord(other: list[float]) -> None:
    one, second = torch.tensor([1.0, 2.0]).double(), torch.tensor(other).double()
    torch.testing.assert_close(on_arc(one, second, 0.25), 0.75 * one + 0.25 * second)


def test_slerp_goes_tensor_by_tensor_and_takes_in_a_third_end_from_the_first_twos_arc() -> None:
    def arc(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
        angle = np.arccos((one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other))
        return (np.sin((1 - share) * angle) * one + np.sin(share * angle) * other) / np.sin(angle)

    first, second, third = (vectors(BASE, end) for end in ENDS)
    half = {name: arc(first[name], second[name], 0.5) for name in SHAPES}
    close(merged("slerp", BASE, ENDS[:2]), {name: BASE[name].numpy() + half[name] for name in SHAPES})
    expected = {name: BASE[name].numpy() + arc(half[name], third[name], 1 / 3) for name in SHAPES}
    close(merged("slerp", BASE, ENDS), expected)
    skewed = {name: BASE[name].numpy() + arc(first[name], second[name], 0.75) for name in SHAPES}
    close(merged("slerp", BASE, ENDS[:2], weights=[1.0, 3.0]), skewed)


def test_ties_by_hand() -> None:
    """Six weights in two tensors, the largest three of each end kept.

    First: 4, -3, -2 are kept of (4, -3, 1 | -2, .5, 0); second: -1, 5, 3 of (-1, -.5, 5 | .2, 0, 3).
    Sums: 3, -3, 5 | -2, 0, 3. So 4 alone, -3 alone, 5 alone, -2 alone, nothing, 3.
    """
    base = {"x": torch.full((3,), 10.0).double(), "y": torch.full((3,), 20.0).double()}
    moves = [([4.0, -3.0, 1.0], [-2.0, 0.5, 0.0]), ([-1.0, -0.5, 5.0], [0.2, 0.0, 3.0])]
    ends = [{"x": base["x"] + torch.tensor(x), "y": base["y"] + torch.tensor(y)} for x, y in moves]
    close(
        merged("ties", base, ends, density=0.5, scale=2.0),
        {"x": 10.0 + 2.0 * np.array([4.0, -3.0, 5.0]), "y": 20.0 + 2.0 * np.array([-2.0, 0.0, 3.0])},
    )


def test_ties_means_over_those_that_agree_alone() -> None:
    """Nothing trimmed: 2 and 4 outvote -1, and their mean is 3; 1 and -1 cancel, and the base stays."""
    base = {"x": torch.zeros(2).double()}
    ends = [{"x": torch.tensor(each).double()} for each in ([2.0, 1.0], [4.0, -1.0], [-1.0, 0.0])]
    close(merged("ties", base, ends, density=1.0), {"x": np.array([3.0, 0.0])})


@pytest.mark.parametrize("name", MERGES)
def test_ends_that_never_moved_merge_into_the_base(name: str) -> None:
    close(merged(name, BASE, [BASE, BASE, BASE]), {key: value.numpy() for key, value in BASE.items()})


@pytest.mark.parametrize("name", MERGES)
def test_what_is_merged_is_left_as_it_was_and_keeps_its_precision(name: str) -> None:
    base, ends = ({key: value.float() for key, value in each.items()} for each in (BASE, ENDS[0]))
    before = {key: value.clone() for key, value in ends.items()}
    found = merged(name, base, [ends, base])
    assert all(torch.equal(ends[key], before[key]) for key in before)
    assert all(value.dtype == torch.float32 and value.shape == SHAPES[key] for key, value in found.items())


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, "how must say its name. Got none. Choose one of linear, slerp, task_arithmetic, ties."),
        (
            {"name": "sler"},
            "how must be one of linear, slerp, task_arithmetic, ties. Got 'sler'. Did you mean 'slerp'?",
        ),
        ({"name": "ties", "density": 0.0}, "how ties: density must be above 0. Got 0.0."),
        ({"name": "linear", "scale": 1.0}, "how linear must hold known keys (weights). Got unknown key 'scale'."),
        (
            {"name": "linear", "weights": [1.0]},
            "how linear: weights must be one for each of the 2 stages of `of`. Got 1. Change it.",
        ),
        ({"name": "slerp", "weights": [1.0, 0.0]}, "how slerp: weights.1 must be above 0. Got 0.0."),
    ],
)
def test_mistakes_are_one_sentence(how: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        merge_options(how, 2)
    assert str(caught.value).startswith(message)


def test_defaults_are_written_out() -> None:
    assert merge_config({"name": "ties"}, 2) == {"name": "ties", "density": 0.2, "scale": 1.0}
    assert merge_config({"name": "slerp", "weights": [1, 2]}, 2) == {"name": "slerp", "weights": [1.0, 2.0]}
