"""The small columns of many images in few bytes: nothing is lost, and ids are found whatever their hashes."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from iarbench.images import compact as module
from iarbench.images.compact import IdTable, compact, join, plain, where

HEX = [hashlib.sha256(bytes([number])).hexdigest() for number in range(3)]


def table(hashes: list[str], first: int = 0) -> pa.Table:
    ids = [f"a/{first + number}" for number in range(len(hashes))]
    columns = {"image_id": ids, "sha256": hashes, "source": ["a"] * len(ids), "split": ["test"] * len(ids)}
    return pa.table({**columns, "group": ["photo", *ids[1:]]})


@pytest.mark.parametrize("odd", [HEX[2], HEX[2].upper(), "short", "g" * 64])
def test_compact_and_back_is_the_same(odd: str) -> None:
    parts = [table(HEX[:2]), table([odd, HEX[0]], first=2)]
    found = join([compact(part) for part in parts])
    assert plain(found).to_pydict() == pa.concat_tables(parts).to_pydict()
    assert found.column("group").null_count == 2
    packed = odd == HEX[2]
    assert pa.types.is_fixed_size_binary(found.schema.field("sha256").type) == packed


def test_slices_and_wide_text_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    wide = table(HEX).cast(pa.schema([(name, pa.large_string()) for name in table(HEX).column_names]))
    assert plain(compact(wide).slice(1)).to_pydict() == table(HEX).slice(1).to_pydict()


def test_rows_of_a_source_and_split() -> None:
    found = join([compact(table(HEX)), compact(table(HEX, first=3).set_column(2, "source", [["b"] * 3]))])
    assert where(found, source="b").tolist() == [3, 4, 5]
    assert where(found, source="b", split="test").tolist() == [3, 4, 5]
    assert not len(where(found, source="c"))


def test_ids_are_found_where_all_hashes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    names = pa.array([f"id-{number}" for number in (5, 3, 9, 1)])
    for hashes in (None, lambda ids: np.zeros(len(ids), dtype=np.uint64)):
        if hashes is not None:
            monkeypatch.setattr(module, "_hashes", hashes)
        ids = IdTable(names)
        assert ids.places(pa.array(["id-9", "id-2", "id-5", "id-9"])).tolist() == [2, -1, 0, 2]
        assert ids.repeated() is None
        assert IdTable(pa.concat_arrays([names, names[1:3]])).repeated() == "id-3"
