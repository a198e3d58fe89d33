"""`interlace theory`: a law read on the numbers that are given, in the terminal, as JSON, as a figure."""

from interlace.cli.theory.command import theory

__all__ = ["theory"]
