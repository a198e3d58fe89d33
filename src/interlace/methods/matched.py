"""Controls of an adaptive method: what another does whose share of imitation is the mean that the method came to."""

from __future__ import annotations

from typing import ClassVar

from pydantic import model_validator

from interlace.methods.base import MethodOptions


class MatchedOptions(MethodOptions):
    """Of methods with one constant share of imitation, their option `share`."""

    share: ClassVar[str]

    like: str | None = None
    """An earlier hybrid stage: the mean share of imitation of its updates takes the place of the method's own. What
    that stage is worth beyond it, its method owes to adapting."""

    @model_validator(mode="after")
    def _is_said_once(self) -> MatchedOptions:
        if self.like is not None and self.share in self.model_fields_set:
            raise ValueError(f"like must stand without {self.share}, whose place it takes. Got both. Remove one.")
        return self
