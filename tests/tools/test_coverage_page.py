"""The table of simulated coverage in docs/statistics.md is the stored simulation."""

from __future__ import annotations

from tools.coverage_page import PART, table


def test_the_page_shows_the_stored_numbers() -> None:
    assert PART.read() == table()
