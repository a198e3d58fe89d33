"""What earlier RL stages have shown of how SFT loss leaves the path models: the priors of forecasts.

Figures are fitted, not chosen: `python benchmarks/experience.py RUN...` makes the table below from finished runs, by
the evidence that their looks give (empirical Bayes).
"""

from __future__ import annotations

from typing import NamedTuple

from interlace.measurement import AVERAGED, RAW


class Experience(NamedTuple):
    """Of one kind of weights, as means and standard deviations over stages.

    `systematic`, `group_normalised`: how much there is of a path model's curve; `excess`: nats per reward unit on top;
    `drift`: nats/response over a whole stage that go with the steps; `step`: nats/response that are there from the
    first look on; `wander`: the standard deviation, at the stage's end, of what else comes and goes (a Brownian motion
    in the weights' progress, nats/response); `scatter`: of a look about all of it; `unevenness`: of the logarithm of
    the factor by which all but the paths is larger in one stage than in another.
    """

    systematic: tuple[float, float]
    group_normalised: tuple[float, float]
    excess: tuple[float, float]
    drift: tuple[float, float]
    step: tuple[float, float]
    wander: float
    scatter: float
    unevenness: float


ON_PATHS = {
    RAW: Experience((1.0, 0.25), (0.0, 0.25), (-1.64, 0.3), (0.3, 0.13), (0.21, 0.11), 0.17, 0.059, 0.99),
    AVERAGED: Experience((1.0, 0.25), (0.0, 0.25), (0.506, 0.3), (0.0755, 0.18), (-0.00231, 0.01), 0.041, 0.003, 0.93),
}
"""On the task that RL trains; from the runs of seed 0 of benchmarks/forecast_table.py, none of which is scored."""
ELSEWHERE = {
    RAW: Experience((1.0, 0.25), (0.0, 0.25), (-0.0598, 0.3), (0.31, 0.17), (0.0436, 0.016), 0.02, 0.1, 1.7),
    AVERAGED: Experience((1.0, 0.25), (0.0, 0.25), (-0.106, 1.2), (0.343, 0.1), (0.0213, 0.01), 0.038, 0.0066, 2.3),
}
"""Where no path model speaks, as on a task that is not trained on; from the cross-task run of seed 0."""
