"""The shoot-out: mixing methods from one start, compared at the compute that at least half of them reached.

`arms` finds them in a run, `compute` counts, `seen` takes each at the common compute on the `halves` of the held-out
prompts, `training` says how it was trained, `limit` holds it against the best of all policies (D9), `leads` compares
two arms run by run, `contest` is what `row`, `ranks`, `knobs` and `adapting` make figures of the runs of one recipe
from, `missing` says what has no row, `comparison` is the whole of it; `standings` is over several recipes.
"""

from interlace.analysis.shootout.adapting import Matched
from interlace.analysis.shootout.arms import Pair
from interlace.analysis.shootout.comparison import Shootout, shootout
from interlace.analysis.shootout.compute import By, compute_of
from interlace.analysis.shootout.knobs import Knob
from interlace.analysis.shootout.missing import NoShootout, is_contest
from interlace.analysis.shootout.row import ShootoutRow
from interlace.analysis.shootout.standings import Standing, standings
from interlace.analysis.shootout.words import shootout_sentences

__all__ = [
    "Pair",
    "Shootout",
    "ShootoutRow",
    "Knob",
    "Matched",
    "NoShootout",
    "is_contest",
    "shootout",
    "shootout_sentences",
    "Standing",
    "standings",
    "By",
    "compute_of",
]
