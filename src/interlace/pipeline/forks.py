"""Forking a stage of a run folder: what a finished stage says of its start, its settings and where it was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from interlace.callback import StopRequest
from interlace.errors import RecipeError, RunFolderError
from interlace.forking import Experiment, ForkCost, ForkPlan
from interlace.forking.second_moment import refuse_unfit
from interlace.observer import Observer
from interlace.pipeline.requests import stage_request
from interlace.pipeline.targets import prepared_targets
from interlace.pipeline.weights import Weights
from interlace.policies.randomness import untouched_randomness
from interlace.recipe import ForksConfig, Recipe, StageConfig
from interlace.recipe.fork_options import asked_of
from interlace.stages import load_stage
from interlace.store import RunStore, StageRecord, read_run
from interlace.store.checkpoints import checkpoint_step, verify_checkpoint
from interlace.store.forks import ForksRecord
from interlace.tasks.base import Task

SHARES_OF_LENGTH = (0.25, 0.5, 1.0)
"""Where a fork is measured: what it shows is asked against its length (B8)."""


@dataclass(frozen=True)
class StageForks:
    """The forks of one finished stage, from its start (`from_step` 0) or from a checkpoint that it kept."""

    recipe: Recipe
    seed: int
    store: RunStore
    tasks: dict[str, Task]
    weights: Weights
    stage: str
    config: StageConfig
    asked: ForksConfig
    observer: Observer
    from_step: int = 0
    stop: StopRequest = field(default_factory=StopRequest)

    def run(self) -> None:
        """Train and measure them, and record what they show; nothing is trained if the stage has these very forks.

        What an earlier process finished of them is not done again.

        Raises RecipeError for a place or a length that the stage does not have or a placebo that it forbids,
        MachineError if the disk has no room.
        """
        with untouched_randomness():
            record = self._record()
            plan = self._plan(record)
            if _has_made(record, plan):
                self.observer.note(f"{self.config.name}: these forks were made before; nothing is trained")
                return
            experiment = self._experiment(plan, record)
            for sentence in experiment.cost.sentences:
                self.observer.note(sentence)
            experiment.cost.refuse_unless_it_fits(self.store.folder)
            experiment.run()

    def cost(self) -> ForkCost:
        """What is left of them, and what that would take. Raises what `run` does before it trains."""
        with untouched_randomness():
            record = self._record()
            plan = self._plan(record)
            cost = self._experiment(plan, record).cost
            return cost.made() if _has_made(record, plan) else cost

    def _experiment(self, plan: ForkPlan, record: StageRecord) -> Experiment:
        start = self.weights.load(self._checkpoint() or self.weights.start_of(self.config))
        return Experiment(
            plan=plan,
            kind=load_stage(self.config.kind),
            start=start,
            store=self.store,
            observer=self.observer,
            targets=prepared_targets(self.recipe, self.tasks, start),
            completions=self.recipe.measure.completions,
            record=record,
            stop=self.stop,
        )

    def _record(self) -> StageRecord:
        found = {item.stage: item for item in read_run(self.store.folder).stages}.get(self.stage)
        if found is None or not found.finished:
            raise RecipeError(
                f"stage {self.config.name!r} must be finished before it is forked. It is not. Run it first."
            )
        return found

    def _checkpoint(self) -> Path | None:
        """The checkpoint to fork from; None for the stage's start. Raises RecipeError if none was kept there."""
        if self.from_step == 0:
            return None
        kept = {checkpoint_step(path): path for path in self.store.stage_folder(self.stage).glob("checkpoint-*")}
        if self.from_step not in kept:
            steps = ", ".join(map(str, sorted([0, *kept])))
            raise RecipeError(
                f"forks of {self.config.name!r} must begin where its weights were kept. Got step {self.from_step}. "
                f"Choose from {steps}, or keep more with TRL's save_steps and save_total_limit."
            )
        found = kept[self.from_step]
        damage = verify_checkpoint(found)
        if damage is not None:
            raise RunFolderError(f"{found} must be whole to fork from. But {damage}. Restore it.")
        refuse_unfit(found)
        return found

    def _plan(self, record: StageRecord) -> ForkPlan:
        kind, checkpoint = load_stage(self.config.kind), self._checkpoint()
        bf16 = self.weights.in_bf16(self.config)
        request = stage_request(self.stage, self.config, self.tasks, self.store.folder, self.seed, bf16)
        arguments = kind.configure(request)
        marks = self._marks(record)
        completions = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * marks[-1]
        asked = asked_of(self.config, self.asked)
        plan = ForkPlan(
            request=request,
            count=asked.count,
            marks=marks,
            placebo=asked.placebo,
            mirrored=asked.mirrored,
            from_step=self.from_step,
            checkpoint=checkpoint or self.weights.optimizer_of(self.config),
            num_prompts=-(-completions // getattr(arguments, "num_generations", 1)),
        )
        plan.refuse_leaks(kind)
        return plan

    def _marks(self, record: StageRecord) -> tuple[int, ...]:
        """Fork lengths to measure at, the longest last: where the run itself was looked at, if it went that far."""
        seen = {item.point.step - self.from_step for item in record.measurements if item.point.task == record.task}
        looked = sorted(step for step in seen if step > 0)
        left = record.end_step - self.from_step
        if left and (self.asked.steps or left) > left:
            raise RecipeError(
                f"forks must be no longer than the stage goes on from step {self.from_step}: {left} steps. "
                f"Got {self.asked.steps}. {_choice(looked) or 'Ask for fewer.'}"
            )
        return fork_lengths(self.asked.steps or left or record.end_step, looked)


def fork_lengths(steps: int, looked: Sequence[int]) -> tuple[int, ...]:
    """About a quarter, a half and all of `steps`: among the steps `looked` at where there are any within the run.

    Raises RecipeError if the run went further than `steps` but was not looked at there: nothing could be compared.

    >>> fork_lengths(100, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100])
    (20, 50, 100)
    >>> fork_lengths(6, [])
    (2, 3, 6)
    """
    if not looked or steps > looked[-1]:
        return tuple(dict.fromkeys(max(1, -int(-share * steps // 1)) for share in SHARES_OF_LENGTH))
    if steps not in looked:
        raise RecipeError(
            "forks must be as long as the run had gone, from where they begin, at one of its looks. "
            f"Got {steps} steps. {_choice(looked)}"
        )
    within = [step for step in looked if step <= steps]
    return tuple(sorted({min(within, key=lambda step: abs(step - share * steps)) for share in SHARES_OF_LENGTH}))


def _choice(looked: Sequence[int]) -> str:
    return f"Choose from {', '.join(map(str, looked))}." if looked else ""


def _has_made(record: StageRecord, plan: ForkPlan) -> bool:
    """Whether the latest forks from the plan's step are the plan's."""
    latest = {forks.from_step: forks for forks in record.forks}.get(plan.from_step)
    return latest is not None and _is_of(plan, latest)


def _is_of(plan: ForkPlan, forks: ForksRecord) -> bool:
    """Whether recorded forks are those of `plan`."""
    settings = (plan.count, plan.marks, plan.is_disjoint, {arm.name for arm in plan.arms})
    mode = plan.placebo if len(plan.arms) > 1 else None
    return (forks.count, forks.marks, forks.is_disjoint, set(forks.arms)) == settings and forks.placebo == mode
