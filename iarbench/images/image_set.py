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

from iarbench.content import images_path
from iarbench.errors import UserError
from iarbench.images.audit import empty_cells, shared_files
from iarbench.images.compact import INDEX_COLUMNS, keys, one_piece
from iarbench.images.decode import ImageError, decode
from iarbench.images.listing import HASHED, Listing
from iarbench.images.reading import parquet_files, small_columns, to_records
from iarbench.images.record import ImageRecord
from iarbench.images.shards import COLUMNS, write_shards
from iarbench.progress import counted

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

__all__ = ["ImageRecord", "ImageSet"]

_AT_ONCE = 2**14
"""Rows whose cells are Python objects at a time."""
_COUNTED = 2**20
"""Rows whose sources and splits are text at a time."""

_REMEDY = "; changed or damaged after the set was made: import it again with `iarbench images import SET --out NEW`"


class ImageSet:
    """An immutable set of images, or a view of a part of one; rows keep the order of the files.

    About a hundred bytes per image stay in memory; image bytes and tokens are read a row group at a time, the other
    columns when they are asked for.
    """

    def __init__(self, whole: Listing, rows: np.ndarray) -> None:
        """For `open` and `filter`. `rows`: those of the whole set that are chosen, ascending."""
        self._whole, self._rows = whole, rows

    @classmethod
    def open(cls, path: Path | str, *, complete: bool = True, set_aside: list[str] | None = None) -> ImageSet:
        """Open a Parquet file, or all those in a folder and below it.

        Args:
            path: the file or folder; as text also the name of a packaged set, or hf:owner/name@revision.
            complete: refuse rows without an id, sha256, source, split or group; False is for finding them.
            set_aside: gets a line for each file that cannot be read, and the others are opened; without it the first
                one ends all.

        Raises:
            UserError: nothing there, not Parquet, not the columns of an image set, or cells that may not be empty.
        """
        path = images_path(path) if isinstance(path, str) else path
        files = parquet_files(path)
        if not files:
            raise UserError(f"{path}: no image set here; give a .parquet file or a folder that holds some")
        whole = Listing.read(path, files, complete=complete, set_aside=set_aside)
        return cls(whole, np.arange(len(whole.table)))

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
        return fingerprint_of(self._cells(HASHED))

    def index(self) -> pd.DataFrame:
        """All columns but the image bytes and the tokens, a row per image; `path` is that of the image."""
        import pandas as pd

        # A nullable integer column would turn into floats, which cannot hold every seed.
        return self.small_columns().to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)

    def small_columns(self) -> pa.Table:
        """The same as an Arrow table, empty cells as null."""
        return pa.concat_tables(list(self.small_tables())).combine_chunks()

    def small_tables(self) -> Iterator[pa.Table]:
        """The same a file at a time; one without rows where there are none."""
        if not len(self):
            yield small_columns(self._whole.files[0]).slice(0, 0)
        for number, rows in self._by_file(self._rows):
            table = small_columns(self._whole.files[number])
            yield table.take(pa.array(rows - self._whole.first_row(number)))

    def compact_columns(self) -> pa.Table:
        """Id, hash, source, split and group of every image, compact (`iarbench.images.compact`).

        Raises:
            UserError: the set was opened with cells that may not be empty.
        """
        if not self._whole.is_compact:
            raise UserError(f"{self._whole.place}: opened to look for what is wrong with it")
        table = self._whole.table.select(list(INDEX_COLUMNS))
        return table if len(self) == len(table) else table.take(pa.array(self._rows)).combine_chunks()

    def counts(self) -> dict[tuple[str, str], int]:
        """(source, split) -> how many images."""
        found: Counter[tuple[str, str]] = Counter()
        names = ["source", "split"]
        for start in range(0, len(self), _COUNTED):
            rows = self._rows[start : start + _COUNTED]
            table = pa.table({name: self._whole.column(name, rows) for name in names})
            for row in table.group_by(names).aggregate([([], "count_all")]).to_pylist():
                found[row["source"], row["split"]] += row["count_all"]
        return dict(sorted(found.items()))

    def filter(self, **allowed: str | Collection[str] | None) -> ImageSet:
        """A view of the rows whose columns hold one of the allowed values: `filter(source="a", split=("x", "y"))`.

        Columns: image_id, sha256, source, split, group, condition; None allows everything.

        Raises:
            UserError: no such column.
        """
        keep = np.ones(len(self), dtype=bool)
        for column, values in allowed.items():
            if column not in HASHED:
                raise UserError(f"cannot filter images by {column!r}; columns: {', '.join(HASHED)}")
            if values is not None:
                wanted = pa.array([values] if isinstance(values, str) else list(values), pa.string())
                found = pc.is_in(self._whole.column(column, self._rows), value_set=wanted)
                keep &= found.to_numpy(zero_copy_only=False)
        return ImageSet(self._whole, self._rows[keep])

    def slice(self, start: int, count: int) -> ImageSet:
        """A view of `count` rows from row `start` on; fewer where it ends before."""
        return ImageSet(self._whole, self._rows[start : start + count])

    def take(self, places: np.ndarray) -> ImageSet:
        """A view of the rows at these places (n,), ascending, of this one."""
        return ImageSet(self._whole, self._rows[places])

    def places(self, image_ids: Sequence[str]) -> np.ndarray:
        """(n,) the places of these ids in this set or view, -1 where it has no such id."""
        rows = self._whole.ids.places(pa.array(image_ids, pa.string()))
        places = np.searchsorted(self._rows, rows)
        places[places == len(self)] = -1
        return np.where((rows >= 0) & (places >= 0) & (self._rows[places] == rows), places, -1) if len(self) else places

    def cells(self, names: Sequence[str], image_ids: Sequence[str]) -> list[tuple[str, ...]]:
        """These columns of `HASHED` of the images with these ids, row by row in this order.

        Raises:
            UserError: an id is not in this set or view.
        """
        rows, where = np.unique(self._rows_of(image_ids), return_inverse=True)
        values = list(zip(*(self._whole.column(name, rows).to_pylist() for name in names), strict=True))
        return [values[place] for place in where.tolist()]

    def repeated(self) -> str | None:
        """An id that occurs twice, None where there is none."""
        return self._whole.ids.repeated()

    def iterate(self, batch_size: int = 64) -> Iterator[list[ImageRecord]]:
        """All records in order, in lists of `batch_size` (the last may be shorter), one row group in memory.

        Raises:
            UserError: the bytes of an image do not match its sha256.
        """
        batch: list[ImageRecord] = []
        for _, record in self._fetch(self._rows):
            self._require_unchanged(record)
            batch.append(record)
            if len(batch) == batch_size:
                yield batch
                batch = []
        if batch:
            yield batch

    def read(self, image_ids: Sequence[str]) -> list[ImageRecord]:
        """The records with these ids, in this order.

        Raises:
            UserError: an id is not in this set or view, or the bytes of an image do not match its sha256.
        """
        rows = self._rows_of(image_ids)
        found = dict(self._fetch(np.unique(rows)))
        for record in found.values():
            self._require_unchanged(record)
        return [found[row] for row in rows.tolist()]

    def require_unchanged(self) -> None:
        """Hash the bytes of every image that this set or another view of it has not hashed: what was found out about a
        sha256 holds for these bytes only if they match.

        Raises:
            UserError: some do not, or a file cannot be read.
        """
        changed = [self._whole.table.column("image_id")[row].as_py() for row in self._changed_rows()]
        if changed:
            raise UserError(
                f"{self._whole.place}: the bytes of {len(changed)} of {len(self)} images do not match their sha256 "
                f"(the first: {changed[0]}){_REMEDY}"
            )

    def shared_files(self) -> list[str]:
        """A line for each two parts (source/split) that hold the same files; see `iarbench.images.audit`."""
        hashes = keys(one_piece(self._whole.table.column("sha256")))[self._rows]
        ordered = np.sort(hashes)
        twice = np.isin(hashes, ordered[1:][ordered[1:] == ordered[:-1]])
        again = ImageSet(self._whole, self._rows[twice])
        return shared_files(*(again._column(name) for name in ("image_id", "sha256", "source", "split")))

    def verify(self) -> list[str]:
        """Read everything and compare: a line for each problem, none if the set is sound.

        Found: cells that may not be empty, ids that occur twice, the same file in two splits or sources, bytes that do
        not match their hash, images that do not decode or differ in size or format from their row, and files that
        cannot be read.
        """
        problems = empty_cells(pa.table({name: self._whole.column(name, self._rows) for name in HASHED}))
        counts = Counter(image_id for image_id in self._column("image_id") if image_id)
        problems += [f"{image_id}: this id occurs {count} times" for image_id, count in counts.items() if count > 1]
        problems += self.shared_files()
        for found in counted(self.unchecked(), "checking images", len(self)):
            problems += [str(found)] if isinstance(found, UserError) else check_record(found)[0]
        return problems

    def unchecked(self) -> Iterator[ImageRecord | UserError]:
        """All records in order as they lie there, to find out what is wrong with them; for the rest of a file that
        cannot be read, what its reading raised.
        """
        for _, rows in self._by_file(self._rows):
            try:
                for _, record in self._fetch(rows):
                    yield record
            except UserError as error:
                yield error

    def _require_unchanged(self, record: ImageRecord) -> None:
        if not _matches(record):
            raise UserError(
                f"{self._whole.place}: the bytes of image {record.image_id} do not match its sha256{_REMEDY}"
            )

    def _rows_of(self, image_ids: Sequence[str]) -> np.ndarray:
        places = self.places(image_ids)
        if len(missing := np.flatnonzero(places < 0)):
            raise UserError(
                f"no image {image_ids[missing[0]]!r} among the {len(self)} of this set ({len(missing)} ids missing)"
            )
        return np.asarray(self._rows[places])

    def _column(self, name: str) -> list[Any]:
        return list(self._whole.column(name, self._rows).to_pylist())

    def _cells(self, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """These columns row by row, some thousand rows in memory at a time."""
        for start in range(0, len(self), _AT_ONCE):
            some = self.slice(start, _AT_ONCE)
            yield from zip(*(some._column(name) for name in names), strict=True)

    def _by_file(self, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """The rows, in ascending order, by the number of their file."""
        return self._whole.by_file(rows)

    def _fetch(self, rows: np.ndarray) -> Iterator[tuple[int, ImageRecord]]:
        """(row, record) for rows in ascending order, opening each file and reading each row group once."""
        for chosen, table in self._row_groups(rows, COLUMNS):
            yield from zip(chosen.tolist(), to_records(table), strict=True)

    def _row_groups(self, rows: np.ndarray, columns: Sequence[str]) -> Iterator[tuple[np.ndarray, pa.Table]]:
        """The rows, in ascending order, by row group, with those of the columns that their file has."""
        for number, mine in self._by_file(rows):
            file = self._whole.files[number]
            try:
                with pq.ParquetFile(file) as parquet:
                    known = [name for name in columns if name.partition(".")[0] in parquet.schema_arrow.names]
                    for group, chosen, offsets in self._whole.by_group(number, mine):
                        table = parquet.read_row_group(group, columns=known)
                        yield chosen, table if len(chosen) == table.num_rows else table.take(pa.array(offsets))
            except (OSError, pa.ArrowException) as error:
                raise UserError(f"{file}: cannot be read ({' '.join(str(error).split())})") from error

    def _changed_rows(self) -> list[int]:
        hashed = self._whole.hashed
        todo = self._rows[~hashed[self._rows]]
        for row, same in counted(self._compared(todo), "checking images", len(todo)):
            hashed[row] = same
        return todo[~hashed[todo]].tolist()  # type: ignore[no-any-return]

    def _compared(self, rows: np.ndarray) -> Iterator[tuple[int, bool]]:
        """Each of the rows, and whether its bytes match their hash."""
        for chosen, table in self._row_groups(rows, ["image.bytes", "sha256"]):
            files = pc.struct_field(table.column("image"), "bytes")
            for row, file, sha256 in zip(chosen.tolist(), files, table.column("sha256").to_pylist(), strict=True):
                yield row, hashlib.sha256(file.as_buffer() or b"").hexdigest() == sha256


def fingerprint_of(rows: Iterable[Sequence[Any]]) -> str:
    """The fingerprint of an image set with these values of `HASHED`, row by row."""
    found = bytearray()
    for row in rows:
        found += hashlib.sha256(json.dumps(row).encode()).digest()
    hashes = np.array([], dtype="S32") if not found else np.frombuffer(found, dtype="S32")
    hashes.sort()  # in place: as Python objects ten million would take a gigabyte
    whole = hashlib.sha256()
    for start in range(0, len(hashes), 2**14):
        lines = hashes[start : start + 2**14].tobytes().hex("\n", 32)
        whole.update(("\n" if start else "").encode() + lines.encode())
    return whole.hexdigest()


def _matches(record: ImageRecord) -> bool:
    return hashlib.sha256(record.bytes).hexdigest() == record.sha256


def check_record(record: ImageRecord) -> tuple[list[str], Image.Image | None]:
    """A line for each problem of a record, and its picture, 8-bit RGB and upright; None if it does not decode."""
    problems = []
    if not _matches(record):
        problems.append(f"{record.image_id}: the bytes do not match their sha256")
    try:
        image, container, _ = decode(record.bytes, record.image_id or "image without an id")
    except ImageError as error:
        return [*problems, str(error)], None
    if (image.width, image.height, container) != (record.width, record.height, record.format):
        found, stated = f"{image.width}x{image.height} {container}", f"{record.width}x{record.height} {record.format}"
        problems.append(f"{record.image_id}: is {found}, its row says {stated}")
    return problems, image
