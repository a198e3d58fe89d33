"""ParameterSpace: a model's trainable parameters as one flat vector, cut into blocks (one a layer)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from interlace.policies.policy import CausalModel, Policy

WRAPPERS = frozenset({"base_model", "model", "transformer"})
"""Parts of a parameter's name that say nothing about where in the network it is."""


@dataclass(frozen=True)
class ParameterSpace:
    """The parameters that training moves, in the model's own order; tied ones once, frozen ones (PEFT's base) not."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, model: CausalModel) -> ParameterSpace:
        """The trainable parameters of `model`; none if it is a copy for looking only."""
        trainable = [(name, weight.numel()) for name, weight in model.named_parameters() if weight.requires_grad]
        return cls(tuple(name for name, _ in trainable), tuple(size for _, size in trainable))

    @property
    def dimension(self) -> int:
        """Length of a flat vector."""
        return sum(self.sizes)

    @cached_property
    def pieces(self) -> tuple[tuple[str, slice], ...]:
        """Each parameter's name and where it stands in a flat vector."""
        ends = list(itertools.accumulate(self.sizes, initial=0))
        return tuple((name, slice(*ends[i : i + 2])) for i, name in enumerate(self.names))

    def weights(self, model: CausalModel) -> dict[str, Tensor]:
        """The model's own weights by name: views without gradient, no copies."""
        found = dict(model.named_parameters())
        return {name: found[name].detach() for name in self.names}

    def weights_of(self, policy: Policy) -> dict[str, Tensor]:
        """The policy's own weights by name, which the model at hand may not hold: `Policy.weights`."""
        found = policy.weights()
        return {name: found[name] for name in self.names}

    def fits(self, model: CausalModel) -> bool:
        """Whether `model` has all these parameters, in these sizes."""
        found = {name: weight.numel() for name, weight in model.named_parameters()}
        return all(found.get(name) == size for name, size in zip(self.names, self.sizes, strict=True))

    def flat(self, weights: Mapping[str, Tensor]) -> Float[Tensor, "parameter"]:
        """One vector of all `weights`, in float32 or wider."""
        wide = [widened(weights[name].detach()).reshape(-1) for name in self.names]
        return torch.cat(wide) if wide else torch.zeros(0)

    def shifted(self, own: Mapping[str, Tensor], shift: Float[Tensor, "parameter"]) -> dict[str, Tensor]:
        """The weights `own` + `shift`, as new tensors in their own precision."""
        return {
            name: (widened(own[name]) + shift[piece].view_as(own[name])).to(own[name].dtype)
            for name, piece in self.pieces
        }


def widened(tensor: Tensor) -> Tensor:
    """`tensor` in float32, or in its own precision if that is wider."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def block_of(name: str) -> str:
    """The layer that a parameter belongs to, or the module where it is in none.

    >>> block_of("model.layers.2.self_attn.q_proj.weight"), block_of("model.embed_tokens.weight")
    ('layers.2', 'embed_tokens')
    """
    parts = name.split(".")
    first = next((i for i, part in enumerate(parts) if part.isdecimal()), None)
    kept = parts[: first + 1] if first is not None else parts[:-1]
    return ".".join(part for part in kept if part not in WRAPPERS) or name
