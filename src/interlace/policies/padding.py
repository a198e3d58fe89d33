"""Sequences of unequal length as one batch: contexts end at the right edge, responses begin at the left one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def left_padded(
    sequences: Sequence[Sequence[int]], pad_id: int, device: torch.device
) -> tuple[Int[Tensor, "row column"], Int[Tensor, "row column"]]:
    """Ids, padded before the first token, and the attention mask (1 at real tokens)."""
    width = max(len(sequence) for sequence in sequences)
    ids = torch.tensor([[pad_id] * (width - len(sequence)) + list(sequence) for sequence in sequences])
    attention = torch.tensor([[0] * (width - len(sequence)) + [1] * len(sequence) for sequence in sequences])
    return ids.to(device), attention.to(device)


def right_padded(
    sequences: Sequence[Sequence[int]], pad_id: int, device: torch.device
) -> tuple[Int[Tensor, "row column"], Bool[Tensor, "row column"]]:
    """Ids, padded after the last token, and which of them are real."""
    width = max(len(sequence) for sequence in sequences)
    ids = torch.tensor([list(sequence) + [pad_id] * (width - len(sequence)) for sequence in sequences])
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    mask = torch.arange(width) < lengths[:, None]
    return ids.to(device), mask.to(device)


def positions_of(attention: Int[Tensor, "row column"]) -> Int[Tensor, "row column"]:
    """Position ids that count real tokens only, so that padding shifts nothing."""
    return (attention.cumsum(-1) - 1).clamp(min=0)
