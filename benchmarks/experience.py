"""The priors of forecasts from finished runs: prints the table of src/interlace/forecasting/experience.py.

    python benchmarks/experience.py runs/forecasts/*/seed-0            # what forecasts are scored on must not be here

For each kind of weights the hyperparameters under which the looks of all RL stages are most probable, shapes' weights
and scatter integrated out (empirical Bayes). How much there is of each path model is left as it stands there: three
tasks cannot tell it from what comes on top. Standard deviations are at least `FLOOR`, for the same reason.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import optimize

from interlace.analysis.foreseen_again import foresight_of
from interlace.forecasting import Curve, Looks
from interlace.forecasting.calibration import Calibration, along_paths, at_a_price, progress_at
from interlace.forecasting.experience import ELSEWHERE, ON_PATHS, Experience
from interlace.forecasting.foresight import all_looks
from interlace.measurement import AVERAGED, RAW
from interlace.readback import run_folders_in
from interlace.store import read_run

FLOOR = Experience((1.0, 0.0), (0.0, 0.0), (0.0, 0.3), (0.0, 0.1), (0.0, 0.01), 0.02, 0.003, 0.2)
ROUNDS = 2
ON_TOP, AMOUNTS = ("excess", "drift", "step"), ("wander", "scatter", "unevenness")

Stage = tuple[list[Curve], Looks, float | None]
"""Path models (none on a task that is not trained on), looks, and the decay of averaged weights."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--each", action="store_true", help="also what each stage's own evidence says of the table")
    given = parser.parse_args()
    folders = [folder for run in given.runs for folder in run_folders_in(run)]
    for weights in (RAW, AVERAGED):
        stages = [stage for folder in folders for stage in stages_of(folder, weights)]
        for table, first in (("ON_PATHS", ON_PATHS[weights]), ("ELSEWHERE", ELSEWHERE[weights])):
            meant = [(name, stage) for name, stage in stages if bool(stage[0]) == (table == "ON_PATHS")]
            if meant:
                fitted = fit([stage for _, stage in meant], first)
                print(f"{table} {weights.upper()}: {_literal(fitted)},  # {len(meant)} stages")
            for name, stage in meant if given.each else ():
                print(f"  {name}: log evidence {log_evidence([stage], fitted):.2f}")


def stages_of(folder: Path, weights: str) -> Iterator[tuple[str, Stage]]:
    """Every RL stage of the run and every task measured in it, by name."""
    record = read_run(folder)
    for stage in record.stages:
        foresight = foresight_of(record, stage)
        if foresight is None or not stage.finished:
            continue
        decay = foresight.decay if weights == AVERAGED else None
        for task, looks in all_looks(stage.measurements, stage.task, record.heldout, weights):
            if looks.steps.size > 2:
                curves = foresight.curves if task == stage.task else []
                yield f"{folder.parent.name}/{folder.name} {stage.name} {task}", (curves, looks, decay)


def fit(stages: list[Stage], first: Experience) -> Experience:
    """The hyperparameters with the most evidence, by Nelder-Mead from `first`, begun again `ROUNDS` times."""
    at = _flat(first)
    for _ in range(ROUNDS):
        found = optimize.minimize(lambda x: -log_evidence(stages, _experience(x, first)), at, method="Nelder-Mead",
                                  options={"maxiter": 500, "xatol": 1e-3, "fatol": 1e-2})  # fmt: skip
        at = found.x
    return _experience(at, first)


def log_evidence(stages: list[Stage], experience: Experience) -> float:
    """Log density of all looks, nats."""
    return sum(_calibration(stage, experience).log_evidence() for stage in stages)


def _calibration(stage: Stage, experience: Experience) -> Calibration:
    curves, looks, decay = stage
    made_of = along_paths(curves, experience) if curves else at_a_price(0.0, experience)
    progress = progress_at(looks.steps[1:], int(looks.steps[-1]), decay)
    return Calibration(made_of, looks.reward[1:] - looks.reward[0], progress, looks.sft_loss[1:] - looks.sft_loss[0])


def _flat(experience: Experience) -> np.ndarray:
    """The means of what comes on top; logarithms of the standard deviations beyond their floors."""
    pairs = [(getattr(experience, name), getattr(FLOOR, name)) for name in ON_TOP]
    spreads = [found[1] / floor[1] for found, floor in pairs]
    spreads += [getattr(experience, name) / getattr(FLOOR, name) for name in AMOUNTS]
    return np.array([*(found[0] for found, _ in pairs), *np.log(np.maximum(spreads, 1.01) - 1.0)])


def _experience(flat: np.ndarray, first: Experience) -> Experience:
    means, spreads = flat[:3].tolist(), (1.0 + np.exp(flat[3:])).tolist()
    pairs = {
        name: (mean, getattr(FLOOR, name)[1] * spread)
        for name, mean, spread in zip(ON_TOP, means, spreads[:3], strict=True)
    }
    amounts = {name: getattr(FLOOR, name) * spread for name, spread in zip(AMOUNTS, spreads[3:], strict=True)}
    return first._replace(**pairs, **amounts)


def _literal(experience: Experience) -> str:
    figures = [f"({mean:.3g}, {spread:.2g})" for mean, spread in experience[:5]]
    figures += [f"{getattr(experience, name):.2g}" for name in AMOUNTS]
    return f"Experience({', '.join(figures)})"


if __name__ == "__main__":
    main()
