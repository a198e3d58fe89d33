"""What forks conclude about one objective, in a sentence or two: who made its change, or what would tell (C10)."""

from __future__ import annotations

from collections.abc import Mapping

from scipy import special

from interlace.analysis.words import signed
from interlace.estimate import Estimate, Figure
from interlace.statistics.intervals import LEVEL
from interlace.statistics.power import POWER
from interlace.wording import counted

NAMES = {"sft_loss": "SFT loss", "reward": "reward"}
PARTS = {
    "drift": ("drift", "any seed would do it"),
    "drift_by_reward": ("the reward's pull", "any seed would do it"),
    "reward_free_drift": ("reward-free drift", "rewards that say nothing do it too"),
    "diffusion": ("the noise of a single run (diffusion)", "averaged weights are without it"),
}
"""Part: who did it, and what follows."""
MOST_FORKS = 64
"""More are not suggested: a part that needs them is small beside its noise."""


def conclusion(name: str, parts: Mapping[str, Figure], count: int, steps: int, stage_steps: int) -> str:
    """Of objective `name`, from `count` forks of `steps` of the stage's steps; the rest too, where it is resolved."""
    return _parts_made(name, parts, count, steps, stage_steps) + _rest(parts)


def _rest(parts: Mapping[str, Figure]) -> str:
    """What the run did beyond drift and diffusion: a draw of the noise is of the size that one fork differs by."""
    rest = parts.get("unresolved")
    if not isinstance(rest, Estimate) or not rest.sign:
        return ""
    return (
        f" The rest, {signed(rest)}, is resolved too: it is this run's own, whose draw of the noise went another way "
        "than its forks do on average."
    )


def _parts_made(name: str, parts: Mapping[str, Figure], count: int, steps: int, stage_steps: int) -> str:
    known = {part: figure for part in _spoken_of(parts) if isinstance(figure := parts[part], Estimate)}
    told = {part: figure for part, figure in known.items() if figure.sign}
    change = _change(name, parts, steps, stage_steps)
    if all(map(_is_still, (parts[part] for part in _spoken_of(parts)))):
        return f"{change}: nothing moved, in any of {counted(count, 'fork')}."
    if not told:
        return f"{change}: no part of it is resolved. {_what_would_tell(known, count)}"
    made = ", ".join(f"{PARTS[part][0]} made {signed(figure)} ({PARTS[part][1]})" for part, figure in told.items())
    untold = [PARTS[part][0] for part in _spoken_of(parts) if part not in told]
    if "drift" in told and "drift_by_reward" in parts:
        untold.append("how much of the drift is the reward's")
    return f"{change}: {made}{'; not resolved: ' if untold else ''}{' and '.join(untold)}."


def forks_needed(figure: Estimate, count: int) -> int | None:
    """How many forks would resolve a part as large as `figure` in 80 % of cases; None: more than `MOST_FORKS`, or no
    number of them, because it is 0.

    By its half width with `count` forks, as if that came from forks alone and shrank as Student's t does.
    """
    if figure.value == 0.0:
        return None
    scatter = (figure.upper - figure.lower) / 2.0 * count**0.5 / _quantile(count, 0.5 + LEVEL / 2)
    enough = (
        more
        for more in range(count + 1, MOST_FORKS + 1)
        if (_quantile(more, 0.5 + LEVEL / 2) + _quantile(more, POWER)) * scatter <= abs(figure.value) * more**0.5
    )
    return next(enough, None)


def _is_still(figure: Figure) -> bool:
    """Whether a part is 0 in every fork."""
    return isinstance(figure, Estimate) and figure.lower == figure.value == figure.upper == 0.0


def _quantile(count: int, share: float) -> float:
    return float(special.stdtrit(count - 1, share))


def _spoken_of(parts: Mapping[str, Figure]) -> tuple[str, ...]:
    """Diffusion, and drift: whole where no placebo divides it or only the whole is resolved, else its two parts."""
    division = tuple(part for part in ("drift_by_reward", "reward_free_drift") if part in parts)
    is_whole = not division or (parts["drift"].sign and not any(parts[part].sign for part in division))
    return (*(("drift",) if is_whole else division), "diffusion")


def _change(name: str, parts: Mapping[str, Figure], steps: int, stage_steps: int) -> str:
    length = f"over {steps:,} of the stage's {stage_steps:,} steps" if steps != stage_steps else f"over {steps:,} steps"
    change = parts.get("change")
    own = f" (this run: {signed(change)})" if isinstance(change, Estimate) else ""
    return f"Change of {NAMES.get(name, name)} {length}{own}"


def _what_would_tell(known: Mapping[str, Estimate], count: int) -> str:
    needed = {part: more for part, figure in known.items() if (more := forks_needed(figure, count)) is not None}
    if not needed:
        return f"Even {MOST_FORKS} forks would probably not resolve one: fork for more steps, or take it as small."
    part = min(needed, key=lambda each: needed[each])
    return (
        f"About {counted(needed[part], 'fork')} in place of {count} would probably resolve {PARTS[part][0]}, "
        f"if it is as large as it looks ({signed(known[part])})."
    )
