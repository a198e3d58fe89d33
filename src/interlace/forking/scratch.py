"""Scratch: what an unfinished experiment keeps in the run's folder, so that the same command goes on where it ended."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from interlace.encoding import decode_float, dumps
from interlace.measurement import Point, PromptScores
from interlace.store.checkpoints import write_text_atomically
from interlace.store.scores import read_scores, scores_path, write_scores

Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class ForkLog:
    """How a fork's trainer saw it: its log, step by step, and its momentum's decay.

    `mean_square_gradient`: of its gradients as clipped, the later steps weighing most; NaN where no optimizer tells.
    """

    log: Mapping[str, tuple[float, ...]]
    mean_square_gradient: float
    momentum: float

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ForkLog:
        """The inverse of `asdict` through JSON."""
        log = {name: tuple(map(decode_float, values)) for name, values in data["log"].items()}
        return cls(log, decode_float(data["mean_square_gradient"]), decode_float(data["momentum"]))


class KeptWeights(Mapping[str, Tensor]):
    """Weights in a safetensors file, read from it one tensor at a time whenever they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with safe_open(path, framework="pt") as file:
            self._names = tuple(file.keys())

    def __getitem__(self, name: str) -> Tensor:
        with safe_open(self.path, framework="pt") as file:
            return file.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class Scratch:
    """The folder of one unfinished experiment: forks that are done, arms that are measured, scores of their readings.

    Each is whole or not there. Weights are dropped once they are measured.
    """

    folder: Path

    def keep_weights(self, arm: str, number: int, mark: int, weights: Weights) -> None:
        """Those of a fork after `mark` steps."""
        path = self._weights(arm, number, mark)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file({name: weight.contiguous() for name, weight in weights.items()}, partial)
        os.replace(partial, path)

    def weights(self, arm: str, number: int, mark: int) -> KeptWeights:
        """What `keep_weights` kept."""
        return KeptWeights(self._weights(arm, number, mark))

    def keep_fork(self, arm: str, number: int, log: ForkLog) -> None:
        """The last thing kept of a fork: it is done."""
        write_text_atomically(self._fork(arm, number) / "log.json", dumps(asdict(log)))

    def fork(self, arm: str, number: int) -> ForkLog | None:
        """The log of a fork that is done, else None."""
        path = self._fork(arm, number) / "log.json"
        return ForkLog.from_json(json.loads(path.read_text())) if path.exists() else None

    def keep_arm(self, arm: str, told: Mapping[str, Any]) -> None:
        """What training showed of an arm whose forks are all measured."""
        write_text_atomically(self.folder / f"{arm}.json", dumps(told))

    def arm(self, arm: str) -> dict[str, Any] | None:
        """What `keep_arm` kept, or None."""
        path = self.folder / f"{arm}.json"
        return dict(json.loads(path.read_text())) if path.exists() else None

    def drop_weights(self, arm: str) -> None:
        """Those of all forks of an arm."""
        for folder in self.folder.glob(f"{arm}-*"):
            shutil.rmtree(folder)

    @property
    def weight_bytes(self) -> int:
        """What the kept weights take of the disk."""
        return sum(path.stat().st_size for path in self.folder.glob("*/*.safetensors"))

    def keep_scores(self, point: Point, scores: PromptScores) -> None:
        """What each prompt contributed at a reading."""
        write_scores(self.folder / "samples", point, scores)

    def has_scores(self, point: Point) -> bool:
        """Whether a reading was made."""
        return scores_path(self.folder / "samples", point).exists()

    def scores(self, point: Point) -> PromptScores:
        """What `keep_scores` kept."""
        return read_scores(self.folder / "samples", point)

    def remove(self) -> None:
        """Everything, and the folder around it if no other experiment is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.parent.exists() and not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()

    def _fork(self, arm: str, number: int) -> Path:
        return self.folder / f"{arm}-{number}"

    def _weights(self, arm: str, number: int, mark: int) -> Path:
        return self._fork(arm, number) / f"{mark:06d}.safetensors"
