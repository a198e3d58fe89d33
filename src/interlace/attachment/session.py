"""Session: one training under observation, from its first look to its last line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import TrainerState, TrainingArguments

from interlace.attachment.folder import AttachedRun
from interlace.attachment.logs import PREFIX, changes, logged
from interlace.attachment.patience import Patience
from interlace.attachment.settings import Settings
from interlace.attachment.trainers import stage_kind, stage_options
from interlace.callback import Looking, Stopping, stage_watch
from interlace.callback.foreseeing import Foreseeing
from interlace.controllers import build_rule
from interlace.errors import DataError, RewardError
from interlace.flags.watch import planned_looks
from interlace.forecasting import Foresight, KlTerm
from interlace.measurement import RAW, PromptScores
from interlace.observer import Observer
from interlace.policies import Policy
from interlace.policies.kept import KeptPolicy
from interlace.probes import probes_of
from interlace.probes.instruments import Instruments
from interlace.store import REWARD_FAILED, RunStore
from interlace.store.events import last_event
from interlace.store.run_store import EVENTS
from interlace.theory.paths import PathOptions

Say = Callable[[str], None]

REMEDY = (
    "For more, raise overhead= (None: no limit), or measure less at each by prompts= or completions=; a larger every= "
    "spaces those that fit evenly"
)
"""How more looks fit into the budget."""


class Speaker(Observer):
    """Says notes through `say`, each once."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self._said: set[str] = set()

    def note(self, sentence: str) -> None:
        """Something a user should read."""
        if sentence not in self._said:
            self._said.add(sentence)
            self.say(sentence)


@dataclass(frozen=True)
class Failures:
    """What is done with a probe that failed: it is recorded and said; who calls switches it off. `dead`: the rewards
    that were said to have failed."""

    stage: str
    store: RunStore
    observer: Observer
    dead: set[str] = field(default_factory=set)

    def __call__(self, name: str, error: Exception) -> None:
        """A reward that fails takes every probe that reads it along, and is told once."""
        reason = str(error).rstrip(".")
        if not isinstance(error, RewardError):
            self._tell(f"the probe {name} failed and was switched off: {type(error).__name__}: {reason}")
        elif error.reward not in self.dead:
            self.dead.add(error.reward)
            self._tell(f"the reward failed, and what reads it was switched off: {reason}", rule=REWARD_FAILED)

    def _tell(self, text: str, **rule: str) -> None:
        self.store.event("flag", stage=self.stage, text=text, **rule)
        self.observer.note(f"{text}. Training goes on.")


