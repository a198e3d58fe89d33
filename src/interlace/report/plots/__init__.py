"""The figures, one a file: both curves over the pipeline, the plane, the splits, forecasts and what came, forks, the
gradients' angle, seeds."""

from interlace.report.plots.angle import angle_charts
from interlace.report.plots.base import Chart, Key
from interlace.report.plots.curves import curves_charts
from interlace.report.plots.fan import fan_charts
from interlace.report.plots.forks import ForkView, fork_views
from interlace.report.plots.plane import plane_charts
from interlace.report.plots.seeds import seeds_charts
from interlace.report.plots.splits import split_charts

__all__ = [
    "Chart",
    "ForkView",
    "Key",
    "angle_charts",
    "fan_charts",
    "curves_charts",
    "fork_views",
    "plane_charts",
    "seeds_charts",
    "split_charts",
]
