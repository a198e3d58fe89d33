"""The command line: one file a verb; each parses, calls and prints. What trains is imported only where it is needed."""

from interlace.cli.app import main

__all__ = ["main"]
