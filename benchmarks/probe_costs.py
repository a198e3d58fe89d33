"""What each probe costs, in units of one forward and backward of the same tokens: the held-out expert responses.

    python benchmarks/probe_costs.py [MODEL FOLDER] [--prompts 512] [--repeats 3]

The embedded model unless a folder is given. Probes are timed alone, in a context of their own (`alone`), and one after
the other in one context, where needs are shared (`together`). `memory`: the process's greatest resident set so far.
By-products read what training computed; what reading it off costs a micro-batch is said below the table.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from interlace.policies import Policy, load_policy, make_embedded
from interlace.policies.gradients import gradient
from interlace.policies.parameters import ParameterSpace
from interlace.policies.policy import independent_copy
from interlace.probes import PRESETS, PROBES, MeasuredTask, Moment, ProbeContext
from interlace.probes.micro_gradients import MicroGradients, norm_weights
from interlace.probes.moment import keep_weights
from interlace.probes.parts import loss_parts, merged, split_prompts
from interlace.tasks import build_task
from interlace.tasks.base import Task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--prompts", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    task = build_task("sums", {"kind": "addition", "digits": 2, "heldout": given.prompts}, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        model = given.model or make_embedded(Path(folder), task.alphabet, 0)
        report(load_policy(str(model)), task, given.repeats)


def report(policy: Policy, task: Task, repeats: int) -> None:
    target = MeasuredTask.prepare(task, policy)
    start = policy.with_model(independent_copy(policy.model))
    shaken(start)
    unit = fastest(lambda: one_pass(policy, target), repeats)
    print(f"{policy.num_parameters():,} parameters, {len(target.prompts)} prompts; one pass {unit:.3f} s")
    print(f"{'probe':18} {'price':10} {'alone':>7} {'together':>9} {'memory, GB':>11}")
    together = context(policy, start, target)
    for name in PRESETS["full"]:
        alone = fastest(lambda name=name: PROBES[name].measure(context(policy, start, target)), repeats)
        shared = fastest(lambda name=name: together.reading(PROBES[name]), 1)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{name:18} {PROBES[name].cost:10} {alone / unit:7.3f} {shared / unit:9.3f} {peak:11.2f}", flush=True)
    with_gradients(policy)
    seen = fastest(lambda: MicroGradients().see(policy.model, 1), repeats)
    kept = fastest(lambda: keep_weights(policy.model), repeats)
    print(f"a micro-batch's norm gradients {seen / unit:.5f}, the weights before a step {kept / unit:.5f}")


def context(policy: Policy, start: Policy, target: MeasuredTask) -> ProbeContext:
    """A look in the middle of a stage: the start and the last step are known."""
    previous = {name: weight.detach() for name, weight in start.model.named_parameters()}
    size = sum(weight.numel() for weight in norm_weights(policy.model))
    micro = tuple(torch.randn(size, generator=torch.Generator().manual_seed(seed)) for seed in range(7))
    moment = Moment(previous, None, micro, 8)
    return ProbeContext(policy, start, target, 8, seed=0, moment=moment, expert=start)


def with_gradients(policy: Policy) -> None:
    for weight in policy.model.parameters():
        weight.grad = torch.ones_like(weight)


def one_pass(policy: Policy, target: MeasuredTask) -> None:
    whole = merged(loss_parts(target, split_prompts(len(target.prompts), 1)))
    gradient(policy, whole.total, ParameterSpace.of(policy.model))


def shaken(policy: Policy) -> None:
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight += 1e-3 * torch.randn(weight.shape, generator=rng)


def fastest(work: Callable[[], object], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    main()