@dataclass
class Session:
    """What is looked at, where it is written, and what the trainer's logs have not carried yet."""

    looking: Looking
    store: RunStore
    failures: Failures
    patience: Patience
    _news: dict[str, float] = field(default_factory=dict)
    _last_look: int = -1

    @classmethod
    def begin(
        cls,
        settings: Settings,
        args: TrainingArguments,
        state: TrainerState,
        policy: Policy,
        start: KeptPolicy,
        say: Say,
        model: Any,
    ) -> Session:
        """Take the folder and record what begins. `model` is the trainer's own, adapters and all."""
        run = AttachedRun(Path(str(args.output_dir)).name, stage_kind(args), settings.tasks, int(args.seed))
        already = state.global_step
        wished = settings.out or Path(str(args.output_dir)) / "interlace"
        store = run.claim(wished, already > 0)
        if store.folder != wished:
            say(f"{wished} holds another training; this one is written to {store.folder}")
        targets = settings.targets(policy, getattr(args, "max_completion_length", None))
        for target in targets:
            store.heldout(target.heldout)
        _announce(store, run, args, state)
        expert, observer = settings.expert_beside(policy), Speaker(say)
        for target in targets:
            if target.cut_off is not None:
                observer.note(target.cut_off)
        probes = probes_of(settings.preset, with_expert=expert is not None)
        instruments = Instruments(store, observer, targets, probes, settings.completions, run.seed, expert=expert)
        names, failures = [task.name for task in settings.tasks], Failures(run.stage, store, observer)
        watch = stage_watch(store, run.stage, run.kind, names, state.max_steps, settings.every, already)
        looking = Looking(
            run.stage, instruments, policy, start, settings.every, settings.overhead, watch=watch, on_failure=failures,
            remedy=REMEDY,
        )  # fmt: skip
        looking.stopping = _stopping(settings, looking, model, state)
        looking.foreseeing = _foreseeing(run, looking, args, state)
        looking.carry_on(last_event(store.folder / EVENTS, "overhead", run.stage, already))
        return cls(looking, store, failures, Patience.of(args.ddp_timeout, args.world_size))

    def look_at_start(self, already: int) -> None:
        """A resumed training is looked at from the weights it once started with, unless an earlier process did."""
        looking = self.looking
        looking.begin()
        measured = all(self._start_scores(target.task.name) for target in looking.instruments.targets)
        if already and measured:
            return
        with self._while_others_wait(0), looking.meter.counting(at_end=True):
            current, looking.policy = looking.policy, looking.policy if not already else looking.start
            looking.look(0)
            self._show(0)
            looking.policy = current
        if not already:
            self._last_look = 0
            self._report(0)
            if looking.stopping is not None:
                looking.stopping.start(looking.policy, None)

    def step_done(self, step: int, is_last: bool) -> None:
        """One optimizer step is done: look if it is time, and log what was sampled since the last look."""
        with self._while_others_wait(step):
            looked = self.looking.step_done(step, is_last)
        if not self.looking.is_due(step, is_last):
            return
        with self.looking.meter.counting(at_end=is_last):
            self._news |= logged(self.looking.sampled)
            if looked:
                self._last_look, began = step, time.process_time()
                self._report(step)
                self.looking.budget.fixed += time.process_time() - began

    def news(self) -> dict[str, float]:
        """The figures that no log has carried yet, handed over once."""
        news, self._news = self._news, {}
        return news

    def end(self, args: TrainingArguments, state: TrainerState) -> None:
        """Look at the end if the last step was not it, and finish the stage if all its steps were done."""
        with self._while_others_wait(state.global_step), self.looking.meter.counting(at_end=True):
            if self._last_look != state.global_step and not getattr(args, "load_best_model_at_end", False):
                self.step_done(state.global_step, is_last=True)
            self._show(state.global_step)
        looking = self.looking
        self._say_what_was_thinned()
        if state.global_step >= state.max_steps or looking.is_stopped:
            self.store.event(
                "stage_finished", stage=looking.stage, steps_done=state.global_step, ledger=self._ledger(args, state)
            )

    @contextmanager
    def _while_others_wait(self, step: int) -> Iterator[None]:
        """Time what is done inside; say, once, if it comes near to what the other processes wait."""
        began = time.perf_counter()
        yield
        text = self.patience.tried(step, time.perf_counter() - began)
        if text is not None:
            self.looking.flag(step, "ddp_timeout", text)

    @property
    def is_closed(self) -> bool:
        """Whether the folder was let go of."""
        return self.store.is_closed

    def close(self) -> None:
        """Let go of the folder."""
        self.store.close()

    def give_up(self, text: str) -> None:
        """Record why nothing more is looked at, if that can still be written."""
        try:
            self.store.event("flag", stage=self.looking.stage, text=text)
            self.store.close()
        except (OSError, ValueError):
            return

    def _report(self, step: int) -> None:
        """Hand the latest figures to the trainer's next log."""
        instruments, several = self.looking.instruments, len(self.looking.instruments.targets) > 1
        self._news |= {f"{PREFIX}step": float(step)}
        for target in instruments.targets:
            name = target.task.name
            figures = dict(instruments.latest.get((name, RAW), {}))
            before, now = self._start_scores(name), instruments.latest_scores.get((name, RAW))
            if step and before is not None and now is not None:
                figures |= changes(target.heldout, before, now)
            self._news |= logged(figures, name if several else "")
        share = self.looking.meter.share
        if share is not None:
            self._news[f"{PREFIX}overhead"] = share

    def _start_scores(self, task: str) -> PromptScores | None:
        """What the prompts contributed at the stage's start, in this process or an earlier one."""
        assert self.looking.watch is not None
        return self.looking.watch.start_of(task)

    def _show(self, step: int) -> None:
        """Keep a few sampled completions for the report."""
        looking = self.looking
        try:
            looking.instruments.show(looking.stage, step, looking.policy, looking.start)
        except DataError as error:
            self.failures("samples", error)

    def _say_what_was_thinned(self) -> None:
        budget, meter = self.looking.budget, self.looking.meter
        if budget.num_thinned or budget.num_lightened:
            self.looking.flag(
                0,
                "overhead",
                f"{budget.num_thinned} looks were left out and {budget.num_lightened} were made with cheaper probes, "
                f"to keep within overhead={budget.overhead:g} (used {meter.share or 0.0:.3g} between start and end). "
                f"{REMEDY}",
            )

    def _ledger(self, args: TrainingArguments, state: TrainerState) -> dict[str, Any]:
        """What the stage spent, as far as a callback can know it; what it cannot is left out: tokens that other
        processes sampled, or an earlier one whose checkpoint does not tell."""
        looking = self.looking
        spent = {"optimizer_steps": state.global_step, **looking.clock.totals(looking.instruments.seconds)}
        if looking.rollouts is not None and not looking.rollouts.is_resumed and args.world_size == 1:
            spent["tokens_sampled"] = looking.rollouts.tokens_sampled
        if state.num_input_tokens_seen:
            spent["tokens_forward"] = spent["tokens_backward"] = int(state.num_input_tokens_seen)
        return spent


