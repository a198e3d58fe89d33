"""D9 to D14: what no method can escape, and what a pipeline leaves on the table."""

from interlace.theory.frontier.floor import sft_loss_floor, sft_loss_floor_from_figures

__all__ = [
    # whatever the method: D13
    "sft_loss_floor", "sft_loss_floor_from_figures",
]  # fmt: skip
