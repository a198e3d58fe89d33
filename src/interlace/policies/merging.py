"""Ways to merge the ends of several trainings that began alike: pure functions of weights by name.

A way is a function of the common base, the ends and its options, and a line in MERGES. Whoever calls hands over floats
in float32 or wider. A task vector is an end minus the base (arXiv 2212.04089).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Any, TypeAlias

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from interlace.errors import RecipeError, unknown_name
from interlace.options import Options, parse_options

Named: TypeAlias = Mapping[str, Tensor]
"""Weights by name."""
FLAT = 1e-7
"""The sine of an angle below which two directions count as one line, on which no arc is told from the chord."""


class WeighedOptions(Options):
    """Of ways that take a mean."""

    weights: tuple[Annotated[float, Field(gt=0.0, allow_inf_nan=False)], ...] | None = None
    """One a stage of `of`, in its order, divided by their sum; null: equal."""


class ScaledOptions(Options):
    """Of ways that add to the base."""

    scale: float = Field(default=0.4, allow_inf_nan=False)
    """What the sum of the task vectors is multiplied by; 0.4 is the paper's where nothing was tuned."""


class TiesOptions(Options):
    """Of TIES-merging, its paper's values where nothing was tuned."""

    density: float = Field(default=0.2, gt=0.0, le=1.0)
    """The share of each task vector that is kept, the largest in size over all weights."""
    scale: float = Field(default=1.0, allow_inf_nan=False)
    """What the merged task vector is multiplied by."""


def linear(base: Named, ends: Sequence[Named], options: WeighedOptions) -> dict[str, Tensor]:
    """The weighted mean of the ends; the base has no part in it."""
    return _folded(lambda name, one, other, share: one.lerp(other, share), ends, options.weights)


def slerp(base: Named, ends: Sequence[Named], options: WeighedOptions) -> dict[str, Tensor]:
    """The base plus the task vectors' spherical interpolation, tensor by tensor (`on_arc`).

    WARP defines it for two. More are folded in their order: the arc from what is merged so far to the next end, up to
    that end's share of the weights so far (half, a third ... where they are equal). Another order gives other weights.
    """
    return _folded(
        lambda name, one, other, share: base[name] + on_arc(one - base[name], other - base[name], share),
        ends,
        options.weights,
    )


def task_arithmetic(base: Named, ends: Sequence[Named], options: ScaledOptions) -> dict[str, Tensor]:
    """base + scale * sum of the task vectors; with scale 1/n the mean of n ends."""
    return {name: own + options.scale * _moved(name, base, ends).sum(0) for name, own in base.items()}


def ties(base: Named, ends: Sequence[Named], options: TiesOptions) -> dict[str, Tensor]:
    """base + scale * the trimmed task vectors' mean over those that have the elected sign, weight by weight.

    The sign is that of the sum. Trimming is over all weights of an end at once, as in the authors' code; entries as
    large as the last one kept are kept too. Where the sum is 0 exactly, the base stays (their code asks the majority
    of all signs there).
    """
    least = [_least_kept(base, end, options.density) for end in ends]

    def merged(name: str) -> Tensor:
        moved = _moved(name, base, ends)
        kept = [part.where(part.abs() >= bound, 0.0) for part, bound in zip(moved, least, strict=True)]
        return _agreed_mean(torch.stack(kept))

    return {name: own + options.scale * merged(name) for name, own in base.items()}


@dataclass(frozen=True, slots=True)
class Way:
    """A registered way to merge: its function and the options that it takes."""

    merge: Callable[[Named, Sequence[Named], Any], dict[str, Tensor]]
    takes: type[Options]
    sentence: str
    source: str
    cost: str = "no training"


