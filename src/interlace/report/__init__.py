"""The report: one self-contained HTML page that draws a run's figures and computes none.

`page` assembles it; `headline` and `tables` put figures into words and cells; `plots` draws, one figure a file.
"""

from interlace.report.page import render, write_report

__all__ = ["render", "write_report"]
