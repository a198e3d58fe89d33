"""The program, called as a user calls it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from interlace.cli import main


@dataclass(frozen=True)
class Called:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The words on stderr with line breaks of the terminal undone."""
        return " ".join(self.err.split())


Call = Callable[..., Called]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs ``interlace WORDS...`` in this process."""

    def run(*words: str) -> Called:
        monkeypatch.setattr(sys, "argv", ["interlace", *words])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        return Called(code, *capsys.readouterr())

    return run
