"""Prints docs/laws.md."""

from __future__ import annotations

import sys

from interlace.theory.laws.page import markdown

sys.stdout.write(markdown())
