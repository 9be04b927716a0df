"""The Parquet files of an image set: their schema, and writing them so that nothing half-written is ever seen."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from iarbench.errors import UserError
from iarbench.files import scratch_folder, write_atomically

if TYPE_CHECKING:
    from iarbench.images.record import ImageRecord

ROW_GROUP = 50
"""Rows that are read together: what random access to one image costs at most."""
_ROW_GROUP_BYTES = 64 * 2**20

SCHEMA_VERSION = 3
"""Of the columns: 1 had no licence, author and page, and no version in its metadata; 2 had none of `MADE`."""

_TEXT = ("image_id", "sha256", "source", "split", "group", "condition")
NEEDED = ("image_id", "sha256", "source", "split", "group")
"""Columns that may not be null or empty: without them an image has no place in a comparison."""
_ORIGIN = ("licence", "author", "page")
MADE = ("source_sha256", "treatment")
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FIELDS: list[tuple[str, pa.DataType]] = [
    ("image", _IMAGE),
    *((name, pa.string()) for name in _TEXT),
    ("seed", pa.int64()),
    ("tokens", pa.list_(pa.int64())),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("format", pa.string()),
    *((name, pa.string()) for name in (*_ORIGIN, *MADE)),
]
COLUMNS = [name for name, _ in FIELDS]
REQUIRED = [name for name in COLUMNS if name not in (*_ORIGIN, *MADE)]
"""The columns of version 1, by which an image set is known; those that came later are null where they are missing."""

_VERSION_KEY = b"iarbench_schema_version"


def schema() -> pa.Schema:
    """The schema, with the metadata by which Hugging Face `datasets` decodes `image` as an Image."""

    def feature(kind: pa.DataType) -> dict[str, Any]:
        if kind == _IMAGE:
            return {"_type": "Image"}
        if pa.types.is_list(kind):
            # The older spelling of a list: `datasets` 3 knows only this one, later releases read both.
            return {"_type": "Sequence", "feature": feature(kind.value_type)}
        return {"_type": "Value", "dtype": str(kind)}

    features = {name: feature(kind) for name, kind in FIELDS}
    described = json.dumps({"info": {"features": features}})
    return pa.schema(FIELDS, metadata={"huggingface": described, _VERSION_KEY: str(SCHEMA_VERSION)})


def schema_version(found: pa.Schema) -> int | None:
    """The version that a file of an image set states, None if it is no number; 1 where it states none, since `datasets`
    keeps no metadata but its own.
    """
    stated = (found.metadata or {}).get(_VERSION_KEY, b"1")
    return int(stated) if stated.isdigit() else None


def write_shards(records: Iterable[ImageRecord], out: Path, shard_rows: int) -> None:
    """Write the records, in their order, to `out`/part-00000.parquet and so on, in memory that does not grow.

    Everything goes to a temporary folder beside `out`, is synced, and takes its name in one rename.

    Raises:
        UserError: `out` already holds something, an image id occurs twice, a column that may not be empty is, or there
            is not one record.
    """
    require_free(out)
    try:
        with scratch_folder(out) as temporary:
            if not _write_all(records, temporary, shard_rows):
                raise UserError(f"{out}: there are no images to write")
            _sync(temporary)
            os.replace(temporary, out)
            _sync(out.parent)
    except OSError as error:
        raise UserError(f"{out}: cannot write the image set ({error.strerror or error})") from error


def write_shard(records: Iterable[ImageRecord], path: Path) -> int:
    """Write the records, in their order, as one file of an image set, all or nothing; how many there are.

    Raises:
        UserError: an image id occurs twice, or a column that may not be empty is.
    """
    rows = 0

    def write(file: IO[bytes]) -> None:
        nonlocal rows
        with _writer(file) as writer:
            for group in _row_groups(_sound(records), ROW_GROUP):
                writer.write_table(_table(group))
                rows += len(group)

    write_atomically(path, write)
    return rows


def require_free(out: Path) -> None:
    """Raise UserError when `out` already holds something."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"{out}: already exists, and an image set is never changed; choose another folder or delete it")


def _write_all(records: Iterable[ImageRecord], folder: Path, shard_rows: int) -> int:
    writer: pq.ParquetWriter | None = None
    shards = rows = 0
    try:
        for group in _row_groups(_sound(records), shard_rows):
            if writer is None:
                path = folder / f"part-{shards:05}.parquet"
                writer = _writer(path)
                shards += 1
            writer.write_table(_table(group))
            rows += len(group)
            if rows % shard_rows == 0:
                _close(writer, path)
                writer = None
    finally:
        if writer is not None:
            _close(writer, path)
    return rows


def _writer(file: Path | IO[bytes]) -> pq.ParquetWriter:
    # Images are compressed already, and statistics of them would be copies of whole files.
    repeated = [*_TEXT, *_ORIGIN, "treatment"]
    return pq.ParquetWriter(file, schema(), use_dictionary=repeated, write_statistics=list(_TEXT))


def _sound(records: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
    seen: set[str] = set()
    for record in records:
        for column in NEEDED:
            if not getattr(record, column):
                raise UserError(f"image {record.image_id!r} has no {column}; it may not be empty")
        if record.image_id in seen:
            raise UserError(f"image id {record.image_id!r} occurs twice; ids must be unique within an image set")
        seen.add(record.image_id)
        yield record


def _row_groups(records: Iterable[ImageRecord], shard_rows: int) -> Iterator[list[ImageRecord]]:
    group: list[ImageRecord] = []
    size = 0
    for count, record in enumerate(records, start=1):
        group.append(record)
        size += len(record.bytes)
        if len(group) == ROW_GROUP or size >= _ROW_GROUP_BYTES or count % shard_rows == 0:
            yield group
            group, size = [], 0
    if group:
        yield group


def _table(records: list[ImageRecord]) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [getattr(record, name) for record in records] for name in COLUMNS[1:]}
    columns["image"] = [{"bytes": record.bytes, "path": record.path} for record in records]
    return pa.Table.from_pydict(columns, schema=schema())


def _close(writer: pq.ParquetWriter, path: Path) -> None:
    writer.close()
    _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