def _stopping(settings: Settings, looking: Looking, model: Any, state: TrainerState) -> Stopping | None:
    """The stop rule that was asked for. It keeps the weights of `model` and does not go back to them: the trainer is
    the user's."""
    if settings.stop is None:
        return None
    assert looking.watch is not None
    instruments, start_of = looking.instruments, looking.watch.start_of
    rule = build_rule(settings.stop, planned_looks(state.max_steps, settings.every))
    held, store, say = instruments.targets[0].heldout, instruments.store, instruments.observer.note
    stopping = Stopping.begin(rule, held, looking.stage, store, start_of, say, state.global_step)
    stopping.goes_back = False
    if stopping.kept is not None:
        stopping.kept.source = model
    return stopping


def _foreseeing(run: AttachedRun, looking: Looking, args: TrainingArguments, state: TrainerState) -> Foreseeing | None:
    """Forecasts of a training that is RL and whose length is known."""
    if run.kind != "rl" or state.max_steps <= 0:
        return None
    assert looking.watch is not None
    instruments = looking.instruments
    foresight = Foresight(
        stage=run.stage,
        task=instruments.targets[0].task.name,
        held={target.task.name: target.heldout for target in instruments.targets},
        start_of=looking.watch.start_of,
        max_steps=state.max_steps,
        options=PathOptions(group_size=getattr(args, "num_generations", 8)),
        seed=run.seed,
        kl_term=KlTerm.of_arguments(args),
    )
    return Foreseeing(instruments.store, foresight, instruments.observer.note, state.global_step)


def _announce(store: RunStore, run: AttachedRun, args: TrainingArguments, state: TrainerState) -> None:
    store.event(
        "stage_started",
        stage=run.stage,
        name=run.kind,
        stage_kind=run.kind,
        task=run.tasks[0].name,
        steps_planned=state.max_steps,
        resumed_from=state.global_step if state.global_step else -1,
        options={"trainer_config": type(args).__name__, **stage_options(args)},
        began=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )
