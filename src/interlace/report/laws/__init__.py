"""`interlace theory LAW --plot`: one self-contained HTML page that draws what a law says of given inputs."""

from interlace.report.laws.page import check_plot, render_law, write_law_plot

__all__ = ["check_plot", "render_law", "write_law_plot"]
