"""What forks of a stage showed, in sentences (B8, C9, C10)."""

from __future__ import annotations

from interlace.analysis.summary import ForkLength, ForkSummary
from interlace.analysis.words import signed
from interlace.estimate import Estimate, Figure, figure_text

RATIOS = {
    "distance_ratio": "went {} times as far",
    "second_moment_ratio": "had {} times the mean square gradient",
}


def fork_remarks(forks: ForkSummary) -> list[str]:
    """What the parts do not say: how forks differ, their length, and how like the stage its placebo was."""
    shared = "share no prompt" if forks.is_disjoint else "go through the same prompts, each in an order of its own"
    remarks = [f"Forks {shared}.", *_against_length(forks)]
    return [*remarks, *_placebo(forks)]


def _against_length(forks: ForkSummary) -> list[str]:
    lengths = [entry for entry in forks.lengths if isinstance(entry.diffusion, Estimate)]
    per_step = f"Diffusion per step: {forks.diffusion_per_step}."
    if len(lengths) < 2:
        return [per_step]
    return [f"Diffusion after {', '.join(map(_after, lengths))} nats/response. {per_step}"]


def _after(entry: ForkLength) -> str:
    return f"{entry.steps} steps {signed(entry.diffusion, unit=False)}"


def _placebo(forks: ForkSummary) -> list[str]:
    """A placebo whose updates are unlike the stage's own says little of it (C9)."""
    known: dict[str, Figure] = {
        name: figure for name, figure in forks.placebo_against_stage.items() if isinstance(figure, Estimate)
    }
    said = " and ".join(RATIOS[name].format(figure_text(figure, unit=False)) for name, figure in known.items())
    mode = (forks.placebo or "").replace("_", " ")
    return [f"The {mode} placebo {said} as the stage: it is a control, not a bound."] if said else []
