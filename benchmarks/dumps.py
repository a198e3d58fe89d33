"""How long `interlace plan --rollouts` takes on a million rollouts, in TRL's Parquet and in verl's JSONL, on one core.

    OMP_NUM_THREADS=1 python benchmarks/dumps.py [--steps 1000] [--prompts 125] [--samples 8]

Each file holds a step. Prints seconds of processor time (and of the clock), microseconds a rollout, and the process's
greatest resident set so far.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from interlace.dumps import plan_rollouts

PROMPT = "Solve the following problem, and write the answer after four hashes. " * 3
RESPONSE = "First we add the two numbers, then we take the square of what we have. " * 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--steps", 1000), ("--prompts", 125), ("--samples", 8)):
        parser.add_argument(name, type=int, default=default)
    given = parser.parse_args()
    count = given.steps * given.prompts * given.samples
    print(f"{count:,} rollouts: {given.steps} steps, {given.prompts} prompts of {given.samples}")
    for name, write in WRITERS.items():
        with tempfile.TemporaryDirectory() as folder:
            for step, prompts, rewards in batches(given.steps, given.prompts, given.samples):
                write(Path(folder), step, prompts, rewards)
            start, began = time.process_time(), time.perf_counter()
            plan = plan_rollouts(folder, expert_reward=0.6)
            took, waited = time.process_time() - start, time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        points = len(plan.points)
        each = f"{took / count * 1e6:5.1f} us a rollout"
        print(f"{name:5} {took:6.1f} s of processor ({waited:.1f} s)  {each}  {points} points  {peak:.1f} GiB")


def batches(steps: int, prompts: int, samples: int) -> Iterator[tuple[int, list[str], np.ndarray]]:
    """Step, prompts and rewards of its rollouts; every prompt comes once."""
    rng = np.random.default_rng(0)
    for step in range(steps):
        rates = 1.0 / (1.0 + np.exp(-rng.normal(-0.4 + 2.0 * step / steps, 1.5, prompts)))
        names = [f"{PROMPT}{step * prompts + i}" for i in range(prompts)]
        yield step, np.repeat(names, samples).tolist(), (rng.random((prompts, samples)) < rates[:, None]).ravel()


def write_trl(folder: Path, step: int, prompts: list[str], rewards: np.ndarray) -> None:
    columns = {
        "step": [step] * len(prompts),
        "prompt": prompts,
        "completion": [f"{RESPONSE}{i}" for i in range(len(prompts))],
        "right": rewards.astype(float),
        "advantage": rewards - rewards.mean(),
    }
    pa.parquet.write_table(pa.table(columns), folder / f"completions_{step:05d}.parquet")


def write_verl(folder: Path, step: int, prompts: list[str], rewards: np.ndarray) -> None:
    rows = (
        {"input": prompt, "output": f"{RESPONSE}{i}", "gts": "4", "score": float(reward), "step": step}
        for i, (prompt, reward) in enumerate(zip(prompts, rewards, strict=True))
    )
    (folder / f"{step}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


WRITERS: dict[str, Callable[[Path, int, list[str], np.ndarray], None]] = {"TRL": write_trl, "verl": write_verl}

if __name__ == "__main__":
    main()
