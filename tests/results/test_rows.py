from __future__ import annotations

import math
from pathlib import Path

import pytest

from iarbench.errors import UserError
from iarbench.results.rows import ROW_FIELDS, read_rows, write_rows

ROW = dict.fromkeys(ROW_FIELDS)


def test_rows_read_back_bit_for_bit(tmp_path: Path) -> None:
    rows = [ROW | {"value": 0.1 + 0.2, "low": 1e-300, "high": 1 / 3, "target": "über", "n_members": 3}, ROW]
    write_rows(rows, tmp_path / "results.jsonl")
    assert read_rows(tmp_path / "results.jsonl") == rows
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]


def test_a_number_that_is_not_one_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    write_rows([ROW], path)
    with pytest.raises(ValueError, match="JSON"):
        write_rows([ROW, ROW | {"value": math.nan}], path)
    assert read_rows(path) == [ROW]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"results.jsonl:1 is not JSON"),
        ("[1]", r"results.jsonl:1 is not a row of results: it is not an object"),
        ('\n{"task": "mini"}', r"results.jsonl:2 is not a row of results: it lacks task_version, detector"),
    ],
)
def test_what_is_not_a_row_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_rows(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read results from"):
        read_rows(tmp_path / "results.jsonl")
