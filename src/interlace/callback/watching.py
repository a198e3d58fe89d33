"""The flag watch of a stage in a run folder: it knows the stage's start and what was already said, resumes included."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from interlace.callback.looking import WATCHED
from interlace.flags import FLAGS, FlagWatch
from interlace.flags.watch import LookPlan
from interlace.measurement import Point, PromptScores
from interlace.store import RunStore
from interlace.store.events import read_events
from interlace.store.run_store import EVENTS, SAMPLES
from interlace.store.scores import read_scores


def stage_watch(
    store: RunStore, stage: str, kind: str, tasks: Sequence[str], max_steps: int, every: int, already: int
) -> FlagWatch:
    """Every rule over a stage of `max_steps`. What earlier processes said in their `already` steps is not repeated, and
    what their looks took of the error, those that a kill undid included, is spent."""
    known: dict[str, PromptScores] = {}

    def start_of(task: str) -> PromptScores | None:
        with suppress(KeyError):
            known[task] = known.get(task) or read_scores(store.folder / SAMPLES, Point(stage, 0, task))
        return known.get(task)

    events = [event for event in read_events(store.folder / EVENTS) if event.get("stage") == stage]
    flags = (event for event in events if event["kind"] == "flag" and event.get("task"))
    said = {(event["task"], event["rule"]) for event in flags if event["step"] <= already}
    looks = {event["step"]: float(event[WATCHED]) for event in events if WATCHED in event}
    return FlagWatch(kind, FLAGS, LookPlan(max_steps, every), len(tasks), start_of, said, looks)
