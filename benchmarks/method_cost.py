"""What a step of each mixing method takes, as a ratio to plain GRPO's in one run: CPU seconds, and the ledger's FLOPs.

    python benchmarks/method_cost.py --steps 6 --rounds 3
    python benchmarks/method_cost.py joint guarded luffy

The embedded model on sums, 64 prompts of 8 completions and 512 expert responses. Rounds go over all methods in turn, so
that a slow minute of the machine meets all of them; a ratio is that of a round, its interval over rounds. The first
step of a trainer is not counted. `own`: CPU seconds of the method's own hooks as a share of the step (what adapting
takes apart from the losses).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from transformers import Trainer, TrainerCallback

from interlace.callback import CountingCallback
from interlace.environment import quiet_libraries
from interlace.ledger import estimated_flops
from interlace.methods import METHODS
from interlace.methods.base import Method
from interlace.policies import Policy, load_policy, make_embedded
from interlace.policies.policy import independent_copy
from interlace.stages import load_stage
from interlace.stages.base import StageRequest
from interlace.statistics import mean_interval
from interlace.tasks import Task, build_task

OPTIONS: dict[str, Any] = {
    "per_device_train_batch_size": 512,
    "num_generations": 8,
    "learning_rate": 3e-4,
    "lr_scheduler_type": "constant",
    "save_strategy": "no",
}
HOOKS = (
    "weights",
    "imitated",
    "expert_loss",
    "token_advantages",
    "hint",
    "regroup",
    "see_second_point",
    "combine",
    "settle",
)


class Counter(CountingCallback):
    """Counts what the trainer counts."""

    def __init__(self) -> None:
        self.counters: dict[str, float] = {}


class Stopwatch(TrainerCallback):
    """CPU seconds at the end of each step."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self.marks.append(time.process_time())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", help="default: all")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    quiet_libraries()
    names = given.methods or list(METHODS)
    with tempfile.TemporaryDirectory() as folder:
        task = build_task("sums", {"kind": "addition", "digits": 2}, seed=0)
        make_embedded(Path(folder), task.alphabet, seed=0)
        policy = load_policy(folder)
        report(names, given, task, policy, Path(folder))


def report(names: list[str], given: argparse.Namespace, task: Task, policy: Policy, folder: Path) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in ["grpo", *names]}
    own: dict[str, float] = {}
    flops: dict[str, float] = {}
    for _ in range(given.rounds):
        for name in seconds:
            took, hooks, spent = timed(name, given.steps, task, policy, folder)
            seconds[name].append(took)
            own[name], flops[name] = hooks / took, spent
    print(f"{'method':18}{'CPU, ratio to GRPO':>26}{'FLOPs, ratio':>14}{'own':>9}")
    for name in names:
        ratios = [one / plain for one, plain in zip(seconds[name], seconds["grpo"], strict=True)]
        figure = mean_interval(np.array(ratios), unit="")
        print(f"{name:18}{figure!s:>26}{flops[name] / flops['grpo']:14.2f}{own[name]:9.2%}")


def timed(name: str, steps: int, task: Task, policy: Policy, folder: Path) -> tuple[float, float, float]:
    """CPU seconds, those of the method's hooks, and FLOPs a parameter, of a step after the first."""
    kind, method = ("rl", None) if name == "grpo" else ("hybrid", {"name": name})
    request = StageRequest("s", task, {**OPTIONS, "max_steps": steps + 1}, folder / "out", 0, method=method)
    stage, counter, watch = load_stage(kind), Counter(), Stopwatch()
    fresh = policy.with_model(independent_copy(policy.model))
    trainer = stage.trainer(request, stage.configure(request), fresh, counter)
    trainer.add_callback(watch)
    hooks = clocked(trainer)
    trainer.train()
    spent = estimated_flops(
        1,
        int(counter.counters.get("tokens_sampled", 0.0)),
        int(trainer.state.num_input_tokens_seen + counter.counters.get("tokens_scored", 0.0)),
        int(trainer.state.num_input_tokens_seen),
    )
    return (watch.marks[-1] - watch.marks[0]) / steps, hooks() / (steps + 1), spent / (steps + 1)


def clocked(trainer: Trainer) -> Callable[[], float]:
    """Count the CPU seconds of the hooks that the method overrides."""
    method: Method | None = getattr(trainer, "method", None)
    took = [0.0]
    for hook in HOOKS:
        if method is None or getattr(type(method), hook) is getattr(Method, hook):
            continue
        setattr(method, hook, counted(getattr(method, hook), took))
    return lambda: took[0]


def counted(call: Callable[..., Any], took: list[float]) -> Callable[..., Any]:
    def counting(*args: Any, **kwargs: Any) -> Any:
        began = time.process_time()
        result = call(*args, **kwargs)
        took[0] += time.process_time() - began
        return result

    return counting


if __name__ == "__main__":
    main()
