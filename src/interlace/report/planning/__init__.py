"""The page of a plan: an RL stage forecast before it begins."""

from interlace.report.planning.page import render_plan, write_plan_page

__all__ = ["render_plan", "write_plan_page"]
