"""`interlace plan --rollouts --html`: one self-contained page about the rollouts of an RL run."""

from interlace.report.dumps.page import render_rollouts, write_rollouts_page

__all__ = ["render_rollouts", "write_rollouts_page"]
