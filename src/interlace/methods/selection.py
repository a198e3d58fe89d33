"""Which tokens a method keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxtyping import Bool, Float

if TYPE_CHECKING:
    from torch import Tensor


def highest(
    values: Float[Tensor, "row token"], among: Bool[Tensor, "row token"], share: float
) -> Bool[Tensor, "row token"]:
    """The share of each row's tokens `among` which the values are highest, rounded up; of equals the first."""
    ordered = values.masked_fill(~among, float("-inf")).argsort(dim=-1, descending=True, stable=True)
    return ordered.argsort(dim=-1) < (share * among.sum(-1, keepdim=True)).ceil()
