"""Where a blend's weights come from, as its manifest keeps it: two parents, the weight between them, who chose it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from interlace.store.checkpoints import MANIFEST_NAME

BLEND = "blend"
"""The manifest's key."""
SHOWN = 12
"""Characters of a fingerprint in a sentence."""


@dataclass(frozen=True, slots=True)
class Parent:
    """One end of the line: `fingerprint` is the SHA-256 of every file that loads, its base's too, under their names."""

    name: str
    path: str
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.name} ({self.path}, SHA-256 {self.fingerprint[:SHOWN]})"


@dataclass(frozen=True, slots=True)
class Origin:
    """A blend: (1 - `position`) times the weights of `start` plus `position` times those of `end`.

    `rule` and `reason` as of the recommendation that chose it on `tasks`; "given" where a position was. `version`:
    interlace's.
    """

    start: Parent
    end: Parent
    position: float
    rule: str
    reason: str
    tasks: tuple[str, ...]
    version: str

    def __str__(self) -> str:
        on = f" on {', '.join(self.tasks)}" if self.tasks else ""
        why = f" ({self.reason})" if self.reason else ""
        return (
            f"the blend at {self.position:g} from {self.start} to {self.end}, chosen by {self.rule}{on}{why}, "
            f"written by interlace {self.version}"
        )

    def to_json(self) -> dict[str, Any]:
        """The object in the manifest and on the wire."""
        parents = {"from": asdict(self.start), "to": asdict(self.end)}
        chosen = {"rule": self.rule, "reason": self.reason, "tasks": list(self.tasks)}
        return {**parents, "position": self.position, "chosen_by": chosen, "interlace": self.version}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Origin:
        """The inverse of `to_json`."""
        chosen = data["chosen_by"]
        return cls(Parent(**data["from"]), Parent(**data["to"]), data["position"], chosen["rule"], chosen["reason"],
                   tuple(chosen["tasks"]), data["interlace"])  # fmt: skip


def origin_of(folder: Path) -> Origin | None:
    """What a checkpoint's manifest says of its parents; None if it says nothing, or cannot be read."""
    try:
        found = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))[BLEND]
        return Origin.from_json(found)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fingerprint(files: Sequence[Path]) -> str:
    """SHA-256 over names and contents, in order. Cost: a read of all of them."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            own = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{path.name} {own}\n".encode())
    return whole.hexdigest()
