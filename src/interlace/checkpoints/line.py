"""The straight line of weights between two checkpoints: both objectives along it, its Pareto part, the point to take.

A repair for runs that are over: half way back towards the start often keeps most of the reward at less SFT loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from interlace.analysis.trajectory import Snapshot
from interlace.checkpoints.blend import write_blend
from interlace.checkpoints.budget import largest_rises
from interlace.checkpoints.choice import recommend
from interlace.checkpoints.differences import differences_of
from interlace.checkpoints.ends import check_ends
from interlace.checkpoints.found import Checkpoint
from interlace.checkpoints.loading import load_checkpoint
from interlace.checkpoints.measure import Bench, Note, Snapshots, cells_of
from interlace.checkpoints.profile import Profile, pareto
from interlace.checkpoints.result import Line, profiles
from interlace.errors import ModelError
from interlace.policies import Policy
from interlace.policies.interpolation import interpolated

REFINEMENTS = 4
"""Blends that a budget adds at most."""
SMALLEST_STEP = 1e-3
"""Positions closer than this are one."""


def measure_line(
    ends: Sequence[Checkpoint],
    bench: Bench,
    between: int,
    *,
    seen: Mapping[tuple[str, str], Snapshot] | None = None,
    budget: float | None = None,
    exchange_rate: float | None = None,
    write: Path | None = None,
    dtype: str = "float32",
    note: Note | None = None,
) -> Line:
    """Both objectives at the ends and at `between` blends, evenly spaced up to four digits; KL is to position 0.

    With a `budget`, up to `REFINEMENTS` more blends are measured, one after the other: where the upper end of the SFT
    loss's rise, interpolated between the positions that were measured, passes it. `choice` is one of the measured
    positions (`choice.recommend`). `write`: a new folder for its weights. `seen`: what `bench` has measured of the ends
    already, by their names.

    Raises:
        RecipeError: not two checkpoints, `between` < 1.
        ModelError: two checkpoints of different architectures, shapes or vocabularies.
    """
    check_ends(ends, between)
    start, end = (load_checkpoint(checkpoint, dtype) for checkpoint in ends)
    _refuse_other_models(ends, start, end)
    bench.first = start
    snapshots = _ends(ends, seen or {})
    for at in map(_rounded, np.linspace(0.0, 1.0, between + 2).tolist()):
        if any(name == _name(at) for name, _ in snapshots):
            continue
        if note is not None:
            note(f"position {at:.3g} of the line")
        snapshots |= bench.look(_name(at), _at(at, start, end))
    refine(
        lambda: profiles(_in_order(snapshots)),
        lambda at: snapshots.update(bench.look(_name(at), _at(at, start, end))),
        budget,
    )
    with_kl = bench.preset.measures("divergence")
    line = _line(ends, _in_order(snapshots), budget, exchange_rate, with_kl)
    return line if write is None else _written(line, ends, start, end, write, dtype)


def refine(found: Callable[[], dict[str, Profile]], add: Callable[[float], None], budget: float | None) -> None:
    """Have up to `REFINEMENTS` more positions measured (`add`) where the budget is passed among those `found`."""
    for _ in range(REFINEMENTS):
        extra = _position_of_budget(found(), budget)
        if extra is None:
            return
        add(extra)


def _line(
    ends: Sequence[Checkpoint],
    snapshots: Snapshots,
    budget: float | None,
    exchange_rate: float | None,
    with_kl: bool,
) -> Line:
    found = profiles(snapshots, "position")
    return Line(
        start=ends[0].name,
        end=ends[1].name,
        positions=tuple(map(float, found)),
        names=tuple(found),
        cells=tuple(cells_of(snapshots, with_kl=with_kl)),
        differences=differences_of(snapshots, neighbours=False),
        pareto=pareto(found),
        choice=recommend(found, budget=budget, exchange_rate=exchange_rate),
    )


def _at(position: float, start: Policy, end: Policy) -> Policy:
    """The blend at `position`; the ends themselves, so that they are measured as they are."""
    if position in (0.0, 1.0):
        return end if position else start
    return start.with_model(interpolated(start.model, end.model, position))


def _ends(ends: Sequence[Checkpoint], seen: Mapping[tuple[str, str], Snapshot]) -> Snapshots:
    """What is known of the ends, under the names of their positions."""
    names = {end.name: _name(at) for end, at in zip(ends, (0.0, 1.0), strict=True)}
    return {(names[name], task): snapshot for (name, task), snapshot in seen.items()}


def _rounded(position: float) -> float:
    """The position that its name says: what is measured is what is written."""
    return float(_name(position))


def _name(position: float) -> str:
    return f"{position:.4g}"


def _in_order(snapshots: Snapshots) -> Snapshots:
    return dict(sorted(snapshots.items(), key=lambda entry: float(entry[0][0])))


def _position_of_budget(found: dict[str, Profile], budget: float | None) -> float | None:
    """The last place where the interpolated upper end of the SFT loss's rise comes to the budget, if it is new.

    The rise is that of the task where it is largest (`largest_rises`), which decides what the budget allows. None: no
    such place, or one that was measured.
    """
    if budget is None:
        return None
    places = np.array([float(name) for name in found])
    if not next(iter(found.values())).losses:
        return None
    excess = np.array(list(largest_rises(found).values())) - budget
    crossings = [i for i in range(len(excess) - 1) if excess[i] <= 0.0 < excess[i + 1]]
    if not crossings:
        return None
    i = crossings[-1]
    share = excess[i] / (excess[i] - excess[i + 1]) if np.isfinite(excess[i + 1]) else 0.0
    at = _rounded(places[i] + share * (places[i + 1] - places[i]))
    return at if abs(places - at).min() > SMALLEST_STEP else None


def _written(line: Line, ends: Sequence[Checkpoint], start: Policy, end: Policy, folder: Path, dtype: str) -> Line:
    tasks = tuple(dict.fromkeys(cell.task for cell in line.cells))
    write_blend(ends, start, end, line.chosen, folder, dtype, line.choice, tasks)
    return replace(line, written=str(folder))


def _refuse_other_models(ends: Sequence[Checkpoint], start: Policy, end: Policy) -> None:
    """Raise ModelError unless both are one architecture with the same parameters, tokens and tokenizer."""
    classes = [type(policy.model).__name__ for policy in (start, end)]
    if classes[0] != classes[1]:
        found = " and ".join(f"{name} in {end.name}" for name, end in zip(classes, ends, strict=True))
        raise ModelError(f"--between must have two checkpoints of one model. Got {found}. Name two of one.")
    _refuse_other_shapes(ends, start, end)
    if not start.shares_vocabulary(end):
        words = [policy.tokenizer.get_vocab() for policy in (start, end)]
        token = min(token for token in {*words[0], *words[1]} if words[0].get(token) != words[1].get(token))
        found = " and ".join(f"{word.get(token, 'none')} in {end.name}" for word, end in zip(words, ends, strict=True))
        raise ModelError(
            f"--between must have two checkpoints of one vocabulary. Got token {token!r}: {found}. "
            "Name two of one model, with its tokenizer."
        )


def _refuse_other_shapes(ends: Sequence[Checkpoint], start: Policy, end: Policy) -> None:
    shapes = [
        {name: tuple(weight.shape) for name, weight in policy.model.named_parameters()} for policy in (start, end)
    ]
    if shapes[0] == shapes[1]:
        return
    names = sorted({*shapes[0], *shapes[1]})
    name = next(name for name in names if shapes[0].get(name) != shapes[1].get(name))
    found = " and ".join(f"{shape.get(name, 'none')} in {end.name}" for shape, end in zip(shapes, ends, strict=True))
    raise ModelError(f"--between must have two checkpoints of one shape. Got {name}: {found}. Name two of one model.")
