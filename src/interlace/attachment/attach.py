"""attach(trainer, task): the instruments for a trainer in hand, in one line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import Trainer

from interlace.attachment.callback import CouplingCallback, Overhead
from interlace.callback.gathering import listen, samples
from interlace.errors import RecipeError
from interlace.policies import Policy
from interlace.tasks import Task


def attach(
    trainer: Trainer,
    task: Task | Sequence[Task],
    every: int = 10,
    overhead: Overhead = "preset",
    out: str | Path | None = None,
    preset: str = "standard",
    *,
    prompts: int | None = None,
    completions: int = 8,
    expert_policy: Policy | str | Path | None = None,
) -> CouplingCallback:
    """Look at both objectives of `task` while `trainer` trains: SFT loss, reward and divergence on held-out prompts.

    For TRL's SFT, GRPO, RLOO, DPO and KTO trainers and a plain Transformers Trainer; before ``trainer.train()``. Every
    tracker gets the figures as ``coupling/...`` with their intervals, a run folder is written that `interlace report`
    reads, and what GRPO and RLOO sample anyway is read too (``coupling/train_...``). Training ends where it would have
    ended without; what fails is recorded, said once and switched off. In several processes rank 0 looks and writes.

    Args, Raises, Cost: those of `CouplingCallback`, and RecipeError if the trainer trains already or is attached to.
    Raised here.

    Returns:
        The callback; its `folder` is the run folder once training has begun.
    """
    if getattr(trainer, "is_in_train", False):
        raise RecipeError("attach must come before trainer.train(). This trainer is training. Attach it before.")
    if any(isinstance(each, CouplingCallback) for each in trainer.callback_handler.callbacks):
        raise RecipeError("a trainer must be attached to once. This one has a CouplingCallback. Remove one of the two.")
    callback = CouplingCallback(
        task, every, overhead, out, preset, prompts=prompts, completions=completions, expert_policy=expert_policy
    )
    callback.bind(trainer.args, trainer.model, trainer.processing_class)
    callback.writes_logs = True
    if samples(trainer):
        callback.rollouts = listen(trainer, callback.settings.tasks[0], callback.guarded)
    log_ahead(trainer, callback)
    let_go_after(trainer, callback)
    trainer.add_callback(callback)
    return callback


def log_ahead(trainer: Trainer, callback: CouplingCallback) -> None:
    """Put the figures into whatever the trainer logs, before any reporter sees it."""
    original = trainer.log

    def log(logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if callback.open_session is not None and trainer.is_world_process_zero():
            logs.update(callback.open_session.news())
        original(logs, *args, **kwargs)

    trainer.log = log


def let_go_after(trainer: Trainer, callback: CouplingCallback) -> None:
    """Close the run folder however training ends, by an error or Ctrl-C too: who resumes it may be this process."""
    original = trainer.train

    def train(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        finally:
            callback.let_go()

    trainer.train = train
