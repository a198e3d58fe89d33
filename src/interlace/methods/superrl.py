"""SuperRL: a prompt none of whose completions earns anything is imitated, any other is reinforced by plain GRPO
(arXiv 2506.01096; DyME switches alike). HPT at gate 0, with advantages as TRL normalises them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from interlace.methods.base import MethodOptions
from interlace.methods.hpt import Hpt


class SuperRlOptions(MethodOptions):
    """Of the method `superrl`."""

    reward_above: float = 0.0
    """Completions that earn more count as solved, reward units."""
    weight: Literal["fixed", "share"] = "fixed"
    """Of the failed prompts' token mean: 1, or their share of the prompts."""


class SuperRl(Hpt):
    """The switch at no success."""

    name: ClassVar[str] = "superrl"
    sentence: ClassVar[str] = "prompts without any rewarded completion are imitated, the others reinforced"
    source: ClassVar[str] = "SuperRL (arXiv 2506.01096)"
    takes: ClassVar[type[MethodOptions]] = SuperRlOptions
    trl: ClassVar[Mapping[str, Any]] = {}

    @property
    def gate(self) -> float:
        """Not one completion passes."""
        return 0.0
