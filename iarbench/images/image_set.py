"""ImageSet: images with their original bytes, in immutable Parquet shards."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from iarbench.errors import UserError
from iarbench.images.decode import ImageError, decode
from iarbench.images.record import ImageRecord
from iarbench.images.shards import COLUMNS, FIELDS, write_shards

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ImageRecord", "ImageSet"]

_HEAVY = ("image", "tokens")
_HASHED = ["image_id", "sha256", "source", "split", "group", "condition"]


class ImageSet:
    """An immutable set of images, or a view of a part of one; rows keep the order of the files.

    Only the small columns stay in memory; image bytes and tokens are read a row group at a time.
    """

    def __init__(self, files: Sequence[Path], table: pa.Table, where: np.ndarray, rows: np.ndarray) -> None:
        """For `open` and `filter`. `table`: small columns; `where`: (N, 3) file, row group, offset; `rows`: chosen."""
        self._files, self._table, self._where, self._rows = tuple(files), table, where, rows

    @classmethod
    def open(cls, path: Path | str) -> ImageSet:
        """Open a Parquet file or a folder of them.

        Raises:
            UserError: nothing there, not Parquet, or a column is missing.
        """
        path = Path(path)
        files = [path] if path.is_file() else sorted(path.glob("*.parquet"))
        if not files:
            raise UserError(f"{path}: no image set here; give a .parquet file or a folder that holds some")
        parts = [_open_file(file, number) for number, file in enumerate(files)]
        table = pa.concat_tables([part for part, _ in parts])
        return cls(files, table, np.concatenate([where for _, where in parts]), np.arange(table.num_rows))

    @classmethod
    def write(cls, records: Iterable[ImageRecord], out: Path | str, shard_rows: int = 1000) -> ImageSet:
        """Write records to the new folder `out`, streaming, and open it; see `iarbench.images.shards.write_shards`.

        Raises:
            UserError: `out` is taken, an id occurs twice, or there are no records.
        """
        write_shards(records, Path(out), shard_rows)
        return cls.open(out)

    def __len__(self) -> int:
        return len(self._rows)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the sorted row hashes, 64 hexadecimal digits; the order of the rows does not matter.

        A row's hash covers image_id, sha256, source, split, group and condition.
        """
        rows = zip(*(self._column(name) for name in _HASHED), strict=True)
        hashes = sorted(hashlib.sha256(json.dumps(row).encode()).hexdigest() for row in rows)
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    def index(self) -> pd.DataFrame:
        """All columns but the image bytes and the tokens, a row an image; `path` is that of the image."""
        import pandas as pd

        # A nullable integer column would turn into floats, which cannot hold every seed.
        return self._table.take(self._rows).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)

    def filter(self, **allowed: str | Collection[str] | None) -> ImageSet:
        """A view of the rows whose columns hold one of the allowed values: `filter(source="a", split=("x", "y"))`.

        Columns: image_id, sha256, source, split, group, condition; None allows everything.

        Raises:
            UserError: no such column.
        """
        keep = np.ones(len(self), dtype=bool)
        for column, values in allowed.items():
            if column not in _HASHED:
                raise UserError(f"cannot filter images by {column!r}; columns: {', '.join(_HASHED)}")
            if values is not None:
                wanted = {values} if isinstance(values, str) else set(values)
                keep &= np.fromiter((value in wanted for value in self._column(column)), dtype=bool, count=len(self))
        return ImageSet(self._files, self._table, self._where, self._rows[keep])

    def iterate(self, batch_size: int = 64) -> Iterator[list[ImageRecord]]:
        """All records in order, in lists of `batch_size` (the last may be shorter), one row group in memory."""
        batch: list[ImageRecord] = []
        for _, record in self._fetch(self._rows):
            batch.append(record)
            if len(batch) == batch_size:
                yield batch
                batch = []
        if batch:
            yield batch

    def read(self, image_ids: Sequence[str]) -> list[ImageRecord]:
        """The records with these ids, in this order.

        Raises:
            UserError: an id is not in this set or view.
        """
        missing = [image_id for image_id in image_ids if image_id not in self._row_of]
        if missing:
            raise UserError(f"no image {missing[0]!r} among the {len(self)} of this set ({len(missing)} ids missing)")
        rows = np.array([self._row_of[image_id] for image_id in image_ids], dtype=np.int64)
        found = dict(self._fetch(np.unique(rows)))
        return [found[row] for row in rows.tolist()]

    def verify(self) -> list[str]:
        """Read everything and compare: a line for each problem, none if the set is sound.

        Found: ids that occur twice, bytes that do not match their hash, images that do not decode or differ in size or
        format from their row, and files that cannot be read.
        """
        counts = Counter(self._column("image_id"))
        problems = [f"{image_id}: this id occurs {count} times" for image_id, count in counts.items() if count > 1]
        for file in np.unique(self._where[self._rows, 0]).tolist():
            try:
                for _, record in self._fetch(self._rows[self._where[self._rows, 0] == file]):
                    problems += _check(record)
            except (OSError, pa.ArrowException) as error:
                problems.append(f"{self._files[file]}: cannot be read ({' '.join(str(error).split())})")
        return problems

    def _column(self, name: str) -> list[Any]:
        return self._table.column(name).take(self._rows).to_pylist()

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return dict(zip(self._column("image_id"), self._rows.tolist(), strict=True))

    def _fetch(self, rows: np.ndarray) -> Iterator[tuple[int, ImageRecord]]:
        """(row, record) for rows in ascending order, opening each file and reading each row group once."""
        where = self._where[rows]
        for file in np.unique(where[:, 0]).tolist():
            with pq.ParquetFile(self._files[file]) as parquet:
                for group in np.unique(where[where[:, 0] == file, 1]).tolist():
                    chosen = rows[(where[:, 0] == file) & (where[:, 1] == group)]
                    table = parquet.read_row_group(group, columns=COLUMNS).take(self._where[chosen, 2])
                    yield from zip(chosen.tolist(), map(_record, table.to_pylist()), strict=True)


