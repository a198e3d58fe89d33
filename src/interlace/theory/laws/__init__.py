"""The registry of laws: what code, messages, reports and docs/laws.md quote by label.

``python -m interlace.theory.laws`` prints docs/laws.md.
"""

from interlace.theory.laws.distributional import DISTRIBUTIONAL
from interlace.theory.laws.frontier import FRONTIER
from interlace.theory.laws.landscape import LANDSCAPE
from interlace.theory.laws.law import Condition, Kind, Law
from interlace.theory.laws.paths import PATHS

__all__ = ["LAWS", "Condition", "Kind", "Law"]


def _order(law: Law) -> tuple[str, int]:
    return law.label[0], int(law.label[1:])


LAWS: dict[str, Law] = {law.label: law for law in sorted((*DISTRIBUTIONAL, *LANDSCAPE, *PATHS, *FRONTIER), key=_order)}
"""Every law by its label, in the theory's order."""
