"""Reading the Parquet files of an image set: what they must hold, and rows as records, in the types that we write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from iarbench.errors import UserError
from iarbench.images.importing import ImportReport
from iarbench.images.record import ImageRecord
from iarbench.images.shards import FIELDS, REQUIRED, SCHEMA_VERSION, schema_version
from iarbench.images.walk import walk

SMALL = (*(name for name, _ in FIELDS if name not in ("image", "tokens")), "path")
"""Columns that are no images and no tokens; `path` is that of the image."""


def parquet_files(path: Path) -> list[Path]:
    """The file itself, or the Parquet files in the folder and below it, by name, without hidden ones."""
    if path.is_file():
        return [path]
    found = (file for _, file in walk(path, ImportReport()) if file.suffix.lower() == ".parquet" and file.is_file())
    return sorted(file for file in found if not file.name.startswith("."))


class UnreadableError(UserError):
    """A file is damaged, or no Parquet at all."""


def row_groups(file: Path) -> list[int]:
    """The sizes of the row groups of a file of an image set.

    Raises:
        UnreadableError: not Parquet, or its end is damaged.
        UserError: not the columns of an image set, or a later version of them.
    """
    with _opened(file) as parquet:
        return [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]


def small_columns(file: Path, names: Sequence[str] = SMALL) -> pa.Table:
    """These of the small columns of a file, in the types that we write, with null for those that it is too old to have.

    Raises:
        UserError: as `row_groups`.
    """
    kinds = {**dict(FIELDS), "path": pa.string()}
    with _opened(file) as parquet:
        there = parquet.schema_arrow.names
        table = parquet.read(columns=["image.path" if name == "path" else name for name in names])
        columns = {}
        for name in names:
            if name == "path":
                columns[name] = pc.struct_field(table.column("image"), "path").cast(pa.string())
            elif name in there:
                columns[name] = table.column(name).cast(kinds[name])
            else:
                columns[name] = pa.nulls(parquet.metadata.num_rows, kinds[name])
    return pa.table(columns)


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(file) as parquet:
            _require_set(file, parquet.schema_arrow)
            yield parquet
    except (OSError, pa.ArrowException) as error:
        raise UnreadableError(f"{file}: cannot be read as an image set ({' '.join(str(error).split())})") from error


def _require_set(file: Path, found: pa.Schema) -> None:
    missing = [name for name in REQUIRED if name not in found.names]
    if missing:
        raise UserError(f"{file}: not an image set, column {missing[0]!r} is missing; import it into one first")
    image = found.field("image").type
    if not (pa.types.is_struct(image) and {"bytes", "path"} <= {image.field(i).name for i in range(image.num_fields)}):
        raise UserError(f"{file}: not an image set, its column 'image' holds {image}; import it into one first")
    tokens = found.field("tokens").type
    if not (pa.types.is_null(tokens) or (_is_list(tokens) and pa.types.is_integer(tokens.value_type))):
        raise UserError(f"{file}: not an image set, its column 'tokens' holds {tokens} in place of whole numbers")
    if (version := schema_version(found)) is None or version > SCHEMA_VERSION:
        stated = "a version that is no number" if version is None else f"version {version}"
        raise UserError(f"{file}: an image set of {stated}; this iarbench reads up to {SCHEMA_VERSION}, update it")


def to_records(table: pa.Table) -> Iterator[ImageRecord]:
    """The rows of an image set, with all its columns, as records."""
    return map(_record, _as_written(table).to_pylist())


def _as_written(table: pa.Table) -> pa.Table:
    """The table with the types that we write: others keep text as categories, or whole numbers in other widths."""
    kinds = dict(FIELDS)
    names = [name for name in table.column_names if name != "image"]
    columns = [table.column("image"), *(table.column(name).cast(kinds[name]) for name in names)]
    return pa.table(columns, names=["image", *names])


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _record(row: dict[str, Any]) -> ImageRecord:
    image, tokens = row.pop("image") or {}, row.pop("tokens")
    return ImageRecord(
        bytes=image.get("bytes") or b"",
        path=image.get("path") or "",
        tokens=None if tokens is None else tuple(tokens),
        **{**row, "condition": row["condition"] or ""},
    )
