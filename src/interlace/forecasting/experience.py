"""What earlier RL stages have shown of how SFT loss leaves the path models: the priors of forecasts.

`python benchmarks/experience.py RUN...` makes the figures from finished runs: those with which these runs would have
been forecast best. How much there is of each path model is not among them: theory says 1 of `systematic` and 0 of
`group_normalised`, each give or take a quarter. The runs are of one small model and one optimizer, and the learning
rate is no part of it: that of another model is no guide. The first looks correct it.
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
    RAW: Experience((1.0, 0.25), (0.0, 0.25), (-0.2, 0.7), (0.125, 0.094), (0.306, 0.12), 0.013, 0.08, 0.2),
    AVERAGED: Experience((1.0, 0.25), (0.0, 0.25), (0.906, 0.31), (0.08, 0.062), (0.013, 0.01), 0.032, 0.0078, 0.5),
}
"""On the task that RL trains; from seeds 0 to 3 of benchmarks/forecast_table.py (48 stages, of which 3 of a run whose
SFT had failed were left out), none of which is scored."""
ELSEWHERE = {
    RAW: Experience((1.0, 0.25), (0.0, 0.25), (1.3, 2.6), (0.25, 0.12), (0.04, 0.05), 0.031, 0.039, 0.94),
    AVERAGED: Experience((1.0, 0.25), (0.0, 0.25), (0.3, 1.6), (0.25, 0.12), (0, 0.02), 0.04, 0.0063, 1.5),
}
"""Where no path model speaks, as on a task that is not trained on; from the cross-task runs of the same seeds."""
