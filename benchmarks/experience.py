"""The priors of forecasts, chosen by how well they would have forecast finished runs.

    python benchmarks/experience.py runs/forecasts              # what forecasts are scored on must not be here
    python benchmarks/experience.py runs/forecasts --leave-out  # how well a choice does on a task that it never saw

For each kind of weights: the score of a prior is the mean, over stages and over forecasts made at 10, 20 and 50 % of
them, of the logarithm of the interval score (Gneiting and Raftery 2007) over the range of SFT loss in the stage; of SFT
loss at the end, and at the reward that came. From the table in src/interlace/forecasting/experience.py on, one figure
after the other is moved and kept where the score falls (coordinate descent). How much there is of each path model is
left as it stands there. Prints the new table.

Evidence (empirical Bayes) was tried in its place and gave intervals twice as long: looks of one stage are not as
independent as the model takes them to be, and the evidence believes it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from interlace.analysis.foreseen_again import foresight_of
from interlace.estimate import Estimate
from interlace.forecasting import Curve, Foresight, Looks, running_forecast
from interlace.forecasting.calibration import along_paths, at_a_price
from interlace.forecasting.experience import ELSEWHERE, ON_PATHS, Experience
from interlace.forecasting.foresight import all_looks
from interlace.forecasting.scoring import Score
from interlace.measurement import AVERAGED, RAW
from interlace.readback import run_folders_in, summarise
from interlace.store import RunRecord, read_run

SHARES = (0.1, 0.2, 0.5)
FACTOR, PASSES, LEAST_GAIN = 1.6, 2, 1e-3
MEANS, AMOUNTS = ("excess", "drift", "step"), ("wander", "scatter", "unevenness")


class Stage(NamedTuple):
    """One RL stage and one task measured in it; `curves`: none on a task that is not trained on."""

    recipe: str
    foresight: Foresight
    curves: list[Curve]
    looks: Looks
    decay: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--weights", choices=(RAW, AVERAGED), action="append", help="default: both")
    parser.add_argument("--leave-out", action="store_true", help="choose without each recipe, and score on it")
    given = parser.parse_args()
    folders = [folder for run in given.runs for folder in run_folders_in(run)]
    records = [read_run(folder) for folder in folders if summarise(folder).excluded is None]
    for weights in given.weights or (RAW, AVERAGED):
        stages = [stage for record in records for stage in stages_of(record, weights)]
        for name, first in (("ON_PATHS", ON_PATHS[weights]), ("ELSEWHERE", ELSEWHERE[weights])):
            meant = [stage for stage in stages if bool(stage.curves) == (name == "ON_PATHS")]
            chosen, reached = choose(meant, first)
            print(f"{name} {weights}: {_literal(chosen)}  # {len(meant)} stages: {score(meant, first):.3f} "
                  f"before, {reached:.3f} after", flush=True)  # fmt: skip
            for recipe in sorted({stage.recipe for stage in meant}) if given.leave_out else ():
                others, own = ([s for s in meant if (s.recipe == recipe) == is_own] for is_own in (False, True))
                if others:
                    print(f"  without {recipe}: {score(own, choose(others, first)[0]):.3f} on it", flush=True)


def stages_of(record: RunRecord, weights: str) -> Iterator[Stage]:
    """Every finished RL stage of the run and every task measured in it."""
    for stage in record.stages:
        foresight = foresight_of(record, stage)
        if foresight is None or not stage.finished:
            continue
        for task, looks in all_looks(stage.measurements, stage.task, record.heldout, weights):
            curves = foresight.curves if task == stage.task else []
            yield Stage(record.recipe, foresight, curves, looks, foresight.decay if weights == AVERAGED else None)


def choose(stages: list[Stage], first: Experience) -> tuple[Experience, float]:
    """The prior that coordinate descent reaches from `first`, and its score."""
    best, reached = first, score(stages, first)
    for _ in range(PASSES):
        before = reached
        for place in range(len([*_moves(best)])):
            moved = [*_moves(best)][place]
            found = score(stages, moved)
            if found < reached - LEAST_GAIN:
                best, reached = moved, found
        if reached == before:
            break
    return best, reached


def score(stages: list[Stage], experience: Experience) -> float:
    """Mean logarithm of interval score over range; less is better."""
    return float(np.mean([np.log(each) for stage in stages for each in _scores(stage, experience)]))


def _scores(stage: Stage, experience: Experience) -> Iterator[float]:
    looks, last = stage.looks, int(stage.looks.steps[-1])
    made_of = along_paths(stage.curves, experience) if stage.curves else at_a_price(0.0, experience)
    for share in SHARES:
        made = next(step for step in looks.steps.tolist() if step >= share * last)
        found = running_forecast(looks.until(made), made_of, last, np.random.default_rng(0),
                                 top=stage.foresight.top, bottom=stage.foresight.bottom, expert_reward=np.inf,
                                 decay=stage.decay)  # fmt: skip
        for figure in (found.sft_loss, found.given(float(looks.reward[-1]))):
            if isinstance(figure, Estimate):
                judged = Score(figure, float(looks.sft_loss[-1]), float(np.ptp(looks.sft_loss)))
                yield judged.interval_score / judged.spread


def _moves(experience: Experience) -> Iterator[Experience]:
    """Every figure a bit larger and a bit smaller."""
    for name in MEANS:
        mean, spread = getattr(experience, name)
        for changed in ((mean - spread / 2, spread), (mean + spread / 2, spread), (mean, spread * FACTOR),
                        (mean, spread / FACTOR)):  # fmt: skip
            yield experience._replace(**{name: changed})
    for name in AMOUNTS:
        for factor in (FACTOR, 1.0 / FACTOR):
            yield experience._replace(**{name: getattr(experience, name) * factor})


def _literal(experience: Experience) -> str:
    figures = [f"({mean:.3g}, {spread:.2g})" for mean, spread in experience[:5]]
    figures += [f"{getattr(experience, name):.2g}" for name in AMOUNTS]
    return f"Experience({', '.join(figures)})"


if __name__ == "__main__":
    main()
