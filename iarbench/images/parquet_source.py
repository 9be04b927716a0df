"""Parquet: Hugging Face images or plain bytes, one file or a folder of them; an iarbench image set stays one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from iarbench.errors import UserError
from iarbench.images.columns import Columns, Wanted, choose, features_of, read_row
from iarbench.images.folder_source import SPLITS
from iarbench.images.importing import FoundImage, ImportReport
from iarbench.images.reading import parquet_files


def import_parquet(
    path: Path | str | None,
    report: ImportReport,
    *,
    image_column: str | None = None,
    id_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
) -> Iterator[FoundImage]:
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
    readable: dict[Path, Columns] = {}
    problems: dict[Path, str] = {}
    for file in files:
        try:
            readable[file] = choose(str(file), features_of(pq.read_schema(file)), wanted)
        except UserError as error:
            problems[file] = str(error).removeprefix(f"{file}: ")
        except (OSError, pa.ArrowException) as error:
            problems[file] = f"cannot be read as Parquet ({' '.join(str(error).split())})"
    if not readable:
        file, problem = next(iter(problems.items()))
        raise UserError(f"{file}: {problem}")
    for file, problem in problems.items():
        report.skip(str(file), problem)
    return _rows(root, readable, report)


def _rows(root: Path, files: dict[Path, Columns], report: ImportReport) -> Iterator[FoundImage]:
    ids = frozenset(name for file, columns in files.items() if columns.is_set for name in _ids(file, columns))
    splits = {file: match[1] for file in files if (match := re.match(r"([a-z]+)-\d+-of-\d+$", file.stem))}
    known = len(splits) == len(files) and len(set(splits.values())) > 1 and SPLITS.issuperset(splits.values())
    for file, columns in files.items():
        stem = file.stem if file == root else file.relative_to(root).with_suffix("").as_posix()
        for found in _file(file, columns, stem, report):
            if columns.is_set:
                yield found._replace(group_is_id=found.group in ids)
            else:
                yield found._replace(split=splits[file]) if known else found


def _ids(file: Path, columns: Columns) -> list[str]:
    try:
        return [str(name) for name in pq.read_table(file, columns=[str(columns.id)]).column(0).to_pylist()]
    except (OSError, pa.ArrowException):
        return []  # told when the rows are read


def _file(file: Path, columns: Columns, stem: str, report: ImportReport) -> Iterator[FoundImage]:
    row = 0
    try:
        with pq.ParquetFile(file) as parquet:
            if not parquet.metadata.num_rows:
                report.skip(str(file), "holds no rows")
            for batch in parquet.iter_batches(batch_size=64, columns=columns.names()):
                for values in batch.to_pylist():
                    found = read_row(f"{file} row {row}", values, columns, f"{stem}/{row:06}", report)
                    row += 1
                    if found is not None:
                        yield found
    except (OSError, pa.ArrowException) as error:
        report.skip(str(file), f"cannot be read as Parquet from row {row} on ({' '.join(str(error).split())})")
