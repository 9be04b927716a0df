"""Rows on one line: what they share once, what differs as columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from board_rows import row
from pydantic import BaseModel

from iarbench.errors import UserError
from iarbench.results.grouped import grouped_lines, ungrouped
from iarbench.results.rows import read_rows


def test_what_differs_stands_in_columns_and_reads_back(tmp_path: Path) -> None:
    first = row(metric="tpr_at_fpr", fpr_nominal=0.01, threshold_kind="matched", value=0.5)
    rows = [first, first.model_copy(update={"value": 0.75, "fpr_nominal": 0.05}), row(metric="auroc", value=1.0)]
    (line,) = grouped_lines(rows)
    found = json.loads(line)
    assert found["columns"]["value"] == [0.5, 0.75, 1.0]
    assert found["detector"] == first.detector
    assert "detector" not in found["columns"]
    path = tmp_path / "rows.jsonl"
    path.write_text(line + "\n")
    assert read_rows(path) == rows


def test_a_column_that_repeats_itself_is_written_by_its_different_values(tmp_path: Path) -> None:
    fingerprints = ["a" * 64, "b" * 64, "a" * 64, "b" * 64]
    rows = [row(images_fingerprint=one, n_members=place) for place, one in enumerate(fingerprints)]
    (line,) = grouped_lines(rows)
    assert json.loads(line)["columns"] == {
        "n_members": [0, 1, 2, 3],
        "images_fingerprint": {"values": ["a" * 64, "b" * 64], "rows": [0, 1, 0, 1]},
    }
    path = tmp_path / "rows.jsonl"
    path.write_text(line + "\n")
    assert read_rows(path) == rows


def test_places_that_two_columns_share_are_written_once(tmp_path: Path) -> None:
    one, two = ("noise0.05", "a" * 64), ("crop0.8+jpeg50", "b" * 64)
    seen = [one, two, one, one, two]
    rows = [row(attack=a, images_fingerprint=images, n_members=place) for place, (a, images) in enumerate(seen)]
    (line,) = grouped_lines(rows)
    columns = json.loads(line)["columns"]
    assert columns["attack"] == {"values": [one[0], two[0]], "rows": [0, 1, 0, 0, 1]}
    assert columns["images_fingerprint"] == {"values": ["a" * 64, "b" * 64], "rows": "attack"}
    path = tmp_path / "rows.jsonl"
    path.write_text(line + "\n")
    assert read_rows(path) == rows


class Shares(BaseModel):
    """A row with an object."""

    schema_version: int = 1
    value: float
    shares: dict[str, list[float]] = {}


def test_objects_are_written_key_by_key_each_once_and_keep_the_order_of_their_keys() -> None:
    own, other = "llamagen-mini", "wallpapers"
    orders = [[own, other], [other, own], [other], []] * 4
    every = [{key: [place / 8, 0.5] for key in order} for place, order in enumerate(orders)]
    different = every[:15]  # three of them empty
    rows = [Shares(value=place, shares=one) for place, one in enumerate(different * 2)]
    (line,) = grouped_lines(rows)
    found = json.loads(line)
    column = found["columns"]["shares"]
    assert column["values"]["keys"].keys() == {own, other}
    assert column["values"]["keys"][own][:3] == [[0.0, 0.5], [0.125, 0.5], None]
    assert len(column["values"]["keys"][own]) == 13  # what differs: twelve, and the empty one
    assert column["rows"][:15] == column["rows"][15:]
    assert [list(one["shares"]) for one in ungrouped(found)] == orders[:15] * 2
    assert [Shares(**one) for one in ungrouped(found)] == rows


def test_another_target_is_another_line_and_one_row_or_equal_ones_need_no_columns(tmp_path: Path) -> None:
    rows = [row(target="toy-a"), row(target="toy-b"), row(target="toy-b")]
    lines = grouped_lines(rows)
    assert [("columns" in json.loads(line), json.loads(line)["target"]) for line in lines] == [
        (False, "toy-a"), (False, "toy-b"), (False, "toy-b")
    ]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    assert read_rows(path) == rows


@pytest.mark.parametrize(
    "columns",
    [
        {"value": [1.0], "low": [0.5, 0.6]}, {"value": 1.0}, [], {},
        {"value": {"values": [1.0]}}, {"value": {"values": [1.0], "rows": [1]}},
        {"value": {"values": [1.0], "rows": [-1]}}, {"value": {"keys": {}}},
        {"value": {"keys": {"a": 1.0}, "order": [["a"]]}},
        {"value": {"keys": {"a": [1.0], "b": [1.0, 2.0]}, "order": [["a"]]}},
        {"value": {"keys": {"a": [1.0]}, "order": [["b"]]}}, {"value": {"keys": {"a": [1.0]}, "order": ["a"]}},
        {"value": {"values": {"keys": []}, "rows": [0]}}, {"value": {"values": [1.0], "rows": "value"}},
        {"value": {"values": [1.0], "rows": "low"}}, {"value": {"values": [1.0], "rows": "low"}, "low": [1.0]},
        {"value": {"values": [1.0], "rows": "low"}, "low": {"values": [1.0], "rows": [1]}},
    ],
)  # fmt: skip
def test_damaged_columns_are_no_rows_and_said_in_a_line(columns: object, tmp_path: Path) -> None:
    found = {**json.loads(row().model_dump_json()), "columns": columns}
    assert ungrouped(found) == [found]
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(found) + "\n")
    with pytest.raises(UserError, match=r"rows\.jsonl:1 is not a row of results: columns"):
        read_rows(path)
