"""`interlace measure --html`: one self-contained page about checkpoints that were measured."""

from interlace.report.checkpoints.page import render_checkpoints, write_checkpoints_page

__all__ = ["render_checkpoints", "write_checkpoints_page"]