def _open_file(file: Path, number: int) -> tuple[pa.Table, np.ndarray]:
    small = [(name, kind) for name, kind in FIELDS if name not in _HEAVY]
    try:
        with pq.ParquetFile(file) as parquet:
            missing = [name for name in COLUMNS if name not in parquet.schema_arrow.names]
            if missing:
                raise UserError(f"{file}: not an image set, column {missing[0]!r} is missing; import it into one first")
            table = parquet.read(columns=["image.path", *(name for name, _ in small)])
            sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file}: cannot be read as Parquet ({' '.join(str(error).split())})") from error
    paths = pc.struct_field(table.column("image"), "path")
    light = table.select([name for name, _ in small]).cast(pa.schema(small)).append_column("path", paths)
    where = [(number, group, offset) for group, size in enumerate(sizes) for offset in range(size)]
    return light, np.array(where, dtype=np.int64).reshape(-1, 3)


def _record(row: dict[str, Any]) -> ImageRecord:
    image, tokens = row.pop("image"), row.pop("tokens")
    return ImageRecord(**image, **row, tokens=None if tokens is None else tuple(tokens))


def _check(record: ImageRecord) -> list[str]:
    problems = []
    if hashlib.sha256(record.bytes).hexdigest() != record.sha256:
        problems.append(f"{record.image_id}: the bytes do not match their sha256")
    try:
        image, container, _ = decode(record.bytes, record.image_id)
    except ImageError as error:
        return [*problems, str(error)]
    if (image.width, image.height, container) != (record.width, record.height, record.format):
        found, stated = f"{image.width}x{image.height} {container}", f"{record.width}x{record.height} {record.format}"
        problems.append(f"{record.image_id}: is {found}, its row says {stated}")
    return problems
