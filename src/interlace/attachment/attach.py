"""attach(trainer, task): the instruments for a trainer in hand, in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import Trainer

from interlace.attachment.callback import CouplingCallback
from interlace.attachment.logs import is_of_evaluation
from interlace.attachment.settings import Overhead
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
    stop: Mapping[str, Any] | None = None,
) -> CouplingCallback:
    """Look at both objectives of `task` while `trainer` trains: SFT loss, reward and divergence on held-out prompts.

    For TRL's SFT, GRPO, RLOO, DPO and KTO trainers and a plain Transformers Trainer; before ``trainer.train()``. Every
    tracker gets the main figures with their intervals, the start's at step 0, later ones beside what training logs
    (evaluations are left alone); a run folder is written that `interlace report` reads, and what GRPO and RLOO sample
    anyway is read too. Training ends where it would have ended without; what fails is recorded, said once and switched
    off. In several processes rank 0 looks and writes, and the others wait for it at their next exchange of gradients.
    What was sampled goes on over a resume: each checkpoint then holds `interlace_sampled.npz`.

    Names in the logs: ``coupling/QUANTITY`` is the value, ``_lower`` and ``_upper`` its 95 % interval (``coupling/TASK/
    QUANTITY`` of several tasks); ``train_`` before a quantity: of what was sampled since the last look; ``_change``:
    since the stage's start; ``coupling/step``: the step looked at. All other figures and n, method, unit: run folder.

    ``coupling/train_rl_time``, the integral of dR/V (D5), is negative where the sampled reward fell; perhaps by noise,
    if its interval holds 0.

    Args:
        trainer: what will be trained.
        task: what is measured; several tasks give a coupling matrix. What an RL trainer samples stands under the first,
            whatever it trains on.
        every: optimizer steps between looks, the wish; the start and the end are always looked at. Neither has a bound:
            in several processes a look must take less than the trainer's ``ddp_timeout`` (half an hour by default),
            after which the others end the training. One that takes more than a quarter of it is warned of, once.
        overhead: the largest share of the training's CPU time (of the process that looks, those before a resume
            included) that everything between start and end may take; the dearest probes are left out first. "preset":
            0.005 with `light`, else 0.03 (`interlace.probes.OVERHEADS`). None: no limit. Of steps of a few milliseconds
            the callback alone, which looks at nothing, takes about 0.5 %.
        out: the run folder; by default `interlace` in the trainer's output_dir. A used one is never written into unless
            training resumes: a new training takes `-2`, `-3` ...
        preset: a price list of `interlace.probes.PRESETS`: "light", "standard" or "full".
        prompts: how many of the held-out prompts are measured, at least 2; None: all of them.
        completions: sampled a prompt where the reward cannot be enumerated, at least 2.
        expert_policy: a policy fine-tuned on the expert's data (loaded, a folder, a hub id, a .gguf file) that KL is
            measured to, with any preset; where `overhead` leaves no room between, at the start and the end.
        stop: ``{"rule": NAME, ...options}``, a rule of `interlace list rules` that may end the training before its
            steps are done, by the looks at the first task. With ``rewind`` the weights to go back to are kept in the
            run folder and named when it stops; the trainer's own stay as they are.

    Returns:
        The callback; its `folder` is the run folder once training has begun.

    Raises:
        RecipeError: an argument that cannot be meant, a stop rule in several processes, a trainer that trains already
            or is attached to.
        DataError: a held-out prompt or response that the model cannot read, or two tasks of one name.
        ModelError: no causal language model, no tokenizer, sharded weights, or an expert policy that does not load or
            has another vocabulary.
        MissingFileError: an expert policy that is not where it was said to be.

    Cost: memory of one copy of the trainable weights (with PEFT: of the adapter); time as `overhead` says, and two
    looks more.
    """
    refuse_trainer(trainer, task)
    callback = CouplingCallback(
        task,
        every,
        overhead,
        out,
        preset,
        prompts=prompts,
        completions=completions,
        expert_policy=expert_policy,
        stop=stop,
    )
    callback.bind(trainer.args, trainer.model, trainer.processing_class)
    callback.writes_logs = True
    callback.log_start = lambda news: Trainer.log(trainer, news)  # not TRL's, which adds what was sampled: nothing yet
    if samples(trainer) and trainer.is_world_process_zero():
        callback.rollouts = listen(trainer, callback.settings.tasks[0], callback.guarded)
    log_ahead(trainer, callback)
    let_go_after(trainer, callback)
    trainer.add_callback(callback)
    return callback


def refuse_trainer(trainer: Any, task: Any) -> None:
    """Raise RecipeError unless `trainer` is one, not yet training, that nothing of ours looks at."""
    if not isinstance(trainer, Trainer):
        swapped = " The two are swapped: attach(trainer, task)." if isinstance(task, Trainer) else " Give it first."
        raise RecipeError(
            f"attach must be given a Transformers or TRL trainer. Got a {type(trainer).__name__}.{swapped}"
        )
    if getattr(trainer, "is_in_train", False):
        raise RecipeError("attach must come before trainer.train(). This trainer is training. Attach it before.")
    if any(isinstance(each, CouplingCallback) for each in trainer.callback_handler.callbacks):
        raise RecipeError("a trainer must be attached to once. This one has a CouplingCallback. Remove one of the two.")


def log_ahead(trainer: Trainer, callback: CouplingCallback) -> None:
    """Put the figures beside what the trainer logs of its training, before any reporter sees it.

    In a copy: a trainer chooses its best model by the very dict that it logs of an evaluation, and returns that of its
    training's end. What else is added on the way (the epoch) goes back into the trainer's own.
    """
    original = trainer.log

    def log(logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        session = callback.open_session if trainer.is_world_process_zero() else None
        news = {} if session is None or is_of_evaluation(logs) else session.news()
        shown = {**logs, **news} if news else logs
        original(shown, *args, **kwargs)
        logs.update({name: value for name, value in shown.items() if name not in news})

    trainer.log = log


def let_go_after(trainer: Trainer, callback: CouplingCallback) -> None:
    """Close the run folder however training ends, by an error or Ctrl-C too: who resumes it may be this process. On the
    way in: the checkpoint that it resumes from, where it is named."""
    original = trainer.train

    def train(*args: Any, **kwargs: Any) -> Any:
        asked = args[0] if args else kwargs.get("resume_from_checkpoint")
        callback.resumed_from = Path(asked) if isinstance(asked, str | Path) else None
        try:
            return original(*args, **kwargs)
        finally:
            callback.let_go()

    trainer.train = train
