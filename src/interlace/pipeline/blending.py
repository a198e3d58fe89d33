"""A stage that ends with a blend: the line from its start to its end, measured, and its last checkpoint rewritten."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from interlace.analysis.trajectory import Snapshot
from interlace.callback import StageCallback
from interlace.controllers import Blended, blended_sentence, choose_on_line
from interlace.encoding import dumps, jsonable
from interlace.errors import DataError
from interlace.measurement import LINE, HeldOut, PromptScores
from interlace.policies.interpolation import interpolated
from interlace.probes import PRESETS, PROBES
from interlace.recipe.model import BlendConfig
from interlace.store import RunStore, seal_checkpoint
from interlace.store.events import last_event
from interlace.store.record import BLEND
from interlace.store.run_store import EVENTS

BLENDED = "interlace_blend.json"
"""In a checkpoint: that its weights are a blend already, and which."""
OF_TRAINING = ("optimizer.pt", "scheduler.pt", "scaler.pt")
"""What a blend cannot go on with."""
COARSE = (0.0, 0.25, 0.5, 0.75, 1.0)
FINE = tuple(place / 8 for place in range(9))
"""Where the line is measured: to show it, and to choose from it."""


@dataclass(frozen=True)
class Line:
    """The straight line in weight space from a stage's start to its end, after `step` steps."""

    store: RunStore
    stage: str
    step: int
    callback: StageCallback

    def measure(self, task: str, positions: Sequence[float]) -> tuple[HeldOut, list[tuple[float, PromptScores]]]:
        """What both objectives cost along it; nothing was trained there, so a light preset says enough."""
        start, end = self.callback.start, self.callback.policy
        instruments, found = self.callback.instruments, []
        probes = [PROBES[name] for name in PRESETS["light"]]
        for position in positions:
            between = start.with_model(interpolated(start.model, end.model, position))
            instruments.look_on_line(self.stage, self.step, between, start, position, probes)
            found.append((position, instruments.latest_scores[task, LINE]))
        return next(target.heldout for target in instruments.targets if target.task.name == task), found

    def blend(self, task: str, asked: BlendConfig) -> str:
        """Choose a place, take up its weights and make them the stage's last checkpoint; what there is to say.

        Raises DataError where the light preset does not read what the choice needs.
        """
        positions = FINE if asked.position is None else sorted({*COARSE, asked.position})
        held, found = self.measure(task, positions)
        if any(scores.expert_logprobs is None or scores.reward_values is None for _, scores in found):
            raise DataError(f"blend must be chosen by SFT loss and reward of {task}. One of them was not measured.")
        places = [Snapshot(held, self.step, position, scores) for position, scores in found]
        blended = choose_on_line(places[0], places, **asked.model_dump())
        self._take_up(blended)
        self.said()
        return blended_sentence(blended)

    @property
    def _last(self) -> Path:
        return self.store.stage_folder(self.stage) / f"checkpoint-{self.step}"

    def said(self) -> None:
        """Record the blend that the checkpoint holds, if a kill came before that was done."""
        if last_event(self.store.folder / EVENTS, BLEND, self.stage, self.step) == {}:
            kept = json.loads((self._last / BLENDED).read_text())
            self.store.event(BLEND, stage=self.stage, step=self.step, **kept)

    def _take_up(self, blended: Blended) -> None:
        """Write beside the checkpoint, then put in its place. A kill between the two renames leaves the checkpoint
        before it, from which the stage goes on and blends again."""
        start, policy = self.callback.start, self.callback.policy
        policy.model.load_state_dict(interpolated(start.model, policy.model, blended.position).state_dict())
        last, beside = self._last, self._last.with_name(f"blend-{self.step}")
        aside = last.with_name(f"before-blend-{self.step}")
        for folder in (beside, aside):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(last, beside, ignore=shutil.ignore_patterns(*OF_TRAINING, "model*.safetensors"))
        policy.model.save_pretrained(beside)
        (beside / BLENDED).write_text(dumps(jsonable(asdict(blended))))
        seal_checkpoint(beside)
        last.rename(aside)
        beside.rename(last)
        shutil.rmtree(aside)


def is_blended(checkpoint: Path) -> bool:
    """Whether an earlier process has made the blend."""
    return (checkpoint / BLENDED).exists()
