from __future__ import annotations

import pytest

from iarbench.results.attribution.rows import AttributionRow
from iarbench.results.rows import read_rows
from iarbench.task import Task
from tools.attribution_page import PART, ROWS, table


@pytest.fixture(scope="module")
def rows() -> list[AttributionRow]:
    return read_rows(ROWS, AttributionRow)


def test_the_table_of_the_page_is_that_of_the_stored_rows() -> None:
    assert PART.read() == table()


def test_the_stored_rows_are_of_the_packaged_task(rows: list[AttributionRow]) -> None:
    spec = Task.load("attribution-mini").spec
    assert {(row.task, row.task_version) for row in rows} == {(spec.name, spec.version)}
    assert {row.targets for row in rows if row.setting == "open"} == {spec.targets}


def test_photographs_are_named_at_the_nominal_rate_or_less_often_within_the_interval(
    rows: list[AttributionRow],
) -> None:
    found = [
        row for row in rows if row.subject == "flickr" and row.threshold_kind == "matched" and row.value is not None
    ]
    assert len(found) >= 2 * 4 * 2
    for row in found:
        assert row.low is not None
        assert row.fpr_nominal is not None
        assert row.low <= row.fpr_nominal
