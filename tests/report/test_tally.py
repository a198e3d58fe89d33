"""The tally on the page: counts by law, and how counts of sign laws are to be read."""

from __future__ import annotations

from interlace.report.tally import IDENTITIES, tally_tables
from tests.report.examples import facts_summary


def test_counts_of_sign_laws_say_what_they_mean() -> None:
    verdicts, *checks = tally_tables([facts_summary()])
    assert verdicts.remark == IDENTITIES and not verdicts.notes, "a remark is no footnote of a dash"
    assert all(not table.remark for table in checks)
