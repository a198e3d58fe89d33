"""Stopping: the stop rule of a stage while it goes: shown every look, its state kept for a resume, its weights kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interlace.controllers import Decision, Sighting, State, StopRule
from interlace.errors import DataError
from interlace.measurement import AVERAGED, RAW, HeldOut, PromptScores
from interlace.policies import Policy
from interlace.policies.averaging import AveragedWeights
from interlace.probes.instruments import Instruments
from interlace.store import RunStore, seal_checkpoint
from interlace.store.events import last_event
from interlace.store.run_store import EVENTS
from interlace.store.stopped import STOPPED, Stopped

LOOKED = "stop_rule"
"""The kind of the events that hold a rule's state after each look."""
ENOUGH_TO_TELL = 4
"""Looks wished after which it is said on the way that a rule was given less than half of them."""


@dataclass
class KeptWeights:
    """Weights that a stop may go back to, in `folder`/kept-STEP: those of the rule's candidate, and of the candidate at
    the last checkpoint, which a resume begins with. `source` is what is saved (None: the policy's model): of a model
    with adapters, the one that knows how.

    Cost: one copy of the weights on disk for each, written at a look that the rule has nothing against.
    """

    folder: Path
    safe: int = 0
    source: Any = None

    def path(self, step: int) -> Path:
        """Where the weights of `step` are kept."""
        return self.folder / f"kept-{step}"

    def keep(self, step: int, policy: Policy, averaged: AveragedWeights | None) -> None:
        """Write the weights of `step`, then let go of those that nothing goes back to."""
        path = self.path(step)
        if path.exists():
            shutil.rmtree(path)
        (policy.model if self.source is None else self.source).save_pretrained(path)
        policy.tokenizer.save_pretrained(path)
        if averaged is not None:
            averaged.save(path)
        seal_checkpoint(path)
        self.drop_all_but(step, self.safe)

    def drop_all_but(self, *steps: int) -> None:
        """Remove every other one."""
        for path in self.folder.glob("kept-*"):
            if path not in [self.path(step) for step in steps]:
                shutil.rmtree(path)


@dataclass
class Stopping:
    """Shows a rule the looks at `task`, and remembers what it decided.

    `start_of` finds the task's scores at the stage's start. `stopped` is set at the look that ends the stage.
    `goes_back`: whoever runs the stage takes up the kept weights; else it is only said where they are. `num_given`:
    looks that had all the probes that the rule reads, those of earlier processes included.
    """

    rule: StopRule
    task: str
    stage: str
    store: RunStore
    start_of: Callable[[str], PromptScores | None]
    say: Callable[[str], None]
    state: State
    kept: KeptWeights | None = None
    goes_back: bool = True
    stopped: Stopped | None = None
    num_given: int = 0
    _said: set[str] = field(default_factory=set)

    @classmethod
    def begin(
        cls,
        rule: StopRule,
        held: HeldOut,
        stage: str,
        store: RunStore,
        start_of: Callable[[str], PromptScores | None],
        say: Callable[[str], None],
        already: int,
    ) -> Stopping:
        """The rule of a stage whose `already` steps an earlier process has done, with the state that it had there.

        Raises DataError where the rule cannot be had on the task's held-out set.
        """
        refusal = rule.refuses(held)
        if refusal is not None:
            raise DataError(f"stop rule {rule.name} cannot be followed: {refusal}. Choose another rule, or drop stop.")
        earlier = last_event(store.folder / EVENTS, LOOKED, stage, already) if already else {}
        state = State.from_json(earlier["state"]) if earlier else rule.init()
        kept = KeptWeights(store.stage_folder(stage), state.candidate) if rule.options.rewind else None
        given = int(earlier.get("given", 0))
        return cls(rule, held.task, stage, store, start_of, say, state, kept, num_given=given)

    def start(self, policy: Policy, averaged: AveragedWeights | None) -> None:
        """Keep the stage's start: what a rule goes back to that nothing after it pleased."""
        if self.kept is not None:
            self.kept.keep(0, policy, averaged)

    def see(
        self,
        step: int,
        is_last: bool,
        instruments: Instruments,
        policy: Policy,
        averaged: AveragedWeights | None,
        probes: Collection[str],
    ) -> None:
        """Show the rule the latest look, which used `probes`, and do what it says."""
        sighting = self._sighting(step, is_last, instruments)
        if sighting is None or self.stopped is not None:
            return
        self.num_given += set(self.rule.needs) <= set(probes)
        self.state, decision = self.rule.update(self.state, sighting)
        if decision.keep and self.kept is not None:
            self.kept.keep(step, policy, averaged)
        self.store.event(
            LOOKED, stage=self.stage, step=step, rule=self.rule.name, state=self.state.to_json(), given=self.num_given
        )
        if decision.stop and not (is_last and decision.rewind_to is None):
            self._stop(step, decision)
        elif decision.reason and not decision.stop and self.rule.name not in self._said:
            self._said.add(self.rule.name)
            self.store.event("flag", stage=self.stage, step=step, rule=self.rule.name, text=decision.reason)
            self.say(f"{self.stage}: {decision.reason}")

    def starved(self, wished: int, is_last: bool) -> str | None:
        """That the rule was given too few of the looks `wished` so far, once on the way and once at the end.

        On the way: less than half of `ENOUGH_TO_TELL` or more. At the end: any fewer than all.
        """
        key = "end" if is_last else "starved"
        enough = wished if is_last else wished / 2.0 if wished >= ENOUGH_TO_TELL else 0.0
        if self.stopped is not None or self.num_given >= enough or key in self._said:
            return None
        self._said.add(key)
        so_far = "" if is_last else " so far"
        return (
            f"the stop rule {self.rule.name} was given {self.num_given} of {wished} looks wished{so_far}, so it may "
            f"stop late or not at all: the others had no room for its probes ({', '.join(self.rule.needs)})"
        )

    def checkpointed(self) -> None:
        """A checkpoint was written: what a resume from it goes back to stays."""
        if self.kept is not None:
            self.kept.safe = self.state.candidate

    def _sighting(self, step: int, is_last: bool, instruments: Instruments) -> Sighting | None:
        weights = AVERAGED if self.rule.options.weights == "averaged" else RAW
        return sighted(self.task, weights, self.start_of, instruments, step, is_last)

    def _stop(self, step: int, decision: Decision) -> None:
        rewound_to = decision.rewind_to
        place = None if rewound_to is None or self.kept is None else str(self.kept.path(rewound_to))
        back, kept = (rewound_to, None) if self.goes_back else (None, place)
        self.stopped = Stopped(self.rule.name, step, decision.reason, decision.figure, back, kept, decision.quantity)
        self.store.event(STOPPED, stage=self.stage, **self.stopped.to_json())
        self.say(f"{self.stage}: {self.stopped.sentence}")


def sighted(
    task: str,
    weights: str,
    start_of: Callable[[str], PromptScores | None],
    instruments: Instruments,
    step: int,
    is_last: bool,
) -> Sighting | None:
    """The latest look at `task` beside the stage's start; None at the start itself, or where it was not seen."""
    start, scores = start_of(task), instruments.latest_scores.get((task, weights))
    if step == 0 or start is None or scores is None:
        return None
    held = next(target.heldout for target in instruments.targets if target.task.name == task)
    return Sighting(step, held, start, scores, instruments.latest.get((task, weights), {}), is_last)
