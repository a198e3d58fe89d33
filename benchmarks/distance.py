"""How far each arm of a shoot-out is from the front that no policy passes (D9), at equal reward.

    python benchmarks/distance.py runs/shootout-addition --rewards .80 .85 .90

For every arm, its own weights, their average and the straight line from start to end: the SFT loss where the arm first
comes to a reward (on the straight line between two looks), less the least that any policy can have there, nats a
response. One half of the held-out prompts finds the place, the other half is read there. Means over the runs that come
to it from below, with an interval over runs, and how many do: an arm that few runs bring there is a choice of runs.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np

from interlace.analysis.trajectory import REWARD, SFT_LOSS, Snapshot, Trajectory, read_trajectory
from interlace.controllers.best_checkpoint import choosing, judging
from interlace.estimate import Unresolved
from interlace.forecasting import start_of
from interlace.measurement import AVERAGED, LINE, RAW
from interlace.readback import run_folders_in
from interlace.statistics import seed_interval
from interlace.store import RunRecord, read_run
from interlace.theory.frontier import least_sft_loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--rewards", type=float, nargs="+", default=[0.80, 0.85, 0.90])
    given = parser.parse_args()
    records = [read_run(folder) for run in given.runs for folder in run_folders_in(run)]
    arms = list(dict.fromkeys(s.name for r in records for s in r.stages if s.kind in ("rl", "hybrid") and s.finished))
    print(f"{'arm':16}{'weights':10}" + "".join(f"{f'at {reward:.2f}':>32}" for reward in given.rewards))
    for arm in arms:
        for weights in (RAW, AVERAGED, LINE):
            cells = [cell([excess(r, arm, weights, reward) for r in records]) for reward in given.rewards]
            print(f"{arm:16}{weights:10}" + "".join(f"{each:>32}" for each in cells))


def cell(found: list[float | None]) -> str:
    known = [each for each in found if each is not None]
    if not known:
        return "not reached"
    figure = seed_interval(known, unit="")
    value = f"{np.mean(known):.3f}" if isinstance(figure, Unresolved) else str(figure)
    return f"{value} ({len(known)} of {len(found)})"


def excess(record: RunRecord, arm: str, weights: str, reward: float) -> float | None:
    """Nats a response over the front; None where the arm does not come to the reward, or the front is not known."""
    stage = next((stage for stage in record.stages if stage.name == arm), None)
    if stage is None or not record.heldout[stage.task].expert_is_known:
        return None
    raw = read_trajectory(record, stage.stage, stage.task, RAW)
    start = start_of(raw.held, raw.start.scores)
    place = passed(read_trajectory(record, stage.stage, stage.task, weights), reward)
    if place is None or isinstance(start, Unresolved):
        return None
    return place[1] - least_sft_loss(start.problem, place[0])


def passed(trajectory: Trajectory, reward: float) -> tuple[float, float] | None:
    """Reward and SFT loss where the trajectory first passes a reward from below: one half of the prompts says where,
    the other what is there, or the luckiest of many looks would be taken for the arm."""
    if trajectory.gap(SFT_LOSS, REWARD) is not None:
        return None
    for one, other in pairwise(trajectory.snapshots):
        before, after = float(choosing(one.reward).mean()), float(choosing(other.reward).mean())
        if before < reward <= after:
            share = (reward - before) / (after - before)
            (low, first), (high, last) = judged(one), judged(other)
            return low + share * (high - low), first + share * (last - first)
    return None


def judged(shot: Snapshot) -> tuple[float, float]:
    return float(judging(shot.reward).mean()), float(judging(shot.loss).mean())


if __name__ == "__main__":
    main()
