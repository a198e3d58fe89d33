"""What an experiment will take, said before anything is trained: steps, time, disk and memory."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from interlace.errors import MachineError
from interlace.forking.plan import ForkPlan
from interlace.policies.policy import CausalModel
from interlace.store import StageRecord
from interlace.wording import counted, duration, size

KEPT_BYTES = 4
"""Of a trained weight on the disk, float32."""
COPIES_HELD, COPIES_TRAINED = 3, 3
"""In memory, of all weights: the start, a fork, and the policy that is looked at; of trained ones a gradient and two
moments of the optimizer."""


@dataclass(frozen=True)
class ForkCost:
    """The plan of an experiment in figures; `num_done` of its forks are kept from before.

    `train_seconds` is by the pace that the stage itself recorded, `look_seconds` by its looks, which may have been
    dearer than those at forks; None where it recorded none. `disk_bytes` is what it will take while it goes, beside the
    weights kept from before, and nearly none of it afterwards; `memory_bytes` holds weights and optimizer, without a
    step's activations.
    """

    stage: str
    arms: tuple[str, ...]
    count: int
    from_step: int
    steps: int
    marks: tuple[int, ...]
    num_done: int
    total_steps: int
    train_seconds: float | None
    look_seconds: float | None
    disk_bytes: int
    memory_bytes: int

    @classmethod
    def of(
        cls, plan: ForkPlan, record: StageRecord, model: CausalModel, num_done: int, looks_left: int, kept_bytes: int
    ) -> ForkCost:
        """By what the stage spent, on `model`'s weights; `kept_bytes` of weights lie on the disk from before."""
        left = plan.count * len(plan.arms) - num_done
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        num_trained = sum(weight.numel() for weight in trained)
        most_kept = plan.count * (2 if plan.mirrored else 1)
        fork_bytes = KEPT_BYTES * num_trained * len(plan.marks)
        held = sum(weight.numel() * weight.element_size() for weight in model.parameters())
        moving = sum(weight.numel() * weight.element_size() for weight in trained)
        return cls(
            stage=record.name,
            arms=tuple(arm.name for arm in plan.arms),
            count=plan.count,
            from_step=plan.from_step,
            steps=plan.steps,
            marks=plan.marks,
            num_done=num_done,
            total_steps=left * plan.steps,
            train_seconds=_pace(record, "train_seconds", record.steps_done, left * plan.steps),
            look_seconds=_pace(record, "measure_seconds", _num_looks(record), looks_left),
            disk_bytes=max(0, min(most_kept * fork_bytes - kept_bytes, left * fork_bytes)),
            memory_bytes=COPIES_HELD * held + COPIES_TRAINED * moving,
        )

    @property
    def is_made(self) -> bool:
        """Whether nothing of it is left to train or to look at."""
        return self.num_done == self.count * len(self.arms) and self.look_seconds == 0.0

    def made(self) -> ForkCost:
        """The same forks once the run has them: nothing is left to do."""
        done = self.count * len(self.arms)
        return replace(self, num_done=done, total_steps=0, train_seconds=0.0, look_seconds=0.0, disk_bytes=0)

    @property
    def seconds(self) -> float | None:
        """Training and looks."""
        known = self.train_seconds is not None and self.look_seconds is not None
        return (self.train_seconds or 0.0) + (self.look_seconds or 0.0) if known else None

    @property
    def sentences(self) -> tuple[str, ...]:
        """What will be trained, and what it will take."""
        arms = counted(len(self.arms), "arm")
        where = f" from step {self.from_step}" if self.from_step else ""
        asked = (
            f"{self.stage}: {counted(self.count, 'fork')} x {arms} ({', '.join(self.arms)}) x "
            f"{counted(self.steps, 'step')}{where}"
        )
        if self.is_made:
            return (f"{asked}: these forks were made before; nothing is left to train.",)
        kept = f", {self.num_done} of them kept from before" if self.num_done else ""
        return (
            f"{asked}{kept}: {counted(self.total_steps, 'step')} to train.",
            f"{self._time()}; {size(self.disk_bytes)} of disk while it goes; {size(self.memory_bytes)} of memory for "
            "weights and optimizer, beside what a step's activations take.",
        )

    def refuse_unless_it_fits(self, folder: Path) -> None:
        """Raise MachineError if the disk of `folder` has no room for the weights of an arm."""
        free = shutil.disk_usage(folder).free
        if self.disk_bytes > free:
            raise MachineError(
                f"the disk of {folder} must have {size(self.disk_bytes)} free for the weights of an arm's forks. "
                f"It has {size(free)}. Ask for fewer forks, or make room."
            )

    def to_json(self) -> dict[str, Any]:
        """The fields, in order."""
        return asdict(self) | {"seconds": self.seconds}

    def _time(self) -> str:
        if self.seconds is None:
            return "How long it takes cannot be told: the stage recorded no time"
        parts = f"training {duration(self.train_seconds)}, looks at most {duration(self.look_seconds)}"
        return f"About {duration(self.seconds)} at the pace of the stage itself ({parts})"


def _pace(record: StageRecord, spent: str, units: int, planned: int) -> float | None:
    return record.ledger[spent] / units * planned if units and spent in record.ledger else None


def _num_looks(record: StageRecord) -> int:
    places = {(item.point.step, item.point.weights, item.point.position) for item in record.measurements}
    return len(places)
