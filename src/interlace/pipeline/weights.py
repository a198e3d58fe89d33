"""Whose weights a stage begins with, and in which precision they are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from interlace.errors import RecipeError, RunFolderError
from interlace.policies import Policy, load_policy, make_embedded, source_of
from interlace.policies.device import training_device
from interlace.recipe import Recipe, StageConfig
from interlace.store import RunStore, newest_complete_checkpoint, seal_checkpoint, verify_checkpoint
from interlace.tasks.base import Task

EMBEDDED = "embedded"
"""The recipe's word for the model that interlace makes itself."""


@dataclass(frozen=True)
class Weights:
    """Finds and loads the weights of one run. `bf16_auto` is what `bf16: auto` stands for on this machine."""

    recipe: Recipe
    seed: int
    store: RunStore
    tasks: dict[str, Task]
    bf16_auto: bool

    def load(self, source: str | Path) -> Policy:
        """The policy in `source`, on the device that the trainer takes."""
        policy = load_policy(str(source), self.recipe.dtype)
        policy.model.to(training_device())
        return policy

    def in_bf16(self, config: StageConfig) -> bool:
        """Whether the stage's trainer runs its forwards in bfloat16; measurements never do."""
        bf16 = config.options.get("bf16", False)
        return self.bf16_auto if bf16 == "auto" else bool(bf16)

    def start_of(self, config: StageConfig) -> str:
        """The folder or hub id that a stage starts from, by its `start_from`."""
        name, weights = self.recipe.start_of(config.name)
        if name is None:
            return self._initial()
        return self._end_of(name, weights, f"stage {config.name!r} must start from")

    def ends_of(self, config: StageConfig) -> tuple[str, ...]:
        """The folders whose weights a merge stage merges; none for another stage."""
        return tuple(self._end_of(end.stage, end.weights, f"stage {config.name!r} must merge") for end in config.of)

    def optimizer_of(self, config: StageConfig) -> Path | None:
        """The checkpoint whose optimizer state a stage takes over; None: it begins with a fresh one."""
        if config.fresh_optimizer:
            return None
        source = Path(self.start_of(config))
        if not (source / "optimizer.pt").exists():
            raise RecipeError(
                f"stage {config.name!r} with fresh_optimizer: false must start from a stage's raw weights. "
                f"{source} holds no optimizer state. Set start_from: raw, or drop fresh_optimizer."
            )
        return source

    def _initial(self) -> str:
        """The recipe's own model; the embedded one is made in the run folder."""
        if self.recipe.model != EMBEDDED:
            return source_of(self.recipe.model)
        folder = self.store.stage_folder("00-model")
        if verify_checkpoint(folder) is not None:
            alphabet = "".join(task.alphabet for task in self.tasks.values())
            make_embedded(folder, alphabet, self.seed, self.recipe.model_options)
            seal_checkpoint(folder)
        return str(folder)

    def _stage(self, name: str) -> str:
        number = [config.name for config in self.recipe.stages].index(name) + 1
        return f"{number:02d}-{name}"

    def _end_of(self, name: str, weights: str, wanted: str) -> str:
        """The folder of a stage's last or averaged weights; `wanted` begins the sentence that refuses."""
        folder = self.store.stage_folder(self._stage(name))
        return str(folder / "averaged" if weights == "averaged" else self._last_checkpoint(name, wanted))

    def _last_checkpoint(self, name: str, wanted: str) -> Path:
        checkpoint, skipped = newest_complete_checkpoint(self.store.stage_folder(self._stage(name)))
        if checkpoint is None or skipped:
            raise RunFolderError(
                f"{wanted} the last checkpoint of {name!r}. It is damaged: "
                f"{'; '.join(skipped) or 'it is not there'}. Restore it, or start again with --fresh."
            )
        return checkpoint
