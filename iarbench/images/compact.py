"""The small columns of many images in about a hundred bytes per image, and where an id stands among them.

A compact table has hashes as 32 bytes in place of 64 digits, names that repeat as numbers, and no group where an image
is its own. What is not so (a hash that is no hash) stays as it is. Nothing in it is a Python object for each image.
"""

from __future__ import annotations

import binascii
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

INDEX_COLUMNS = ("image_id", "sha256", "source", "split", "group")
"""What results need to know of an image."""
NAMES = ("source", "split", "condition")
"""Columns whose values repeat."""
_SHA256 = pa.binary(32)
_DIGITS = 64
_AT_ONCE = 2**16

Places = npt.NDArray[np.integer[Any]]


def compact(table: pa.Table) -> pa.Table:
    """The table compact; columns image_id, sha256, source, split and group, and any others. It has no empty cells."""
    columns = {name: narrowed(table.column(name)) for name in table.column_names}
    columns["sha256"] = pack(columns["sha256"])
    for name in NAMES:
        if name in columns and not pa.types.is_dictionary(columns[name].type):
            columns[name] = columns[name].dictionary_encode()
    own = pc.equal(columns["group"], columns["image_id"])
    # `if_else` on the names themselves would keep the text of those that it leaves out
    columns["group"] = columns["group"].take(pc.if_else(own, None, pa.array(np.arange(len(table)))))
    return pa.table(columns)


def join(tables: list[pa.Table]) -> pa.Table:
    """Compact tables one after the other, each column in one piece. The list is empty afterwards: the pieces of a
    column go before the next column is joined, so that never all columns are there twice."""
    kinds = {table.schema.field("sha256").type for table in tables}
    if len(kinds) > 1:
        tables[:] = [_with(table, "sha256", pa.chunked_array([unpack(table.column("sha256"))])) for table in tables]
    pieces = {name: [table.column(name) for table in tables] for name in tables[0].column_names}
    tables.clear()
    columns = {}
    for name in list(pieces):
        columns[name] = _joined(pieces.pop(name))
        pa.default_memory_pool().release_unused()
    return pa.table(columns)


