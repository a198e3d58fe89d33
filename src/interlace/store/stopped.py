"""The record that a stop rule ended a stage: without one, a stage that did too few steps is at fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interlace.encoding import jsonable
from interlace.estimate import Figure, figure_from_json

STOPPED = "stopped"
"""The kind of its event."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """`rule` ended the stage after `step` optimizer steps, for `reason`; `value` is the figure that it read last,
    `quantity` says what that is (empty in records of earlier versions).

    `rewound_to`: the step whose weights the stage ends with (0: its start); None: those of `step`. `kept`: where a
    trainer that is only looked at finds weights of an earlier step, to go back to.
    """

    rule: str
    step: int
    reason: str
    value: Figure
    rewound_to: int | None = None
    kept: str | None = None
    quantity: str = ""

    @property
    def end_step(self) -> int:
        """The step whose weights the stage ends with."""
        return self.step if self.rewound_to is None else self.rewound_to

    @property
    def sentence(self) -> str:
        """Why the stage was ended, and with which weights."""
        parts = [f"stopped at step {self.step} by the rule {self.rule}: {self.reason}."]
        if self.rewound_to is not None:
            whose = f"step {self.rewound_to}" if self.rewound_to else "its start"
            parts.append(f"It ends with the weights of {whose}.")
        if self.kept is not None:
            parts.append(f"The weights to go back to are in {self.kept}; the trainer's own are as they were.")
        return " ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """The record on the wire."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Stopped:
        """The inverse of `to_json`; what else an event holds is ignored."""
        value = figure_from_json(data["value"])
        return cls(data["rule"], int(data["step"]), data["reason"], value, data["rewound_to"], data["kept"],
                   data.get("quantity", ""))  # fmt: skip
