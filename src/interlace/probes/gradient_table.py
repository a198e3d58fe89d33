"""GradientTable: inner products of the gradients of every part of every objective, block by block.

The vectors themselves are let go once the table is filled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interlace.policies import Policy
from interlace.policies.gradients import gradient
from interlace.policies.parameters import ParameterSpace, block_of
from interlace.probes.parts import MAX_BYTES, Part

LOSS, REWARD = "sft_loss", "reward"
Objective = tuple[str, str]
"""(task, LOSS or REWARD)."""

COLUMNS = 2**20
"""Columns of the vectors that are multiplied at a time, in float64."""


@dataclass(frozen=True)
class GradientTable:
    """What the gradients of all parts have to do with each other. Rows are parts, objective after objective.

    `blocks`: Gram matrices, one a block of parameters; `preconditioned`: <g, P h> over all of them, None where the
    optimizer has no diagonal P; `along`: <g, d> for each direction d; `values`: each part's objective; `prompts`: how
    many a part has.
    """

    rows: Mapping[Objective, slice]
    values: Float[np.ndarray, "row"]
    prompts: Mapping[Objective, int]
    blocks: Mapping[str, Float[np.ndarray, "row row"]]
    preconditioned: Float[np.ndarray, "row row"] | None = None
    along: Mapping[str, Float[np.ndarray, "row"]] = field(default_factory=dict)

    @property
    def whole(self) -> Float[np.ndarray, "row row"]:
        """Inner products over all parameters."""
        return np.sum(list(self.blocks.values()), axis=0)

    def products(
        self, left: Objective, right: Objective, block: str | None = None, *, preconditioned: bool = False
    ) -> Float[np.ndarray, "left right"]:
        """Inner products of the parts of two objectives, over one block or all parameters, or with P between them."""
        matrix = self.whole if block is None else self.blocks[block]
        if preconditioned:
            assert self.preconditioned is not None
            matrix = self.preconditioned
        return matrix[self.rows[left], self.rows[right]]

    def parts(self, objective: Objective) -> Float[np.ndarray, "part"]:
        """The objective's value in each part."""
        return self.values[self.rows[objective]]

    def slopes(self, objective: Objective, direction: str) -> Float[np.ndarray, "part"]:
        """<gradient, direction> of each part."""
        return self.along[direction][self.rows[objective]]


def fill_table(
    policy: Policy,
    space: ParameterSpace,
    objectives: Mapping[Objective, Sequence[Part]],
    *,
    weights: Mapping[str, Tensor] | None = None,
    metric: Float[Tensor, "parameter"] | None = None,
    directions: Mapping[str, Float[Tensor, "parameter"]] | None = None,
) -> GradientTable:
    """Take the gradient of every part at `weights` (default: the policy's own) and keep their inner products.

    Cost: one forward and backward over the parts' responses. Memory: one flat vector a part until the table is full, in
    float32, or in bfloat16 where they would take more than `MAX_BYTES` (a relative rounding of 0.2 % an entry, which
    averages out in the products).
    """
    rows, parts = _rows(objectives), [part for each in objectives.values() for part in each]
    vectors, values = _vectors(policy, space, parts, weights)
    return GradientTable(
        rows=rows,
        values=np.array(values),
        prompts={objective: len(each[0].prompts) for objective, each in objectives.items()},
        blocks=_blocks(space, vectors),
        preconditioned=None if metric is None else _gram(vectors, slice(0, space.dimension), metric),
        along={name: _along(vectors, direction) for name, direction in (directions or {}).items()},
    )


def _rows(objectives: Mapping[Objective, Sequence[Part]]) -> dict[Objective, slice]:
    ends = np.cumsum([0, *map(len, objectives.values())]).tolist()
    return {objective: slice(*ends[i : i + 2]) for i, objective in enumerate(objectives)}


def _vectors(
    policy: Policy, space: ParameterSpace, parts: Sequence[Part], weights: Mapping[str, Tensor] | None
) -> tuple[Float[Tensor, "row parameter"], list[float]]:
    wide = torch.promote_types(policy.model.dtype, torch.float32)
    fits = wide.itemsize * space.dimension * len(parts) <= MAX_BYTES
    dtype = wide if fits else torch.bfloat16
    vectors = torch.empty(len(parts), space.dimension, dtype=dtype, device=policy.model.device)
    values = []
    for row, part in enumerate(parts):
        found = gradient(policy, part.total, space, weights)
        vectors[row] = found.vector
        values.append(found.value if part.value is None else part.value)
    return vectors, values


def _blocks(space: ParameterSpace, vectors: Float[Tensor, "row parameter"]) -> dict[str, Float[np.ndarray, "row row"]]:
    found: dict[str, Float[np.ndarray, "row row"]] = {}
    for name, piece in space.pieces:
        block = block_of(name)
        found[block] = found.get(block, np.zeros((len(vectors), len(vectors)))) + _gram(vectors, piece)
    return found


def _gram(
    vectors: Float[Tensor, "row parameter"], piece: slice, metric: Float[Tensor, "parameter"] | None = None
) -> Float[np.ndarray, "row row"]:
    found = torch.zeros(len(vectors), len(vectors), dtype=torch.float64, device=vectors.device)
    for columns in _chunks(piece):
        left = vectors[:, columns].double()
        right = left if metric is None else left * metric[columns].to(left)
        found += left @ right.T
    return found.cpu().numpy()


def _along(vectors: Float[Tensor, "row parameter"], direction: Float[Tensor, "parameter"]) -> Float[np.ndarray, "row"]:
    found = torch.zeros(len(vectors), dtype=torch.float64, device=vectors.device)
    for columns in _chunks(slice(0, len(direction))):
        found += vectors[:, columns].double() @ direction[columns].to(found)
    return found.cpu().numpy()


def _chunks(piece: slice) -> Iterator[slice]:
    for start in range(piece.start, piece.stop, COLUMNS):
        yield slice(start, min(start + COLUMNS, piece.stop))
