"""Images to be judged, wherever they lie: listed a few hundred at a time, so that millions need no memory.

A `Batch` is small and says where its images are; whoever has it reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from iarbench.content import images_path
from iarbench.errors import UserError
from iarbench.images.columns import Columns, Wanted, choose, features_of
from iarbench.images.folder_source import EXTENSIONS
from iarbench.images.importing import ImportReport
from iarbench.images.reading import parquet_files
from iarbench.images.walk import walk

AT_ONCE = 256
"""Images of a batch; more where a row group of a Parquet file holds more."""

Say = Callable[[str], None]


class Found(NamedTuple):
    """One image: what it is called, and its file's bytes; None and the reason where it cannot be read."""

    name: str
    data: bytes | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Either picture files, or row groups of a Parquet file."""

    count: int
    files: tuple[str, ...] = ()
    parquet: str = ""
    groups: tuple[int, ...] = ()
    first: int = 0
    """the number of its first row in the file"""

    def dump(self) -> str:
        """As a line; `load_batch` reads it."""
        return json.dumps(asdict(self))

    def read(self) -> Iterator[Found]:
        """The images, one at a time. Raises UserError when the Parquet file cannot be read."""
        yield from (_read_file(name) for name in self.files)
        if self.parquet:
            yield from _read_rows(self)


def load_batch(line: str) -> Batch:
    """The batch of a line."""
    told = json.loads(line)
    return Batch(**{**told, "files": tuple(told["files"]), "groups": tuple(told["groups"])})


def batches(named: Iterable[str], problem: Say) -> Iterator[Batch]:
    """All images that are named: picture files, folders of them, Parquet files, folders that hold some, and
    hf:owner/name@revision. `problem`: is told what cannot be read; the rest goes on.
    """
    for name in named:
        try:
            path = images_path(name) if name.startswith("hf:") else Path(name)
            if not path.exists():
                raise UserError(f"{name}: cannot be read (No such file or directory)")
            files = parquet_files(path) if path.is_dir() or path.suffix == ".parquet" else []
            found = _of_parquet(files, problem) if files else _of_pictures(path, problem)
            if (first := next(found, None)) is None:
                raise UserError(f"{name}: there is no image here")
            yield first
            yield from found
        except UserError as error:
            problem(str(error))


def _of_pictures(path: Path, problem: Say) -> Iterator[Batch]:
    names = _below(path, problem) if path.is_dir() else iter([str(path)])
    while some := tuple(islice(names, AT_ONCE)):
        yield Batch(len(some), files=some)


def _below(folder: Path, problem: Say) -> Iterator[str]:
    """The pictures of a folder and below it, by extension, those of each folder in the order of their names."""
    report = ImportReport()
    for _, inside in groupby((path for _, path in walk(folder, report)), key=lambda path: path.parent):
        for path in sorted(inside):
            if path.suffix.lower() in EXTENSIONS and not path.name.startswith("."):
                yield str(path)
    for what in report.skipped:
        problem(str(what))


def _of_parquet(files: Iterable[Path], problem: Say) -> Iterator[Batch]:
    for file in files:
        try:
            with pq.ParquetFile(file) as parquet:
                _columns(file, parquet)
                sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
        except (UserError, OSError, pa.ArrowException) as error:
            problem(_refusal(file, error))
            continue
        groups: list[int] = []
        first = count = 0
        for group, size in enumerate(sizes):
            groups.append(group)
            count += size
            if count >= AT_ONCE or group == len(sizes) - 1:
                yield Batch(count, parquet=str(file), groups=tuple(groups), first=first)
                first, count, groups = first + count, 0, []


def _columns(file: Path, parquet: pq.ParquetFile) -> Columns:
    return choose(str(file), features_of(parquet.schema_arrow), Wanted())


def _read_file(name: str) -> Found:
    try:
        return Found(name, Path(name).read_bytes())
    except OSError as error:
        return Found(name, None, f"cannot be read ({error.strerror})")


def _read_rows(batch: Batch) -> Iterator[Found]:
    file = Path(batch.parquet)
    try:
        with pq.ParquetFile(file) as parquet:
            columns = _columns(file, parquet)
            names = [columns.image, *([columns.id] if columns.id else [])]
            row = batch.first
            for table in parquet.iter_batches(64, row_groups=list(batch.groups), columns=names):
                for values in table.to_pylist():
                    called = str(values[columns.id]) if columns.id else f"{file.stem}/{row:06}"
                    image = values[columns.image]
                    data = image.get("bytes") if isinstance(image, dict) else image
                    is_image = isinstance(data, bytes)
                    yield Found(called, data if is_image else None, "" if is_image else "holds no image bytes")
                    row += 1
    except (OSError, pa.ArrowException) as error:
        raise UserError(_refusal(file, error)) from None


def _refusal(file: Path, error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"{file}: cannot be read ({' '.join(str(error).split())})"
