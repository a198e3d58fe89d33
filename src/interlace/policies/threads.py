"""Thread settings: two torch processes that both spin on the same cores slow each other down twenty times."""

from __future__ import annotations

import os

import torch


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def configure_threads(threads: int | None) -> int:
    """Set torch's threads for this process and return them; None keeps OMP_NUM_THREADS if it is set, else all cores."""
    chosen = threads or _asked_for() or available_cores()
    torch.set_num_threads(chosen)
    return chosen


def _asked_for() -> int | None:
    """OMP_NUM_THREADS, of a list (one number a level of nesting) the first; None if it is no number above 0."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) or None if first.isdecimal() else None
