"""What a step of each mixing method takes, as a ratio to plain GRPO's in one run: CPU seconds, and the ledger's FLOPs.

    python benchmarks/method_cost.py
    python benchmarks/method_cost.py joint guarded luffy --rounds 5

The embedded model on sums, from the end of a stage of SFT (`--sft-steps` of shootout-addition's), as methods meet it:
some prompts fail, most do not. 64 prompts of 8 completions and 512 expert responses. Rounds go over all methods, each
in an order of its own and with draws of its own, so that a slow minute of the machine meets all of them; a ratio is
that of a round, intervals are over rounds. The first step of a trainer is not counted. All methods run by default.

`own`: CPU seconds of the method's own hooks as a share of the step (what adapting takes apart from the losses), without
the expert's responses being drawn and tokenised, which is the stage's work, once an update: the step's CPU seconds hold
it. A method that is steered is shown real looks at the held-out prompts, one every `--every` steps, as of a run of
which SFT loss and reward alone are measured; what it makes of a look is its own, `look` is what a look itself takes, as
a share of a step of GRPO.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import Trainer

from interlace.callback import CountingCallback
from interlace.callback.events import TrainerEvent
from interlace.controllers import Sighting
from interlace.environment import quiet_libraries
from interlace.estimate import figure_text
from interlace.ledger import estimated_flops
from interlace.measurement import RAW, PromptScores
from interlace.methods import METHODS
from interlace.methods.base import Groups, Method
from interlace.policies import Policy, load_policy, make_embedded
from interlace.policies.policy import independent_copy
from interlace.probes import MeasuredTask, ProbeContext, probes_of
from interlace.stages import load_stage
from interlace.stages.base import StageRequest
from interlace.statistics import mean_interval
from interlace.tasks import Task, build_task

GRPO = "grpo"
SFT: dict[str, Any] = {
    "per_device_train_batch_size": 256,
    "learning_rate": 3e-3,
    "lr_scheduler_type": "warmup_stable_decay",
    "warmup_steps": 10,
    "save_strategy": "no",
}
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
    "imitation",
    "displacement",
    "regroup",
    "see_second_point",
    "combine",
    "settle",
    "see",
)
DRAWS = ("expert", "hint", "responses", "own")
"""What `Groups` has drawn and tokenised when it is asked."""


COLUMNS = ("CPU, ratio to GRPO", "FLOPs, ratio", "own, % of the step", "look, of a step")


class Clock:
    """CPU seconds of what it times."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, call: Callable[..., Any], sign: float = 1.0) -> Callable[..., Any]:
        """`call`, whose seconds are added (or taken off)."""

        def timing(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            result = call(*args, **kwargs)
            self.seconds += sign * (time.process_time() - began)
            return result

        return timing


class Watch(CountingCallback):
    """Counts what the trainer counts, marks the end of each step (CPU seconds, without looks), and shows a
    steered method real looks."""

    def __init__(self, target: MeasuredTask, policy: Policy, start: Policy, every: int) -> None:
        self.counters: dict[str, float] = {}
        self.marks: list[float] = []
        self.looks = Clock()
        self.num_looks = 0
        self._target, self._policy, self._start, self._every = target, policy, start, every
        self._start_scores: PromptScores | None = None

    def training_begins(self, event: TrainerEvent) -> None:
        if self.steer is not None:
            self._start_scores = self._scores(self._start)

    def after_step(self, event: TrainerEvent) -> None:
        if self.steer is not None and event.step % self._every == 0:
            assert self._start_scores is not None
            scores = self.looks.timed(self._scores)(self._policy)
            self.num_looks += 1
            sighting = Sighting(event.step, self._target.heldout, self._start_scores, scores)
            self.steer(lambda task, weights: sighting if weights == RAW else None)
        self.marks.append(time.process_time() - self.looks.seconds)

    def _scores(self, policy: Policy) -> PromptScores:
        was_training = policy.model.training
        context = ProbeContext(policy, self._start, self._target, 1, 0, at_start=policy is self._start)
        found: dict[str, Any] = {}
        for probe in probes_of("light"):
            if probe.applies(context):
                found |= context.reading(probe).scores
        policy.model.train(was_training)
        return PromptScores(**found)


@dataclass(frozen=True)
class Cost:
    """Of one step: CPU seconds without looks, the share of them that is the method's own, FLOPs a parameter; CPU
    seconds of a look (None: no look was taken)."""

    seconds: float
    own: float
    flops: float
    look: float | None


@dataclass(frozen=True)
class World:
    """What every trainer begins with."""

    task: Task
    target: MeasuredTask
    policy: Policy
    folder: Path
    steps: int
    every: int

    def request(self, options: dict[str, Any], steps: int, seed: int, method: str | None = None) -> StageRequest:
        asked = {**options, "max_steps": steps}
        named = None if method is None else {"name": method}
        return StageRequest("s", self.task, asked, self.folder / "out", seed, method=named)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", help="default: all")
    parser.add_argument("--steps", type=int, default=4, help="counted in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--every", type=int, default=2, help="steps between two looks")
    parser.add_argument("--sft-steps", type=int, default=250)
    given = parser.parse_args()
    quiet_libraries()
    with tempfile.TemporaryDirectory() as folder:
        world = trained_world(Path(folder), given)
        report(given.methods or list(METHODS), given.rounds, world)


def trained_world(folder: Path, given: argparse.Namespace) -> World:
    """The policy after SFT; it says which reward it earns."""
    task = build_task("sums", {"kind": "addition", "digits": 2, "expert_error": 0.5, "heldout": 256}, seed=0)
    make_embedded(folder, task.alphabet, seed=0)
    policy = load_policy(str(folder))
    world = World(task, MeasuredTask.prepare(task, policy), policy, folder, given.steps, given.every)
    decay = {"lr_scheduler_kwargs": {"num_decay_steps": given.sft_steps // 5}}
    request = world.request({**SFT, **decay}, given.sft_steps, seed=0)
    stage, watch = load_stage("sft"), Watch(world.target, policy, policy, given.every)
    stage.trainer(request, stage.configure(request), policy, watch).train()
    reward = watch._scores(policy).mean_reward()
    print(f"after {given.sft_steps} steps of SFT: reward {mean_interval(reward, unit='reward units')}")
    return world


def report(names: Sequence[str], rounds: int, world: World) -> None:
    """A line a method."""
    costs: dict[str, list[Cost]] = {name: [] for name in (GRPO, *names)}
    for number in range(rounds):
        for place in np.random.default_rng(number).permutation(len(costs)):
            name = list(costs)[place]
            costs[name].append(cost_of(name, number, world))
    print(f"{'method':18}" + "".join(f"{title:>24}" for title in COLUMNS))
    for name in names:
        pairs = list(zip(costs[name], costs[GRPO], strict=True))
        looks = [one.look / plain.seconds for one, plain in pairs if one.look is not None]
        columns = (
            [one.seconds / plain.seconds for one, plain in pairs],
            [one.flops / plain.flops for one, plain in pairs],
            [100.0 * one.own for one, _ in pairs],
            looks,
        )
        print(f"{name:18}" + "".join(f"{over_rounds(values):>24}" for values in columns))


def over_rounds(values: Sequence[float]) -> str:
    """The mean with its interval; of one round the value is not told apart from chance."""
    if len(values) < 2:
        return f"{values[0]:.2f} (one round)" if values else "-"
    return figure_text(mean_interval(np.array(values), unit="", method="Student t over rounds"))


def cost_of(name: str, seed: int, world: World) -> Cost:
    """Of a step after the first."""
    kind, method = ("rl", None) if name == GRPO else ("hybrid", name)
    request = world.request(OPTIONS, world.steps + 1, seed, method)
    stage, policy = load_stage(kind), world.policy.with_model(independent_copy(world.policy.model))
    watch = Watch(world.target, policy, world.policy, world.every)
    trainer = stage.trainer(request, stage.configure(request), policy, watch)
    own = clocked(trainer, watch)
    trainer.train()
    took = watch.marks[-1] - watch.marks[0]
    return Cost(
        seconds=took / world.steps,
        own=own.seconds / (world.steps + 1) / (took / world.steps),
        flops=flops_of(trainer, watch) / (world.steps + 1),
        look=watch.looks.seconds / watch.num_looks if watch.num_looks else None,
    )


def flops_of(trainer: Trainer, watch: Watch) -> float:
    """FLOPs a parameter of all steps."""
    generated = sum(watch.counters.get(name, 0.0) for name in ("tokens_sampled", "tokens_prefilled"))
    trained = int(trainer.state.num_input_tokens_seen)
    return estimated_flops(1, int(generated), trained + int(watch.counters.get("tokens_scored", 0.0)), trained)


def clocked(trainer: Trainer, watch: Watch) -> Clock:
    """The CPU seconds of the hooks that the method overrides, without those of drawing and tokenising."""
    method: Method | None = getattr(trainer, "method", None)
    clock = Clock()
    for hook in HOOKS:
        if method is not None and getattr(type(method), hook) is not getattr(Method, hook):
            setattr(method, hook, clock.timed(undrawn(hook, getattr(method, hook), clock)))
    watch.steer = method.see if method is not None and type(method).see is not Method.see else None
    return clock


def undrawn(hook: str, call: Callable[..., Any], clock: Clock) -> Callable[..., Any]:
    """The hook, with what it asks to be drawn and tokenised taken off the clock."""
    if hook == "imitated":
        return lambda step, stream: call(step, clock.timed(stream, -1.0))
    if hook == "regroup":
        return lambda groups: call(untimed(groups, clock))
    return call


def untimed(groups: Groups, clock: Clock) -> Groups:
    return replace(groups, **{name: clock.timed(getattr(groups, name), -1.0) for name in DRAWS})


if __name__ == "__main__":
    main()
