"""Why the straight line of weights, from a run's start to its end, is better than the way that training went.

    python benchmarks/straight_line.py runs/rivals-addition --arm rl [--prompts 64]

On sums every response can be listed, so what two policies' geometric mixture has is known exactly: for each prompt

    pi_a = pi_0^(1 - a) pi_1^a / Z_a,    L(a) = (1 - a) L_0 + a L_1 + log Z_a,    -log Z_a = (1 - a) D_a(pi_1 || pi_0)

with D_a Renyi's divergence, so its SFT loss is below the chord between the two ends, by a term that is never negative
and knows of no expert. (RL's own path in continuous time is such a mixture, of the start and what reward alone makes of
it.) At each place a of the line of weights, the weights themselves, the mixture of their policies, and the chord; then
the way that training went where it first has the line's reward. Three differences tell what the line gains by:

    way - line = (way - chord) + (chord - mixture) + (mixture - line)

- way - chord: training takes on SFT loss sooner than reward: at the reward of place a it has more than the share a.
- chord - mixture: the normaliser, -log Z_a.
- mixture - line: that weights are no log-probabilities; `KL(line | mixture)` says how far the two policies are apart.

Means over `--prompts` held-out prompts of each run (the way: over the same), and over runs, with intervals over runs.
Nats/response. `outside`: the most probability that any of the policies gives to what is not listed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from shootout_tables import of_rich, says_mistakes

from interlace.analysis.trajectory import REWARD, SFT_LOSS, read_trajectory
from interlace.environment import quiet_libraries
from interlace.errors import RecipeError, unknown_name
from interlace.estimate import figure_text
from interlace.measurement import RAW
from interlace.policies import Policy, load_policy
from interlace.policies.interpolation import interpolated
from interlace.policies.scoring import response_logprobs
from interlace.policies.tokenization import encode_response
from interlace.readback import kept_runs
from interlace.statistics import seed_interval
from interlace.store import RunRecord
from interlace.store.checkpoints import newest_complete_checkpoint
from interlace.tasks import build_task
from interlace.tasks.base import Task
from interlace.tasks.example import Example

DIGITS = "0123456789"
PLACES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
COLUMNS = ("a", "reward", "line", "way", "way - line", "way - chord", "chord - mixture", "mixture - line",
           "KL(line | mixture)", "KL(end | start)")  # fmt: skip
Laws = Float[np.ndarray, "prompt response"]
"""log pi of every response that is listed, nats."""


@dataclass(frozen=True)
class Place:
    """Of one run at one place of the line: the reward and SFT loss of its weights, what the mixture and the chord have
    there, and the way at the same reward (NaN: it does not come there); means over prompts."""

    reward: float
    line: float
    way: float
    chord: float
    mixture: float
    apart: float
    ends_apart: float

    def figures(self) -> tuple[float, ...]:
        """The columns of the table, after the place."""
        way, line = self.way, self.line
        gaps = (way - line, way - self.chord, self.chord - self.mixture, self.mixture - line)
        return (self.reward, line, way, *gaps, self.apart, self.ends_apart)


@says_mistakes
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--arm", default="rl", help="a stage that begins with another's end, and trains")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--markdown", action="store_true", help="for a page")
    given = parser.parse_args()
    records = kept_runs(*given.runs)
    quiet_libraries()
    found, outside = zip(*(places_of(record, given.arm, given.prompts) for record in records), strict=True)
    table = table_of(
        found, f"{given.arm} of {records[0].recipe}, seeds {', '.join(str(each.seed) for each in records)}"
    )
    table.caption = f"{given.prompts} prompts of each run; outside of what is listed: {max(outside):.1e} at most."
    if given.markdown:
        print(of_rich(table, "The straight line and the way that training went"))
    else:
        Console(width=170).print(table)


def table_of(runs: Sequence[Sequence[Place]], title: str) -> Table:
    table = Table(*COLUMNS, title=title)
    for number, place in enumerate(PLACES):
        columns = np.array([run[number].figures() for run in runs]).T
        table.add_row(f"{place:.1f}", *(told(column.tolist()) for column in columns))
    return table


def told(values: list[float]) -> str:
    """Mean and interval over runs; of one run the value alone, of none that comes there nothing."""
    if not np.isfinite(values).all():
        return f"not in {np.sum(~np.isfinite(values))} of {len(values)} runs"
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return figure_text(seed_interval(values, unit="nats/response"), unit=False)


def places_of(record: RunRecord, arm: str, num_prompts: int) -> tuple[list[Place], float]:
    """Of one run, and the most probability outside of what is listed."""
    stages = {each.name: each for each in record.stages}
    if arm not in stages:
        raise RecipeError(unknown_name("--arm", arm, stages))
    stage = stages[arm]
    source = stages.get(stage.options.get("start_from", ""))
    if source is None:
        raise RecipeError(f"--arm must begin with another stage's end (start_from). {arm} does not. Name another.")
    task = build_task(stage.task, record.resolved["tasks"][stage.task], record.seed)
    start, end = (load_policy(str(newest(record, each.stage))) for each in (source, stage))
    listed = Listed(task.heldout[:num_prompts], start)
    first, last = listed.laws(start), listed.laws(end)
    rewards, losses = way_of(record, stage.stage, task, num_prompts)
    places, outside = [], outside_of(first)
    for place in PLACES:
        law = listed.laws(start.with_model(interpolated(start.model, end.model, place)))
        mixture = geometric(first, last, place)
        reward, ends = listed.reward(law), [listed.loss(each) for each in (first, last)]
        places.append(
            Place(
                reward=reward,
                line=listed.loss(law),
                way=at_reward(rewards, losses, reward),
                chord=(1 - place) * ends[0] + place * ends[1],
                mixture=listed.loss(mixture),
                apart=kl(law, mixture),
                ends_apart=kl(last, first),
            )
        )
        outside = max(outside, outside_of(law))
    return places, outside


def newest(record: RunRecord, stage: str) -> object:
    folder, _ = newest_complete_checkpoint(record.folder / "stages" / stage)
    return folder


class Listed:
    """All responses to some sums: every string of as many digits as the answer has."""

    def __init__(self, examples: Sequence[Example], policy: Policy) -> None:
        self.examples = examples
        answers = [str(each.columns["answer"]) for each in examples]
        self.places = [{"".join(digits): number for number, digits in enumerate(product(DIGITS, repeat=len(each)))}
                       for each in answers]  # fmt: skip
        self.right = [places[answer] for places, answer in zip(self.places, answers, strict=True)]
        self.encoded = [encode_response(policy.tokenizer, each.prompt, text)
                        for each, places in zip(examples, self.places, strict=True) for text in places]  # fmt: skip

    def laws(self, policy: Policy) -> Laws:
        found = [float(tokens.sum()) for tokens in response_logprobs(policy, self.encoded)]
        return np.array(found).reshape(len(self.examples), -1)

    def reward(self, law: Laws) -> float:
        """Mean probability of the right answers."""
        return float(np.exp(law[np.arange(len(law)), self.right]).mean())

    def loss(self, law: Laws) -> float:
        """SFT loss, nats/response."""
        losses = [-sum(expert.probability * row[places[expert.text]] for expert in each.responses)
                  for row, places, each in zip(law, self.places, self.examples, strict=True)]  # fmt: skip
        return float(np.mean(losses))


def outside_of(law: Laws) -> float:
    return float(1.0 - np.exp(law).sum(axis=1).min())


def geometric(one: Laws, other: Laws, place: float) -> Laws:
    mixed = (1 - place) * one + place * other
    return mixed - np.log(np.exp(mixed).sum(axis=1, keepdims=True))


def kl(one: Laws, other: Laws) -> float:
    return float((np.exp(one) * (one - other)).sum(axis=1).mean())


def way_of(record: RunRecord, stage: str, task: Task, num_prompts: int) -> tuple[list[float], list[float]]:
    """Reward and SFT loss at every look, over the first prompts."""
    trajectory = read_trajectory(record, stage, task.name, RAW).measured(SFT_LOSS, REWARD)
    shots = trajectory.snapshots
    return ([float(shot.reward[:num_prompts].mean()) for shot in shots],
            [float(shot.loss[:num_prompts].mean()) for shot in shots])  # fmt: skip


def at_reward(rewards: Sequence[float], losses: Sequence[float], reward: float) -> float:
    """SFT loss where looks first cross a reward from below, between two of them; NaN where they do not."""
    for (r0, l0), (r1, l1) in pairwise(zip(rewards, losses, strict=True)):
        if r0 < reward <= r1:
            return l0 + (reward - r0) / (r1 - r0) * (l1 - l0)
    return float("nan")


if __name__ == "__main__":
    main()
