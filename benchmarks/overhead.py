"""The overhead that was promised against the overhead that is: CPU seconds of GRPO with `interlace.attach`.

    python benchmarks/overhead.py promise --preset light --overhead .005
    python benchmarks/overhead.py blocks              # the meter checked: looks switched on and off at random
    python benchmarks/overhead.py tenfold             # steps grow, or shrink, tenfold in the middle of a run
    python benchmarks/overhead.py promise --cola cola/in_domain_train.tsv --prompts 64      # SmolLM2-135M

The embedded model on sums unless `--cola` names the data for SmolLM2. `memory`: the process's greatest resident set, to
be compared with a run of `--preset none`.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from scipy import stats
from transformers import PrinterCallback, ProgressCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

import interlace
from interlace.environment import quiet_libraries
from interlace.policies import load_policy, make_embedded, source_of
from interlace.statistics import mean_interval
from interlace.tasks import Task, build_task
from interlace.wheel import SMOLLM2

COLA = {
    "kind": "files",
    "header": False,
    "columns": ["source", "label", "mark", "sentence"],
    "prompt_template": "{sentence}\nAcceptable:",
    "completion": "label",
    "labels": {"0": " no", "1": " yes"},
    "expert_error": 0.2,
    "reward": "label_match",
    "heldout": 512,
}

TELLING = 3
"""Steps that tell what a cheap one takes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--preset", default="standard", help="a preset, or none: the trainer alone")
    parser.add_argument("--overhead", type=float, default=0.03)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--size", type=int, default=512, help="completions a step")
    parser.add_argument("--prompts", type=int, help="held-out prompts measured; default: all")
    parser.add_argument("--cola", type=Path)
    given = parser.parse_args()
    quiet_libraries()
    with tempfile.TemporaryDirectory() as folder:
        WHAT[given.what](given, Path(folder))


def promise(given: argparse.Namespace, folder: Path) -> None:
    """The meter's share at the end of a run, and what was left out for it."""
    trainer = grpo(given, folder)
    callback = attached(trainer, given)
    began = time.process_time()
    trainer.train()
    spent = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{given.steps} steps of {given.size} completions, {spent / given.steps:.2f} CPU s a step; {peak:.2f} GB")
    if callback is not None:
        print(said(callback, given))


def tenfold(given: argparse.Namespace, folder: Path) -> None:
    """A reward that burns CPU makes steps ten times dearer from the middle on, or until there."""
    middle = given.steps // 2
    for name, dear in (("grow", range(middle, given.steps)), ("shrink", range(TELLING, middle))):
        trainer, usual = grpo(given, folder / name), Usual()
        trainer.reward_funcs[0] = burning(trainer, usual, dear)
        callback = attached(trainer, given)
        trainer.add_callback(usual)
        trainer.train()
        print(f"steps {name} tenfold (cheap ones take {usual.seconds:.2f} CPU s): {said(callback, given)}")


def burning(trainer: GRPOTrainer, usual: Usual, dear: range) -> Callable[..., list[float | None]]:
    """The trainer's own reward, after nine times what a cheap step takes."""
    own = trainer.reward_funcs[0]

    def reward(**columns: Any) -> list[float | None]:
        if trainer.state.global_step in dear:
            until = time.process_time() + 9.0 * usual.seconds
            while time.process_time() < until:
                sum(range(10_000))
        return own(**columns)

    return reward


def blocks(given: argparse.Namespace, folder: Path) -> None:
    """After half of the steps, drawn at random, there is a look; CPU seconds of these against those of the others."""
    trainer = grpo(given, folder)
    callback = attached(trainer, given, every=1, overhead=None)
    looked = np.random.default_rng(0).permutation(np.arange(given.steps) % 2 == 0)
    record = Record(callback, looked)
    trainer.add_callback(record)
    trainer.train()
    steps, inside = (np.array(column)[1:-1] for column in (record.whole, record.inside))  # not the ends
    on = looked[1:-1]
    outside = steps - inside
    share = inside[on].mean() / outside.mean()
    print(f"{on.sum()} steps with a look, {(~on).sum()} without; {outside.mean():.3f} CPU s of training a step")
    print(f"a look, by the meter:        {mean_interval(inside[on], unit='CPU s')}  ({share:.1%} of a step)")
    print(f"a look, by blocks:           {between(steps, on)}")
    print(f"what the meter does not see: {between(outside, on)}")


