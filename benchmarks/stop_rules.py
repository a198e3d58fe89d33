"""What stop rules would have kept of the best R - lambda L of runs that went on, offline on their recorded looks.

    python benchmarks/stop_rules.py runs/a runs/b ... [--stage rl] [--weights averaged] [--json]

Phi = R - lambda L; lambda = c V per nat at the stage's start for c in --rates, V the variance of the reward within
prompts there. For every RL stage of every run and each rule: (Phi(stop) - Phi(start)) / (max Phi - Phi(start)), 1 at
the best look, 0 at the start, below 0 where the stage should not have begun. The best look is chosen on every second
prompt, as best_checkpoint chooses its own; everything is judged on the others, so a look may do better than 1. A stage
counts where the denominator is resolved: that gain has its interval above 0. Beside the rules: stopping after a fixed
share of the steps, and at a fixed KL. Printed: median and lower quartile over stages, how many, and the share that was
stopped before the last look; for each rate, then over all. A rule that stopped nowhere has the row of 100 % of the
steps, and has shown nothing.

The looks are those of the recording: a rule that stops between two of them stops at the next.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from interlace.analysis.halves import CHOOSING, JUDGING, half_values
from interlace.analysis.trajectory import REWARD, SFT_LOSS, Trajectory, read_trajectory
from interlace.controllers import build_rule, replay
from interlace.controllers.objectives import gain
from interlace.estimate import Estimate, Figure
from interlace.measurement import RAW
from interlace.readback import run_folders_in
from interlace.statistics import mean_interval
from interlace.store import RunRecord, StageRecord, read_run

RATES = (0.1, 0.3, 1.0, 3.0)
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
NATS = (0.03, 0.1, 0.3, 1.0)


@dataclass(frozen=True)
class Recorded:
    """The looks of one stage: its trajectory, and by step what the probes read."""

    name: str
    trajectory: Trajectory
    figures: Mapping[int, Mapping[str, Figure]]

    @property
    def looks(self) -> int:
        return len(self.trajectory.snapshots) - 1

    def rate(self, times: float) -> float:
        """lambda: so many times V per nat at the start."""
        return times * float(self.trajectory.start.reward_variance.mean())

    def gains(self, rate: float) -> dict[int, np.ndarray]:
        """Phi - Phi(start) of each prompt at every look."""
        start = self.trajectory.start
        return {shot.step: gain(start, shot, rate) for shot in self.trajectory.snapshots}


def stops(rate: float) -> dict[str, dict[str, Any]]:
    """The rules that are asked, by the name of their row."""
    return {
        "exchange_rate": {"rule": "exchange_rate", "exchange_rate": rate},
        "exchange_rate, local": {"rule": "exchange_rate", "exchange_rate": rate, "local": True},
        "exchange_rate, rewind": {"rule": "exchange_rate", "exchange_rate": rate, "rewind": True},
        "best_checkpoint": {"rule": "best_checkpoint", "exchange_rate": rate},
        "slope": {"rule": "slope", "exchange_rate": rate},
        "parity": {"rule": "parity"},
        "parity, rewind": {"rule": "parity", "rewind": True},
        **{f"kl {nats:g}": {"rule": "kl", "nats": nats} for nats in NATS},
    }


def ended_at(stage: Recorded, rate: float) -> Iterator[tuple[str, int]]:
    """(row, step whose weights the stage ends with) of every rule and every fixed share of the steps."""
    steps = np.array(stage.trajectory.steps)
    for share in SHARES:
        yield f"{share:.0%} of the steps", int(steps[np.argmin(np.abs(steps - share * steps[-1]))])
    for name, config in stops(rate).items():
        yield name, replay(build_rule(config, stage.looks), stage.trajectory, stage.figures)[0]


def best_gain(gains: Mapping[int, np.ndarray]) -> tuple[float, bool]:
    """Phi - Phi(start) at the best look, and whether it is resolved, both on prompts that did not choose the look."""
    chosen = max(gains, key=lambda step: float(half_values(gains[step], CHOOSING).mean()))
    judged = mean_interval(half_values(gains[chosen], JUDGING), unit="reward units")
    return float(half_values(gains[chosen], JUDGING).mean()), isinstance(judged, Estimate) and judged.lower > 0.0


def recorded(run: RunRecord, stage: StageRecord, weights: str) -> Recorded | None:
    """The stage's looks with both objectives; None where there are too few."""
    trajectory = read_trajectory(run, stage.stage, stage.task, weights)
    if trajectory.gap(SFT_LOSS, REWARD) is not None:
        return None
    figures: dict[int, dict[str, Figure]] = {}
    for item in stage.measurements:
        if (item.point.task, item.point.weights) == (stage.task, weights):
            figures.setdefault(item.point.step, {})[item.quantity] = item.figure
    return Recorded(f"{run.folder.name}/{stage.name}", trajectory.measured(SFT_LOSS, REWARD), figures)


def find(folders: list[str], name: str | None, weights: str) -> list[Recorded]:
    """Every RL stage (or those called `name`) of every run."""
    runs = [read_run(folder) for given in folders for folder in run_folders_in(given)]
    stages = [
        recorded(run, stage, weights)
        for run in runs
        for stage in run.stages
        if (stage.name == name if name else stage.kind == "rl")
    ]
    return [stage for stage in stages if stage is not None]


def table(stages: list[Recorded], rates: Sequence[float]) -> dict[str, Any]:
    """Rows over the stages and exchange rates whose best gain is resolved."""
    kept: dict[str, list[float]] = {}
    early: dict[str, list[bool]] = {}
    resolved = 0
    for stage, times in itertools.product(stages, rates):
        rate = stage.rate(times)
        gains = stage.gains(rate) if rate > 0.0 else {}
        most, is_resolved = best_gain(gains) if gains else (0.0, False)
        if not is_resolved or most <= 0.0:
            continue
        resolved += 1
        for name, step in ended_at(stage, rate):
            kept.setdefault(name, []).append(float(half_values(gains[step], JUDGING).mean()) / most)
            early.setdefault(name, []).append(step < stage.trajectory.end.step)
    rows = {
        name: {
            "median": float(np.median(values)),
            "lower_quartile": float(np.quantile(values, 0.25)),
            "stopped": float(np.mean(early[name])),
        }
        for name, values in kept.items()
    }
    return {"times_v_per_nat": list(rates), "asked": len(stages) * len(rates), "resolved": resolved, "rows": rows}


def show(found: Mapping[str, Any]) -> None:
    rates = ", ".join(f"{rate:g}" for rate in found["times_v_per_nat"])
    print(f"\nlambda = {rates} V(start): resolved {found['resolved']} of {found['asked']}")
    for name, row in found["rows"].items():
        print(f"  {name:24s} median {row['median']:6.2f}  lower quartile {row['lower_quartile']:6.2f}"
              f"  stopped {row['stopped']:4.0%}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--stage")
    parser.add_argument("--weights", default=RAW)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    stages = find([str(run) for run in asked.runs], asked.stage, asked.weights)
    if not stages:
        sys.exit("runs must hold a stage of RL with both objectives measured. Got none. Name others.")
    tables = [*(table(stages, [times]) for times in asked.rates), table(stages, asked.rates)]
    if asked.json:
        print(json.dumps({"stages": [stage.name for stage in stages], "tables": tables}))
    else:
        for found in tables:
            show(found)


if __name__ == "__main__":
    main()
