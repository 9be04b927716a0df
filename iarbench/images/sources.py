"""Real images from a folder or from Parquet into image records, with a line for everything that could not be used."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from iarbench.errors import UserError
from iarbench.images.decode import ImageError, decode, one_line
from iarbench.images.preprocess import Preprocess
from iarbench.images.record import ImageRecord

EXTENSIONS = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".tga", ".ico", ".qoi", ".avif", ".heic", ".heif"),
    )
)
"""Lower case; files with another extension are not opened but named, files without one are tried."""

MAX_FILE_BYTES = 512 * 2**20


@dataclass
class ImportReport:
    """What an import did: complete once its records have been consumed."""

    imported: int = 0
    """Number of records."""
    skipped: list[str] = field(default_factory=list)
    """A line "path: reason" for each file or row that gave no record."""
    notes: list[str] = field(default_factory=list)
    """A line for each record of which something was left out, such as the later frames of an animation."""

    def skip(self, name: str, reason: str) -> None:
        """Add a line to `skipped`."""
        self.skipped.append(f"{one_line(name)}: {one_line(reason)}")


class Raw(NamedTuple):
    """An image as a source has it, not yet decoded."""

    name: str
    """For messages: the path, or the file and row."""
    data: bytes
    image_id: str
    group: str | None = None
    condition: str = ""
    path: str | None = None


def import_folder(
    path: Path | str, *, source: str, report: ImportReport, split: str = "test", preprocess: Preprocess | None = None
) -> Iterator[ImageRecord]:
    """All images below a folder, sorted by id; the id is the path relative to the folder, with "/" and in Unicode NFC.

    Links to files and folders are followed, except to a folder that is read already. Nothing is left out without a
    line in `report`: files with other extensions, broken links, unreadable or damaged files.

    Args:
        path: the folder.
        source: the name of the set, for the `source` column.
        report: is filled while the records are consumed.
        split: for the `split` column.
        preprocess: treatment of every image; None keeps the original bytes.

    Raises:
        UserError: `path` is not a folder.
    """
    root = Path(path)
    if not root.is_dir():
        raise UserError(f"{root}: there is no such folder")
    return make_records(_folder_images(root, report), source, report, split, preprocess)


def import_parquet(
    path: Path | str,
    *,
    source: str,
    report: ImportReport,
    split: str = "test",
    preprocess: Preprocess | None = None,
    image_column: str = "image",
    id_column: str | None = None,
    group_column: str | None = None,
    condition_column: str | None = None,
) -> Iterator[ImageRecord]:
    """All images of a Parquet file, or of the Parquet files of a folder in the order of their names.

    Args:
        path: the file or folder.
        source: the name of the set, for the `source` column.
        report: is filled while the records are consumed.
        split: for the `split` column.
        preprocess: treatment of every image; None keeps the original bytes.
        image_column: Hugging Face images (`struct{bytes, path}`) or plain binary.
        id_column: becomes the image id; by default "<file stem>/<row in the file, six digits>".
        group_column: what is one unit in statistics, such as the photograph of a crop; by default the image.
        condition_column: class or prompt.

    Raises:
        UserError: no Parquet file there, or a column that the first file lacks.
    """
    root = Path(path)
    files = [root] if root.is_file() else sorted(root.glob("*.parquet"))
    if not files:
        raise UserError(f"{root}: no Parquet file here; give a .parquet file or a folder that holds some")
    columns = {"image": image_column, "id": id_column, "group": group_column, "condition": condition_column}
    wanted = {role: column for role, column in columns.items() if column is not None}
    schemas = [names for file in files if (names := _column_names(file)) is not None]
    if not schemas:
        raise UserError(f"{root}: cannot be read as Parquet")
    _require_columns(root, schemas[0], wanted)
    raw = (item for file in files for item in _parquet_images(file, wanted, report))
    return make_records(raw, source, report, split, preprocess)


def make_records(
    raw: Iterable[Raw], source: str, report: ImportReport, split: str, preprocess: Preprocess | None
) -> Iterator[ImageRecord]:
    """Decode, treat and wrap images; what cannot be decoded and ids seen before go to the report."""
    seen: dict[str, str] = {}
    for item in raw:
        if item.image_id in seen:
            report.skip(item.name, f"its image id {item.image_id!r} is taken by {seen[item.image_id]}")
            continue
        try:
            decoded = decode(item.data, item.name)
        except ImageError as error:
            report.skipped.append(str(error))
            continue
        seen[item.image_id] = item.name
        if decoded.frames > 1:
            report.notes.append(f"{one_line(item.name)}: {decoded.frames} frames or pages, only the first is used")
        report.imported += 1
        yield ImageRecord.make(
            preprocess(decoded.image) if preprocess else item.data,
            decoded=None if preprocess else decoded,
            image_id=item.image_id,
            source=source,
            split=split,
            group=item.group,
            condition=item.condition,
            path=None if preprocess else item.path,
        )


def _folder_images(root: Path, report: ImportReport) -> Iterator[Raw]:
    for image_id, file in sorted(_walk(root, report)):
        try:
            if not file.is_file():
                report.skip(str(file), "broken link" if file.is_symlink() else "not a regular file")
            elif file.suffix and file.suffix.lower() not in EXTENSIONS:
                report.skip(str(file), f"not an image, by its extension {file.suffix}")
            elif file.stat().st_size > MAX_FILE_BYTES:
                report.skip(str(file), f"larger than {MAX_FILE_BYTES // 2**20} MiB")
            else:
                yield Raw(str(file), file.read_bytes(), image_id, path=image_id)
        except OSError as error:
            report.skip(str(file), f"cannot be read ({error.strerror or error})")


def _walk(root: Path, report: ImportReport) -> Iterator[tuple[str, Path]]:
    """(image id, path) of every file; each real folder is entered once, the ones below `root` by their own names."""
    inside = root.resolve()
    entered: set[Path] = set()

    def refuse(error: OSError) -> None:
        report.skip(str(error.filename), f"folder cannot be read ({error.strerror})")

    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        here = Path(folder)
        for name in sorted(folders):
            below = here / name
            real = below.resolve()
            if below.is_symlink() and (real in entered or real.is_relative_to(inside) or inside.is_relative_to(real)):
                report.skip(str(below), f"link to a folder that is read already ({real})")
                folders.remove(name)
            entered.add(real)
        folders.sort()
        yield from ((_relative_id(here / name, root), here / name) for name in files)


def _relative_id(file: Path, root: Path) -> str:
    # Names that are not valid UTF-8 arrive with surrogates, which no Parquet string can hold.
    text = os.fsencode(file.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", text)


def _column_names(file: Path) -> list[str] | None:
    try:
        return pq.read_schema(file).names
    except (OSError, pa.ArrowException):
        return None


def _require_columns(file: Path, names: list[str], wanted: dict[str, str]) -> None:
    for column in wanted.values():
        if column not in names:
            raise UserError(f"{file}: there is no column {column!r}; columns: {', '.join(names)}")


def _parquet_images(file: Path, wanted: dict[str, str], report: ImportReport) -> Iterator[Raw]:
    row = 0
    try:
        with pq.ParquetFile(file) as parquet:
            _require_columns(file, parquet.schema_arrow.names, wanted)
            for batch in parquet.iter_batches(batch_size=64, columns=list(dict.fromkeys(wanted.values()))):
                for values in batch.to_pylist():
                    raw = _parquet_row(file, row, {role: values[column] for role, column in wanted.items()}, report)
                    row += 1
                    if raw is not None:
                        yield raw
    except UserError as error:
        report.skipped.append(str(error))
    except (OSError, pa.ArrowException) as error:
        report.skip(str(file), f"cannot be read as Parquet from row {row} on ({' '.join(str(error).split())})")


def _parquet_row(file: Path, row: int, values: dict[str, Any], report: ImportReport) -> Raw | None:
    name = f"{file} row {row}"
    image = values["image"]
    data, path = (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
    if not isinstance(data, bytes):
        report.skip(name, f"holds no image bytes{f', only the path {path}' if path else ''}")
        return None
    image_id = f"{file.stem}/{row:06}" if values.get("id") is None else str(values["id"])
    group, condition = values.get("group"), values.get("condition")
    return Raw(
        name,
        data,
        image_id,
        group=None if group is None else str(group),
        condition="" if condition is None else str(condition),
        path=path or None,
    )
