"""What a run's record says: exact changes, splits, verdicts, self-checks, landmarks, advice. Pure, given a record.

`summarise` is the way in; `summary` holds the objects it returns, `seeds` puts several runs together.
"""

from interlace.analysis.coupling import CouplingRow, coupling_table
from interlace.analysis.result import result_json
from interlace.analysis.seeds import (
    FigureAcrossSeeds,
    ObjectiveChangeAcrossSeeds,
    across_seeds,
    alike,
    figures_across_seeds,
    seed_groups,
)
from interlace.analysis.summarise import summarise
from interlace.analysis.summary import (
    SCHEMA_VERSION,
    Curve,
    Landmarks,
    ObjectiveChange,
    RunSummary,
    SelfCheck,
    Split,
    Stages,
    StageSummary,
    Verdict,
)

__all__ = [
    # from a record to its summary
    "summarise",
    "alike",
    "seed_groups",
    "across_seeds",
    "figures_across_seeds",
    "coupling_table",
    "result_json",
    # the summary's objects
    "RunSummary",
    "Stages",
    "StageSummary",
    "ObjectiveChange",
    "Split",
    "Landmarks",
    "Curve",
    "Verdict",
    "SelfCheck",
    "ObjectiveChangeAcrossSeeds",
    "FigureAcrossSeeds",
    "CouplingRow",
    "SCHEMA_VERSION",
]