def between(seconds: np.ndarray, on: np.ndarray) -> str:
    """Mean with a look minus mean without: Welch's interval at 95 %."""
    found = stats.ttest_ind(seconds[on], seconds[~on], equal_var=False)
    ends = found.confidence_interval(0.95)
    value = seconds[on].mean() - seconds[~on].mean()
    return f"{value:+.4f} [{ends.low:+.4f}, {ends.high:+.4f}] CPU s a step, {value / seconds.mean():+.2%} of it"


class Record(TrainerCallback):
    """Switches looks on and off, and keeps each step's CPU seconds: in all, and inside interlace by its own meter."""

    def __init__(self, callback: interlace.CouplingCallback, looked: np.ndarray) -> None:
        self.callback, self.looked = callback, looked
        self.whole: list[float] = []
        self.inside: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        assert self.callback.session is not None
        looking = self.callback.session.looking
        looking.is_due = lambda step, is_last: is_last or bool(self.looked[step - 1])
        self.began = time.process_time(), looking.meter.between

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After interlace's own event: added later."""
        assert self.callback.session is not None
        self.whole.append(time.process_time() - self.began[0])
        self.inside.append(self.callback.session.looking.meter.between - self.began[1])


class Usual(TrainerCallback):
    """What the cheapest step took so far, CPU seconds."""

    def __init__(self) -> None:
        self.seconds, self.began = float("inf"), 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.began = time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.seconds = min(self.seconds, time.process_time() - self.began)


def grpo(given: argparse.Namespace, folder: Path) -> GRPOTrainer:
    """A GRPO trainer as a user writes it."""
    task = task_of(given)
    if given.cola:
        model = load_policy(source_of(SMOLLM2))
    else:
        model = load_policy(str(make_embedded(folder / "model", task.alphabet, 0)))
    options = {"num_generations": 8, "max_completion_length": 3 if given.cola else 4, "learning_rate": 3e-6}
    arguments = GRPOConfig(
        str(folder / "out"), max_steps=given.steps, per_device_train_batch_size=given.size, bf16=bool(given.cola),
        use_cpu=True, save_strategy="no", report_to="none", disable_tqdm=True, logging_steps=10, **options,
    )  # fmt: skip
    rows = Dataset.from_list(task.rl_rows())
    trainer = GRPOTrainer(
        model.model, reward_funcs=task.reward, args=arguments, train_dataset=rows, processing_class=model.tokenizer
    )
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    return trainer


def task_of(given: argparse.Namespace) -> Task:
    if given.cola:
        return build_task("cola", {**COLA, "path": str(given.cola)}, seed=0)
    return build_task("sums", {"kind": "addition", "digits": 2}, seed=0)


def attached(trainer: GRPOTrainer, given: argparse.Namespace, **options: Any) -> interlace.CouplingCallback | None:
    if given.preset == "none":
        return None
    settings = {"every": given.every, "overhead": given.overhead, "preset": given.preset, "prompts": given.prompts}
    return interlace.attach(trainer, task_of(given), **{**settings, **options})


def said(callback: interlace.CouplingCallback | None, given: argparse.Namespace) -> str:
    assert callback is not None and callback.session is not None
    looking = callback.session.looking
    budget, meter, wished = looking.budget, looking.meter, (given.steps - 1) // given.every
    return (
        f"preset {given.preset}, promised {given.overhead:.1%}, spent {meter.share or 0.0:.2%} between the ends and "
        f"{meter.ends:.1f} CPU s at them; of {wished} looks wished {wished - budget.num_thinned} were made, "
        f"{budget.num_lightened} of them lighter"
    )


WHAT: dict[str, Callable[[argparse.Namespace, Path], None]] = {
    "promise": promise,
    "blocks": blocks,
    "tenfold": tenfold,
}

if __name__ == "__main__":
    main()
