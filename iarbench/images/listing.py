"""What is kept in memory of all images of a set: where each lies, and the columns that say what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from iarbench.errors import UserError
from iarbench.images.audit import empty_cells
from iarbench.images.compact import IdTable, compact, groups, join, one_piece, unpack
from iarbench.images.reading import UnreadableError, row_groups, small_columns

HASHED = ["image_id", "sha256", "source", "split", "group", "condition"]
"""Columns that the fingerprint covers, and that stay in memory."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Listing:
    """`table`: the columns HASHED, a row per image in the order of the files; compact, or as they are (`is_compact`).
    `sizes`: file -> the sizes of its row groups. `hashed` (n,): whether an image's bytes are known to match.
    """

    files: tuple[Path, ...]
    table: pa.Table
    sizes: tuple[tuple[int, ...], ...]
    is_compact: bool
    hashed: npt.NDArray[np.bool_]

    @classmethod
    def read(cls, place: Path, files: Sequence[Path], *, complete: bool, set_aside: list[str] | None) -> Listing:
        """That of these files; arguments and errors as for `ImageSet.open`, `place` being what the user named."""
        opened: dict[Path, tuple[int, ...]] = {}
        tables = []
        for file in files:
            try:
                sizes, table = tuple(row_groups(file)), small_columns(file).select(HASHED)
            except UnreadableError as error:
                if set_aside is None:
                    raise
                set_aside.append(str(error))
                continue
            if complete and empty_cells(table):
                raise UserError(_empty(place, files))
            opened[file] = sizes
            tables.append(compact(table) if complete else table)
        if not opened:
            raise UserError(f"{place}: none of its {len(files)} files can be read; the first: {(set_aside or [''])[0]}")
        table = join(tables) if complete else pa.concat_tables(tables).combine_chunks()
        return cls(tuple(opened), table, tuple(opened.values()), complete, np.zeros(len(table), dtype=bool))

    @property
    def place(self) -> Path:
        """What messages call it."""
        return self.files[0].parent if len(self.files) > 1 else self.files[0]

    @cached_property
    def ids(self) -> IdTable:
        """Where each id stands."""
        return IdTable(one_piece(self.table.column("image_id")))

    @cached_property
    def _starts(self) -> Rows:
        """(files + 1,) the first row of each file."""
        return np.cumsum([0, *map(sum, self.sizes)])

    def first_row(self, file: int) -> int:
        """Of a file, by its number."""
        return int(self._starts[file])

    def column(self, name: str, rows: Rows) -> pa.Array | pa.ChunkedArray:
        """A column at some rows, as text."""
        some = self.table.select(["image_id", name] if name == "group" else [name])
        if len(rows) < len(some):
            some = some.take(pa.array(rows))
        if not self.is_compact:
            return some.column(name)
        if name == "group":
            return groups(some)
        return unpack(some.column(name)) if name == "sha256" else some.column(name).cast(pa.string())

    def by_file(self, rows: Rows) -> Iterator[tuple[int, Rows]]:
        """Rows, in ascending order, by the number of their file."""
        cuts = np.searchsorted(rows, self._starts)
        for number in np.flatnonzero(np.diff(cuts)).tolist():
            yield number, rows[cuts[number] : cuts[number + 1]]

    def by_group(self, file: int, rows: Rows) -> Iterator[tuple[int, Rows, Rows]]:
        """Rows of one file by the number of their row group, and their offsets in it."""
        starts = self.first_row(file) + np.cumsum([0, *self.sizes[file]])
        cuts = np.searchsorted(rows, starts)
        for number in np.flatnonzero(np.diff(cuts)).tolist():
            chosen = rows[cuts[number] : cuts[number + 1]]
            yield number, chosen, chosen - starts[number]


def _empty(place: Path, files: Sequence[Path]) -> str:
    lines = empty_cells(pa.concat_tables([small_columns(file, HASHED) for file in files]))
    remedy = "give them with `iarbench images import` (--source, --split, --group-column, --id-column)"
    return f"{place}: {'; '.join(lines)}; {remedy}"