def one_piece(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one array. One of a single piece is not copied, which `combine_chunks` does."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def at(column: pa.Array | pa.ChunkedArray, places: Places) -> pa.Array:
    """The values at some places; a view where they follow each other."""
    whole = one_piece(column)
    if len(places) and (np.diff(places) == 1).all():
        return whole.slice(places[0], len(places))
    return whole.take(pa.array(places))


def plain(table: pa.Table) -> pa.Table:
    """The same with text as text, for files and data frames."""
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            table = _with(table, name, column.cast(pa.string()))
    table = _with(table, "sha256", unpack(table.column("sha256")))
    return _with(table, "group", groups(table))


def where(table: pa.Table, **wanted: str) -> Places:
    """The rows of a compact table whose columns among `NAMES` hold these values."""
    keep = np.ones(len(table), dtype=bool)
    for name, value in wanted.items():
        column = one_piece(table.column(name))
        known = column.dictionary.to_pylist()
        keep &= column.indices.to_numpy() == (known.index(value) if value in known else -1)
    return np.flatnonzero(keep)


def groups(table: pa.Table) -> pa.ChunkedArray:
    """The group of every image of a compact table."""
    return pc.coalesce(table.column("group"), table.column("image_id"))


def pack(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """SHA-256 as 32 bytes each; the column as it is where some value is not 64 lower-case hexadecimal digits."""
    if pa.types.is_fixed_size_binary(column.type):
        return column
    column, pieces = narrowed(column), []
    for chunk in column.chunks:
        for start in range(0, len(chunk), _AT_ONCE):
            piece = _packed(chunk.slice(start, _AT_ONCE))
            if piece is None:
                return column
            pieces.append(piece)
    # copied: of many pieces that are not Arrow's own memory the place is not given back
    return pa.chunked_array([pa.concat_arrays(pieces)] if pieces else [], _SHA256)


def unpack(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The opposite of `pack`."""
    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([unpack(chunk) for chunk in column.chunks], pa.string())
    if not pa.types.is_fixed_size_binary(column.type):
        return column
    start = 32 * column.offset
    digits = column.buffers()[1][start : start + 32 * len(column)].to_pybytes().hex().encode()
    offsets = np.arange(0, len(digits) + 1, _DIGITS, dtype=np.int64 if len(digits) >= 2**31 else np.int32)
    kind = pa.large_string() if offsets.dtype == np.int64 else pa.string()
    return pa.Array.from_buffers(kind, len(column), [None, pa.py_buffer(offsets), pa.py_buffer(digits)])


def _joined(pieces: list[pa.ChunkedArray]) -> pa.Array:
    """The pieces as one array; a single piece is not copied."""
    chunks = [chunk for piece in pieces for chunk in piece.chunks]
    return one_piece(pa.chunked_array(chunks, pieces[0].type).unify_dictionaries())


def keys(column: pa.Array) -> npt.NDArray[np.uint64]:
    """(n,) numbers, the same for the same hash and next to always different for different ones."""
    if not pa.types.is_fixed_size_binary(column.type):
        return _hashes(column)
    data = np.frombuffer(column.buffers()[1], np.uint8)[32 * column.offset : 32 * (column.offset + len(column))]
    return np.ascontiguousarray(data.reshape(-1, 32)[:, :8]).view(np.uint64).reshape(-1)


def _packed(text: pa.Array) -> pa.Array | None:
    if text.null_count or not len(text):
        return None if len(text) else pa.array([], _SHA256)
    offsets = np.frombuffer(text.buffers()[1], np.int32)[text.offset : text.offset + len(text) + 1]
    if not (np.diff(offsets) == _DIGITS).all():
        return None
    digits = text.buffers()[2][int(offsets[0]) : int(offsets[-1])].to_pybytes()
    try:
        found = binascii.unhexlify(digits)
    except binascii.Error:
        return None
    if found.hex().encode() != digits:
        return None
    return pa.Array.from_buffers(_SHA256, len(text), [None, pa.py_buffer(found)])


def narrowed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text, and names as numbers, in the types that are used here: data frames have wider ones."""
    kind = column.type
    wide = kind.value_type if pa.types.is_dictionary(kind) else kind
    return column.cast(pa.string()) if pa.types.is_large_string(wide) else column


def _with(table: pa.Table, name: str, column: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)


class IdTable:
    """Where each of many different ids stands: 12 bytes an id beside the ids themselves, found by their 64-bit hashes
    and compared in full."""

    def __init__(self, ids: pa.Array) -> None:
        self.ids = ids
        hashes = _hashes(ids)
        self._order = np.argsort(hashes, kind="stable").astype(np.int32)
        self._hashes = hashes[self._order]

    def places(self, wanted: pa.Array) -> Places:
        """(n,) the place of each of the wanted ids, -1 where there is none."""
        hashes = _hashes(wanted)
        at = np.searchsorted(self._hashes, hashes)
        found = np.full(len(wanted), -1, dtype=np.int64)
        left = np.arange(len(wanted))
        while len(left := left[at[left] < len(self._hashes)]):
            left = left[self._hashes[at[left]] == hashes[left]]
            rows = self._order[at[left]]
            same = pc.equal(self.ids.take(pa.array(rows)), wanted.take(pa.array(left))).to_numpy(zero_copy_only=False)
            found[left[same]] = rows[same]
            left = left[~same]  # another id of the same hash
            at[left] += 1
        return found

    def repeated(self) -> str | None:
        """An id that occurs twice, None where all differ."""
        twice = self._hashes[1:] == self._hashes[:-1]
        seen: set[str] = set()
        for row in np.sort(self._order[np.append(twice, False) | np.insert(twice, 0, False)]).tolist():
            name = str(self.ids[row].as_py())
            if name in seen:
                return name
            seen.add(name)
        return None


def _hashes(ids: pa.Array) -> npt.NDArray[np.uint64]:
    from pandas.util import hash_array

    found = np.empty(len(ids), dtype=np.uint64)
    for start in range(0, len(ids), _AT_ONCE):
        some = ids.slice(start, _AT_ONCE).to_numpy(zero_copy_only=False)
        found[start : start + len(some)] = hash_array(some, categorize=False)
    return found
