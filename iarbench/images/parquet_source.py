"""Parquet: Hugging Face images or plain bytes, one file or a folder of them; an iarbench image set stays one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from iarbench.errors import UserError
from iarbench.images.columns import Columns, Wanted, choose, features_of, read_row
from iarbench.images.folder_source import SPLITS
from iarbench.images.importing import FoundImage, ImportReport
from iarbench.images.places import Places
from iarbench.images.reading import parquet_files


def import_parquet(
    path: Path | str | None,
    report: ImportReport,
    *,
    image_column: str | None = None,
    id_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
) -> Places:
    """All images of a Parquet file, or of the Parquet files in a folder and below it, in the order of their names.

    An image set of iarbench keeps all its columns. Elsewhere the id is "<file without .parquet>/<row, six digits>", the
    group the image itself, and the condition as in `iarbench.images.columns.choose`. Shards called as Hugging Face
    does (test-00000-of-00001.parquet) with more than one split among them, all known to tasks, tell the split.

    Args:
        path: the file or folder.
        report: is filled while the images are consumed.
        image_column: images (`struct{bytes, path}`) or plain binary.
        id_column: becomes the image id.
        label_column: class or prompt, becomes the condition; class numbers become names where the file knows them.
        group_column: what is one unit in statistics, such as the photograph of a crop.

    Raises:
        UserError: no path, no Parquet file there, or a column that no file has.
    """
    if path is None:
        raise UserError("parquet: which file or folder? Write parquet:PATH")
    root = Path(path)
    if not root.exists():
        raise UserError(f"{root}: there is no such file or folder")
    files = parquet_files(root)
    if not files:
        raise UserError(f"{root}: no Parquet file here; give a .parquet file or a folder that holds some")
    wanted = Wanted(image_column, id_column, label_column, group_column)
    readable: list[_Table] = []
    problems: dict[Path, str] = {}
    for file in files:
        try:
            found = pq.read_metadata(file)
            columns = choose(str(file), features_of(found.schema.to_arrow_schema()), wanted)
            groups = [found.row_group(group).num_rows for group in range(found.num_row_groups)]
            stem = file.stem if file == root else file.relative_to(root).with_suffix("").as_posix()
            readable.append(_Table(file, columns, stem, groups))
        except UserError as error:
            problems[file] = str(error).removeprefix(f"{file}: ")
        except (OSError, pa.ArrowException) as error:
            problems[file] = f"cannot be read as Parquet ({' '.join(str(error).split())})"
    if not readable:
        file, problem = next(iter(problems.items()))
        raise UserError(f"{file}: {problem}")
    for file, problem in problems.items():
        report.skip(str(file), problem)
    return _Rows(readable, report)


class _Table(NamedTuple):
    """A file that can be opened."""

    file: Path
    columns: Columns
    stem: str
    """What its images are called after, where no column names them."""
    groups: list[int]
    """Rows of each row group."""


class _Rows(Places):
    """A place is a row."""

    def __init__(self, tables: Sequence[_Table], report: ImportReport) -> None:
        self._tables, self._report = tables, report
        names = [re.match(r"([a-z]+)-\d+-of-\d+$", table.file.stem) for table in tables]
        splits = [name[1] for name in names if name]
        tell = len(splits) == len(tables) and len(set(splits)) > 1 and SPLITS.issuperset(splits)
        self._splits = splits if tell else [None] * len(tables)

    @cached_property
    def _ids(self) -> frozenset[str]:
        """Of the images in those files that are image sets."""
        return frozenset(name for table in self._tables if table.columns.is_set for name in _ids(table))

    def __len__(self) -> int:
        return sum(sum(table.groups) for table in self._tables)

    def names(self) -> Iterator[str]:
        return (f"{table.stem} {table.file.stat().st_size} {table.groups}" for table in self._tables)

    def span(self, start: int, stop: int) -> Iterator[FoundImage]:
        first = 0
        for table, split in zip(self._tables, self._splits, strict=True):
            rows = sum(table.groups)
            if not rows and (start < first <= stop or first == start == 0):
                self._report.skip(str(table.file), "holds no rows")
            for found in self._some(table, max(0, start - first), min(rows, stop - first)):
                if not table.columns.is_set:
                    yield found._replace(split=split)
                else:
                    yield found._replace(group_is_id=found.group == found.image_id or found.group in self._ids)
            first += rows

    def _some(self, table: _Table, start: int, stop: int) -> Iterator[FoundImage]:
        """The rows of a file from `start` to before `stop`, as far as there are any. Of a row group that is damaged the
        rest is left out, and named by whoever reads the row where it begins.
        """
        if start >= stop:
            return
        row = end = 0
        try:
            with pq.ParquetFile(table.file) as parquet:
                for group, size in enumerate(table.groups):
                    row, end = end, end + size
                    if end <= start or row >= stop:
                        continue
                    try:
                        for batch in parquet.iter_batches(64, [group], table.columns.names()):
                            yield from self._read(table, batch, row, start, stop)
                            row += len(batch)
                            if row >= stop:
                                return
                    except (OSError, pa.ArrowException) as error:
                        if row >= start:
                            self._unreadable(table, row, end, error)
        except (OSError, pa.ArrowException) as error:
            self._unreadable(table, max(row, start), stop, error)

    def _read(self, table: _Table, batch: pa.RecordBatch, row: int, start: int, stop: int) -> Iterator[FoundImage]:
        """Of a batch that begins at `row`, the rows from `start` to before `stop`."""
        first = max(row, start)
        for number, values in enumerate(batch.slice(first - row, max(0, stop - first)).to_pylist(), start=first):
            name = f"{table.file} row {number}"
            found = read_row(name, values, table.columns, f"{table.stem}/{number:06}", self._report)
            if found is not None:
                yield found

    def _unreadable(self, table: _Table, row: int, end: int, error: Exception) -> None:
        reason = f"cannot be read as Parquet ({' '.join(str(error).split())})"
        self._report.skip(f"{table.file} rows {row} to {end - 1}", reason)


def _ids(table: _Table) -> list[str]:
    try:
        return [str(name) for name in pq.read_table(table.file, columns=[str(table.columns.id)]).column(0).to_pylist()]
    except (OSError, pa.ArrowException):
        return []  # told when the rows are read
