"""What forks of a stage showed, in sentences (B8, C9, C10)."""

from __future__ import annotations

from interlace.analysis.summary import ForkLength, ForkSummary
from interlace.analysis.words import signed
from interlace.estimate import Estimate, Figure, figure_text
from interlace.wording import counted

RATIOS = {
    "distance_ratio": "went {} times as far",
    "mean_square_gradient_ratio": "had {} times the mean square gradient (after clipping)",
}
LOGGED = {
    "reward": "sampled reward",
    "entropy": "entropy",
    "completions/mean_length": "completion length",
    "clip_ratio/region_mean": "clipped share",
}
"""What is said of the forks' own logs: in an arm without information a change that every seed makes is a drift."""
MOST_SHOWN = 0.9


def fork_remarks(forks: ForkSummary) -> list[str]:
    """What the parts do not say: how forks differ, their length, and how like the stage its placebo was."""
    shared = "share no prompt" if forks.is_disjoint else "go through the same prompts, each in an order of its own"
    return [f"Forks {shared}.", *_against_length(forks), *_momentum(forks), *_placebo(forks), *_along(forks)]


def _against_length(forks: ForkSummary) -> list[str]:
    lengths = [entry for entry in forks.lengths if isinstance(entry.diffusion, Estimate)]
    per_step = f"Diffusion per step: {forks.diffusion_per_step}."
    if len(lengths) < 2:
        return [per_step]
    return [f"Diffusion after {', '.join(map(_after, lengths))} nats/response. {per_step}"]


def _after(entry: ForkLength) -> str:
    return f"{counted(entry.steps, 'step')} {signed(entry.diffusion, unit=False)}"


def _momentum(forks: ForkSummary) -> list[str]:
    """Forks begin without momentum: what their last steps' noise will do has not shown yet."""
    said = []
    if forks.noise_shown < MOST_SHOWN:
        length = counted(forks.steps, "step")
        said.append(
            f"With this momentum, forks of {length} have shown {forks.noise_shown:.0%} of the diffusion that their "
            "noise causes in the end (B8)."
        )
    if "change" not in forks.parts.get("sft_loss", {}):
        said.append("The run's own steps do not stand beside them: it did not begin there as its forks do.")
    return said


def _placebo(forks: ForkSummary) -> list[str]:
    """A placebo whose updates are unlike the stage's own says little of it (C9)."""
    known: dict[str, Figure] = {
        name: figure for name, figure in forks.placebo_against_stage.items() if isinstance(figure, Estimate)
    }
    said = " and ".join(RATIOS[name].format(figure_text(figure, unit=False)) for name, figure in known.items())
    mode = (forks.placebo or "").replace("_", " ")
    return [f"The {mode} placebo {said}, against the stage: it is a control, not a bound."] if said else []


def _along(forks: ForkSummary) -> list[str]:
    """What a placebo's rewards moved although they say nothing."""
    moved = [
        f"{LOGGED[name]} {signed(figure, unit=False)}"
        for name, figure in forks.along.get("placebo", {}).items()
        if name in LOGGED and isinstance(figure, Estimate)
    ]
    return [f"From its first quarter to its last the placebo changed {', '.join(moved)}."] if moved else []
