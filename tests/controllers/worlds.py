"""Stages on finite policies whose true crossings are known in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from interlace.analysis.trajectory import Snapshot, Trajectory
from interlace.controllers import build_rule, replay
from interlace.measurement import RAW
from tests.flags.finite import World, tilted

LOOKS = 20
Path = Sequence[np.ndarray]


def stage(rng: np.random.Generator, rl_time: float, start: float = 0.45, expert: float = 0.7) -> tuple[World, Path]:
    """A world and a path of `LOOKS` looks along the RL path, from a start of pass rate `start` or so."""
    world = World(rng, expert)
    logits = np.log(world.expert)
    logits[:, 0] += np.log(start / (1 - start)) - np.log(expert / (1 - expert))
    return world, tilted(world, logits, LOOKS, rl_time)


def looked_at(world: World, path: Path, sampled: bool, kl: bool = False) -> Trajectory:
    """What a stage records of it."""
    found = [world.scores(logits, sampled) for logits in path]
    if kl:
        found = [_with_kl(path[0], now, scores) for now, scores in zip(path, found, strict=True)]
    shots = tuple(Snapshot(world.held, step, None, scores) for step, scores in enumerate(found))
    return Trajectory(world.held.task, RAW, world.held, shots)


def stop_of(config: Mapping[str, Any], trajectory: Trajectory) -> int:
    """Where the rule ends the stage."""
    return replay(build_rule(config, LOOKS), trajectory)[0]


def first(values: Sequence[float], is_beyond: Callable[[float], bool]) -> int:
    """The first look at which the true figure is beyond its bound; one past the last if none is."""
    return next((step for step, value in enumerate(values) if is_beyond(value)), len(values))


def policies(path: Path) -> list[np.ndarray]:
    """The probabilities along a path."""
    return [np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)) for logits in path]


def kl(policy: np.ndarray, start: np.ndarray) -> np.ndarray:
    """KL(policy to start) of each prompt."""
    return (policy * np.log(policy / start)).sum(axis=1)


def _with_kl(start: np.ndarray, now: np.ndarray, scores: Any) -> Any:
    before, after = policies([start, now])
    return replace(scores, kl=kl(after, before))
