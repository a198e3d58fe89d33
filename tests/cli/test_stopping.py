"""Ctrl-C: exit code 130, a sentence, nothing half written; also where Python would have lost the interrupt."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

import pytest

from interlace.cli.stopping import stoppable
from interlace.errors import Interrupted


class Finalized:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_ends_with_130() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="Nothing was written") as caught, stoppable():
        os.kill(os.getpid(), signal.SIGINT)
    assert caught.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before


def lose_an_interrupt() -> None:
    """Python ignores it, because it comes within a finalizer."""
    item = Finalized()
    del item


def measure_for_ever() -> None:
    with stoppable() as check:
        lose_an_interrupt()
        check()
        raise AssertionError("it went on")


def measure_to_the_end() -> None:
    with stoppable():
        lose_an_interrupt()


@pytest.mark.parametrize("measure", [measure_for_ever, measure_to_the_end])
def test_an_interrupt_that_is_lost_in_a_finalizer_is_kept(
    measure: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    with pytest.raises(Interrupted):
        measure()
    assert len(lost) == 1


def test_without_one_nothing_happens() -> None:
    with stoppable() as check:
        check()
