"""Runs that forecasts of RL's cost are scored on: four tasks, three RL learning rates from one SFT start, seeds.

    python benchmarks/forecast_table.py runs/forecasts                          # everything: 12 runs, two at a time
    python benchmarks/forecast_table.py runs/forecasts --only styles --seeds 0  # a part
    python benchmarks/forecast_table.py runs/forecasts --list                   # what there is, and what is done

A run is one task and one seed: SFT, then RL at each learning rate from the SFT stage's weights, measured every 5 steps.
It stands in OUT/TASK/seed-N as any run folder does. The same command goes on where it was stopped. Each run is a
process of one thread. Seeds 0 to 3 are those that forecasts were developed on: none of them is scored.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import interlace
from interlace.analysis.summary import RunSummary

LEARNING_RATES = {"rl-1e-4": 1e-4, "rl-3e-4": 3e-4, "rl-1e-3": 1e-3}
SEEDS = (4, 5, 6)
AT_ONCE = 2

SUMS = {"kind": "addition", "digits": 2, "expert_error": 0.5, "heldout": 256}
TRIPLES = {"kind": "addition", "digits": 1, "operands": 3, "error_kind": "off_by_one", "expert_error": 0.4,
           "heldout": 256}  # fmt: skip
STYLES = {"kind": "addition", "digits": 2, "expert_error": 0.0, "styles": 2, "style_share": 0.8, "heldout": 256}


def sft(task: str, steps: int, batch: int = 128, mix: dict[str, float] | None = None) -> dict[str, Any]:
    """The SFT stage, which ends at a learning rate of 0; `mix`: shares of other tasks in its rows."""
    options = {"task": task, "name": "sft", "max_steps": steps, "per_device_train_batch_size": batch,
               "mix": mix or {}, "learning_rate": 3e-3, "lr_scheduler_type": "warmup_stable_decay",
               "lr_scheduler_kwargs": {"num_decay_steps": steps // 5}, "warmup_steps": 10,
               "measure_every": max(10, steps // 8), "save_steps": steps}  # fmt: skip
    return {"sft": options}


TASKS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "forget_carry": ({"sums": SUMS}, [sft("sums", 450)]),
    "off_by_one": ({"triples": TRIPLES}, [sft("triples", 400)]),
    "styles": ({"styled": STYLES}, [sft("styled", 320)]),
    "cross_task": (
        {"sums": SUMS, "triples": TRIPLES},
        [
            sft("sums", 500, batch=192, mix={"triples": 0.4}),
        ],
    ),
}
"""Per name: the tasks measured (RL is on the first), and the SFT stage."""


def recipe(name: str) -> dict[str, Any]:
    tasks, start = TASKS[name]
    arms = [rl(next(iter(tasks)), stage, rate) for stage, rate in LEARNING_RATES.items()]
    return {"name": name, "model": "embedded", "threads": 1, "tasks": tasks, "stages": [*start, *arms],
            "exclude_seeds": {"stage": "sft", "reward_below": 0.2}}  # fmt: skip


def rl(task: str, name: str, rate: float) -> dict[str, Any]:
    options = {"task": task, "name": name, "start_from": "sft", "max_steps": 60, "per_device_train_batch_size": 256,
               "num_generations": 8, "learning_rate": rate, "lr_scheduler_type": "constant", "beta": 0.0,
               "averaged_weights": {"decay": 0.97}, "measure_every": 5, "save_steps": 30}  # fmt: skip
    return {"rl": options}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder of the runs")
    parser.add_argument("--only", choices=TASKS, action="append", help="one task (repeatable); default: all")
    parser.add_argument("--seeds", type=_seeds, default=SEEDS, help="such as 0,1; default: 4,5,6")
    parser.add_argument("--list", action="store_true", help="train nothing")
    parser.add_argument("--alone", action="store_true", help="train in this process, one run after the other")
    given = parser.parse_args()
    runs = [(task, seed) for seed in given.seeds for task in given.only or TASKS]
    if given.list:
        print("\n".join(f"{task:14} seed {seed}  {_state(_folder(given.out, task, seed))}" for task, seed in runs))
    elif given.alone:
        for task, seed in runs:
            train(given.out, task, seed)
    else:
        sys.exit(max(_apart(given.out, runs), default=0))


def train(out: Path, task: str, seed: int) -> None:
    """Train one run, or what is left of it, and say what came of it."""
    began = time.perf_counter()
    summary = interlace.run(recipe(task), _folder(out, task, seed), seeds=[seed])
    assert isinstance(summary, RunSummary)
    print(f"{task}, seed {seed}: {time.perf_counter() - began:.0f} s\n{_figures(summary)}", flush=True)


def _apart(out: Path, runs: Sequence[tuple[str, int]]) -> list[int]:
    """Each run in a process of one thread, `AT_ONCE` at a time; their exit codes."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def process(run: tuple[str, int]) -> int:
        command = [sys.executable, __file__, str(out), "--only", run[0], "--seeds", str(run[1]), "--alone"]
        return subprocess.run(command, env=environment, check=False).returncode

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(process, runs))


def _figures(summary: RunSummary) -> str:
    """Every stage and task: reward and SFT loss at its start and end, and where SFT loss was least."""
    lines = []
    for stage in summary.stages:
        for task in dict.fromkeys(change.task for change in stage.objectives):
            reward, loss = (stage.objective(name, task=task) for name in ("reward", "sft_loss"))
            ends = f"reward {_value(reward.before)} -> {_value(reward.after)}"
            losses = f"SFT loss {_value(loss.before)} -> {_value(loss.after)}"
            lines.append(f"  {stage.name:14} {task:8} {ends}, {losses}")
    return "\n".join(lines)


def _value(figure: interlace.Estimate | interlace.Unresolved) -> str:
    return f"{figure.value:.3f}" if isinstance(figure, interlace.Estimate) else "-"


def _state(folder: Path) -> str:
    if not folder.exists():
        return "not begun"
    done = [stage.name for stage in interlace.summarise(folder).stages if stage.steps_done == stage.steps_planned]
    return f"done: {', '.join(done) or 'nothing'}"


def _folder(out: Path, task: str, seed: int) -> Path:
    return out / task / f"seed-{seed}"


def _seeds(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    main()
