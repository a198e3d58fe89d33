"""How long the parts that should feel instant take: the least of several calls, in seconds of processor time.

    python benchmarks/speed.py [--repeats 3]

Commands are counted as whole processes (imports included), functions alone. Wall time says more about what else runs.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from interlace.theory.distributional.tradeoff import optimal_rl_time
from interlace.theory.finite import FiniteProblem
from interlace.theory.frontier.joint import joint_optimum
from interlace.theory.paths.models import follow

COMMAND = "from interlace.cli import main; main()"
BINARY = ("--pass-rates", "0.2,0.7", "--expert-reward", "0.75")


def main() -> None:
    """Prints one line a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="calls of which the least counts")
    repeats = parser.parse_args().repeats
    problem = wide_problem(np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        parts: dict[str, Callable[[], float]] = {
            "interlace --help": lambda: seconds_of_command("--help"),
            "interlace theory A5": lambda: seconds_of_command("theory", "A5", *BINARY),
            "interlace theory A5, 2,048 x 16 from files": lambda: seconds_of_command(
                "theory", "A5", *large_tables(Path(folder))
            ),
            "D9, 4,096 x 64": lambda: seconds_of(lambda: joint_optimum(problem, 1.0)),
            "A6, 4,096 x 64": lambda: seconds_of(lambda: optimal_rl_time(problem, 0.05)),
            "softmax path, 4,096 x 64, 20 points": lambda: seconds_of(
                lambda: follow(problem, "softmax", np.linspace(0.0, 20.0 * 4096, 20))
            ),
        }
        for name, part in parts.items():
            print(f"{name:45} {min(part() for _ in range(repeats)):7.2f} s")


def wide_problem(rng: np.random.Generator) -> FiniteProblem:
    """4,096 prompts of 64 responses, drawn."""
    reference, expert = (rng.dirichlet(np.full(64, 0.7), size=4096).clip(1e-9) for _ in range(2))
    reference, expert = (table / table.sum(axis=1, keepdims=True) for table in (reference, expert))
    return FiniteProblem(np.full(4096, 1 / 4096), reference, expert, rng.normal(size=(4096, 64)))


def large_tables(folder: Path) -> list[str]:
    """The options that name three tables of 2,048 prompts, written into `folder`."""
    rng = np.random.default_rng(0)
    reference = rng.dirichlet(np.ones(16), size=2048)
    words = []
    tables = {"reference": reference, "expert": reference, "reward": rng.integers(0, 2, reference.shape)}
    for name, table in tables.items():
        np.savetxt(folder / f"{name}.csv", table, delimiter=",", fmt="%.17g")
        words += [f"--{name}", str(folder / f"{name}.csv")]
    return words


def seconds_of(call: Callable[[], object]) -> float:
    """Processor time of one call."""
    began = time.process_time()
    call()
    return time.process_time() - began


def seconds_of_command(*words: str) -> float:
    """Processor time of `interlace *words` as a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", "from interlace.cli import main; main()", *words], check=True, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