MERGES: dict[str, Way] = {
    "linear": Way(linear, WeighedOptions, "the weighted mean of the ends' weights", "model soups, arXiv 2203.05482"),
    "slerp": Way(
        slerp, WeighedOptions, "the ends' task vectors on the arc between them, tensor by tensor", "WARP, 2406.16768"
    ),
    "task_arithmetic": Way(
        task_arithmetic, ScaledOptions, "the start plus a scale times the sum of task vectors", "arXiv 2212.04089"
    ),
    "ties": Way(
        ties, TiesOptions, "task vectors trimmed, a sign elected, the mean of those that agree", "TIES, 2306.01708"
    ),
}
"""Every way by its name; `interlace list merges` shows them."""


def merge_options(config: Mapping[str, Any], num_ends: int) -> tuple[Way, Options]:
    """The way that `config` names, {name: NAME, ...options}, and its validated options.

    Raises RecipeError, one sentence about the first mistake.
    """
    asked = dict(config)
    name = asked.pop("name", None)
    if not isinstance(name, str):
        raise RecipeError(f"how must say its name. Got {asked or 'none'}. Choose one of {', '.join(MERGES)}.")
    if name not in MERGES:
        raise RecipeError(unknown_name("how", name, MERGES))
    options = parse_options(MERGES[name].takes, asked, f"how {name}")
    weights = getattr(options, "weights", None)
    if weights is not None and len(weights) != num_ends:
        raise RecipeError(
            f"how {name}: weights must be one for each of the {num_ends} stages of `of`. Got {len(weights)}. Change it."
        )
    return MERGES[name], options


def merge_config(config: Mapping[str, Any], num_ends: int) -> dict[str, Any]:
    """The config with every option written out. Raises RecipeError as `merge_options`."""
    return {"name": config["name"], **merge_options(config, num_ends)[1].model_dump(mode="json")}


def on_arc(one: Float[Tensor, "*shape"], other: Float[Tensor, "*shape"], share: float) -> Float[Tensor, "*shape"]:
    """sin((1 - share) W)/sin W * one + sin(share W)/sin W * other, W the angle between both (WARP's slerp).

    Of equal lengths it keeps the length; share 0 is `one`, 1 `other`. On the chord where W is not told from 0 or pi,
    or one of both is 0. The angle is computed in float64.
    """
    flat = [each.double().flatten() for each in (one, other)]
    lengths = [float(each.norm()) for each in flat]
    if min(lengths) == 0.0:
        return one.lerp(other, share)
    cosine = float(flat[0] @ flat[1]) / (lengths[0] * lengths[1])
    angle = math.acos(max(-1.0, min(1.0, cosine)))
    if math.sin(angle) < FLAT:
        return one.lerp(other, share)
    return (math.sin((1.0 - share) * angle) * one + math.sin(share * angle) * other) / math.sin(angle)


def _folded(
    between: Callable[[str, Tensor, Tensor, float], Tensor], ends: Sequence[Named], weights: Sequence[float] | None
) -> dict[str, Tensor]:
    """The ends taken in one after the other, each by its share of the weights so far."""
    asked = weights or [1.0] * len(ends)
    shares = [weight / total for weight, total in zip(asked, accumulate(asked), strict=True)]
    merged = dict(ends[0])
    for end, share in zip(ends[1:], shares[1:], strict=True):
        merged = {name: between(name, one, end[name], share) for name, one in merged.items()}
    return merged


def _moved(name: str, base: Named, ends: Sequence[Named]) -> Float[Tensor, "end *shape"]:
    return torch.stack([end[name] - base[name] for end in ends])


def _least_kept(base: Named, end: Named, density: float) -> float:
    """The size of the smallest entry of the task vector among the share of the largest."""
    sizes = torch.cat([(end[name] - own).abs().flatten() for name, own in base.items()])
    dropped = sizes.numel() - max(1, round(density * sizes.numel()))
    return float(sizes.kthvalue(dropped + 1).values)


def _agreed_mean(parts: Float[Tensor, "end *shape"]) -> Float[Tensor, "*shape"]:
    """The mean over those entries that have the sign of the sum; 0 where it has none."""
    agrees = parts.sign() == parts.sum(0).sign()
    return (parts * agrees).sum(0) / agrees.sum(0).clamp(min=1)
