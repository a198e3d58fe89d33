"""Runs for the report's tests."""

from __future__ import annotations

import pytest

from interlace.analysis.summary import RunSummary
from interlace.store import RunRecord
from tests.report.examples import facts_summary, hostile_run, record_of


@pytest.fixture
def summary() -> RunSummary:
    """A run shaped like the embedded experiment."""
    return facts_summary()


@pytest.fixture
def run(summary: RunSummary) -> tuple[RunRecord, RunSummary]:
    """The same with its record."""
    return record_of(summary), summary


@pytest.fixture
def hostile() -> tuple[RunRecord, RunSummary]:
    """A run whose every text from outside tries to run a script."""
    return hostile_run()
