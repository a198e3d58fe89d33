"""CouplingCallback: for `callbacks=[...]` of any Transformers or TRL trainer that trains a causal language model.

It never ends the training that it looks at: what fails is recorded, said once and switched off.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from transformers import TrainerControl, TrainerState, TrainingArguments

from interlace.attachment.logs import is_of_evaluation
from interlace.attachment.session import Session
from interlace.attachment.settings import Overhead, Settings
from interlace.attachment.trainers import policy_of, refuse_sharded, stage_kind
from interlace.callback.events import TrainerEvent, TrainerEvents
from interlace.callback.rollouts import Rollouts
from interlace.errors import InterlaceError, RecipeError
from interlace.policies import Policy
from interlace.policies.kept import KeptPolicy
from interlace.tasks import Task

logger = logging.getLogger("interlace")

Listener = Callable[["CouplingCallback", TrainerEvent], None]


def harmless(listener: Listener) -> Listener:
    """`listener` of rank 0 alone; no error of it reaches the trainer."""

    @functools.wraps(listener)
    def guarded(self: CouplingCallback, event: TrainerEvent) -> None:
        if self.is_off or not event.state.is_world_process_zero:
            return
        try:
            listener(self, event)
        except Exception as error:  # noqa: BLE001 -- an instrument never ends the training that it looks at
            self.switch_off(listener.__name__, error)

    return guarded


class CouplingCallback(TrainerEvents):
    """Looks at both objectives of `task` while a trainer trains, and writes a run folder that `interlace report` reads.

    A callback sees the model, not what a trainer samples or logs to reporters that were set up before it: its figures
    reach the progress bar, the printed logs and `trainer.state.log_history`, the look at the start with the first of
    them (`coupling/step` says 0). `interlace.attach` gives all of it, the start at step 0.

    Args, Raises, Cost: those of `interlace.attach`; the model is refused at the trainer's construction.
    """

    def __init__(
        self,
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
    ) -> None:
        self.settings = Settings.asked(task, every, overhead, out, preset, prompts, completions, expert_policy, stop)
        self.session: Session | None = None
        self.is_off = False
        self.writes_logs = False
        self.log_start: Callable[[dict[str, float]], None] | None = None
        self.rollouts: Rollouts | None = None
        self.resumed_from: Path | None = None
        self._start: KeptPolicy | None = None

    @property
    def folder(self) -> Path | None:
        """The run folder; None before training begins, and in processes that do not write."""
        return None if self.session is None else self.session.store.folder

    @property
    def open_session(self) -> Session | None:
        """The session that is being written, from the first event of a training to its last."""
        return None if self.session is None or self.session.is_closed else self.session

    def on_init_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Keep the weights that training starts from, which a resume overwrites before it begins.

        The one event that may raise: nothing is trained yet, and the mistake is the user's.
        """
        self.bind(args, rest["model"], rest["processing_class"])

    def bind(self, args: TrainingArguments, model: Any, processing_class: Any) -> Policy:
        """Take the policy that will be trained. Raises ModelError if it cannot be looked at."""
        refuse_sharded(args)
        policy = policy_of(model, processing_class)
        self.settings.refuse_unfit_stop(stage_kind(args), args.world_size)
        self.settings.refuse_unfit(policy)
        self.settings.refuse_missing_expert()
        if args.process_index == 0:  # nobody else looks
            self.settings = self.settings.with_expert_for(policy)
            self._start = KeptPolicy.of(policy)
        return policy

    def training_begins(self, event: TrainerEvent) -> None:
        """Take the run folder and look at the start; what ended an earlier training's looks may be mended by now."""
        self.is_off = False
        self.look_at_start(event)

    @harmless
    def look_at_start(self, event: TrainerEvent) -> None:
        """Of a resumed training, only if no earlier process did."""
        policy = policy_of(event.rest["model"], event.rest["processing_class"])
        if self._start is None or event.step == 0:
            self._start = KeptPolicy.of(policy)
        self.let_go()
        self.session = Session.begin(self.settings, event.args, event.state, policy, self._start, logger.warning,
                                     event.rest["model"])  # fmt: skip
        if self.rollouts is not None:
            self.rollouts.begin()
            if event.step > 0:
                self.rollouts.restore(self.resumed_from or event.checkpoint)
        self.session.looking.rollouts = self.rollouts
        self.session.look_at_start(event.step)
        if self.log_start is not None and (news := self.session.news()):
            self.log_start(news)

    @harmless
    def before_step(self, event: TrainerEvent) -> None:
        """Before a step after which is looked, keep what the look wants to know of it."""
        if self.open_session is not None:
            self.open_session.looking.step_begins(event.step + 1, event.is_before_last, event.optimizer)

    @harmless
    def after_micro_batch(self, event: TrainerEvent) -> None:
        """Between micro-batches: keep what the look wants to know of them."""
        if self.open_session is not None:
            self.open_session.looking.micro_batch_done(event.step + 1, event.is_before_last, event.micro_batch_size)

    @harmless
    def after_step(self, event: TrainerEvent) -> None:
        """Look if it is time; the last step is the end."""
        if self.open_session is None:
            raise RecipeError(
                "a callback must be added before training begins: the start is what the rest is compared with. "
                f"Got its first event after step {event.step}. Add it before trainer.train()."
            )
        self.open_session.step_done(event.step, event.is_last)
        if self.open_session.looking.is_stopped:
            event.control.should_training_stop = True

    @harmless
    def saved(self, event: TrainerEvent) -> None:
        """Keep what a training that resumes from this checkpoint needs to know: the time spent, what was sampled."""
        if self.open_session is not None:
            with self.counted():
                self.open_session.looking.keep_overhead(event.step)
                if self.rollouts is not None and event.checkpoint.is_dir():  # a search of hyperparameters has others
                    self.rollouts.save(event.checkpoint)

    @harmless
    def logged(self, event: TrainerEvent) -> None:
        """Keep what the trainer logs, and add the latest figures for whoever logs after this callback."""
        if self.open_session is None:
            return
        with self.counted():
            self.open_session.looking.keep_log(event.step, event.logs)
            if not self.writes_logs and not is_of_evaluation(event.logs):
                news = self.open_session.news()
                event.logs.update(news)
                event.state.log_history[-1].update(news)

    @harmless
    def training_ends(self, event: TrainerEvent) -> None:
        """Write what the stage spent, and let go of the folder."""
        if self.open_session is not None:
            self.open_session.end(event.args, event.state)
        self.let_go()

    def let_go(self) -> None:
        """Close the run folder for whoever writes to it next, however training ended."""
        if self.session is not None:
            with suppress(OSError):  # of a full disk, which was said when it was met
                self.session.close()

    def counted(self) -> AbstractContextManager[None]:
        """Counts what is done inside as time in the callback."""
        return nullcontext() if self.open_session is None else self.open_session.looking.meter.counting()

    def guarded(self, where: str, read: Callable[[], None]) -> None:
        """Run what reads at a seam of the trainer; an error of it switches the callback off."""
        if self.is_off:
            return
        try:
            with self.counted():
                read()
        except Exception as error:  # noqa: BLE001 -- an instrument never ends the training that it looks at
            self.switch_off(where, error)

    def switch_off(self, where: str, error: Exception) -> None:
        """No more looks in this training: that is recorded if that is still possible, and said once."""
        self.is_off = True
        text = (
            f"interlace stopped looking in {where}: {type(error).__name__}: {str(error).rstrip('.')}. Training goes on."
        )
        logger.warning(text, exc_info=None if isinstance(error, InterlaceError | OSError) else error)
        if self.session is not None:
            self.session.give_up(text)
