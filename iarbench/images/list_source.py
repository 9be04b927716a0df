"""Lists of images that are published as addresses or names, with the files that somebody has downloaded."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.parquet as pq

from iarbench.errors import UserError
from iarbench.images.columns import LABELS, ORIGIN
from iarbench.images.folder_source import EXTENSIONS
from iarbench.images.importing import FoundImage, ImportReport
from iarbench.images.places import Places
from iarbench.images.sidecars import Sidecars
from iarbench.images.walk import walk

URLS = ("url", "URL", "TIFF", "NEF")
NAMES = ("key", "id", "file_name", "File", "name")
CAPTIONS = (*LABELS, "llava_caption", "cogvlm_caption", "alt_txt", "Keywords")
_LAION_POP = "https://huggingface.co/datasets/laion/laion-pop"
_RAISE = "http://loki.disi.unitn.it/RAISE/download.html"


def import_list(
    path: str | None,
    report: ImportReport,
    *,
    files: str | None = None,
    url_column: str | None = None,
    id_column: str | None = None,
    label_column: str | None = None,
) -> Places:
    """The images of a list (CSV, Parquet, or a text file of addresses) as far as they are in the folder --files.

    A listed image is the file that img2dataset has downloaded from its address; else the file with its name, with or
    without the suffix; else, where the list has no names, that with the last part of its address. What is not there,
    or could be two files, is named in the report, and the rest goes on. Ids are the names, or the row where there are
    none ("000123"); pages are the addresses.

    Args:
        path: the list.
        report: is filled while the images are consumed.
        files: the folder with the downloaded files.
        url_column, id_column, label_column: addresses, names, and class or caption; by default the first that is there
            of `URLS`, `NAMES` and `CAPTIONS`.

    Raises:
        UserError: no list, no folder, or neither addresses nor names in the list.
    """
    if path is None:
        raise UserError("list: which one? Write list:FILE, a CSV, Parquet or text file, and --files FOLDER")
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{file}: there is no such file; give the list of images as CSV, Parquet or text")
    if files is None:
        raise UserError(f"{file}: lists images and holds none; say with --files where the downloaded ones are")
    root = Path(files)
    if not root.is_dir():
        raise UserError(f"--files {root}: there is no such folder")
    columns = _choose(file, url_column, id_column, label_column)
    return _Listed(file, columns, _Downloaded(root, report), report)


def import_laion_pop(
    path: str | None, report: ImportReport, *, files: str | None = None, label_column: str | None = None
) -> Places:
    """LAION-POP: its list (Parquet, from laion/laion-pop on the Hub) and the files that img2dataset downloaded."""
    if path is None:
        raise UserError(
            f"laion-pop: write laion-pop:LIST --files FOLDER; the list is at {_LAION_POP} (accept its terms there), "
            "the images are downloaded by `img2dataset --url_list LIST --input_format parquet --output_folder FOLDER`"
        )
    return import_list(path, report, files=files, label_column=label_column)


def import_raise_1k(
    path: str | None, report: ImportReport, *, files: str | None = None, label_column: str | None = None
) -> Places:
    """RAISE-1k: its list (RAISE_1k.csv) and the TIFF files downloaded by the addresses in it."""
    if path is None:
        raise UserError(f"raise-1k: write raise-1k:RAISE_1k.csv --files FOLDER; list and images are at {_RAISE}")
    return import_list(path, report, files=files, label_column=label_column)


class _Chosen(NamedTuple):
    url: str | None
    name: str | None
    label: str | None
    origin: dict[str, str]


class _Downloaded:
    """The files of a folder, by the names and addresses that a list may know them by."""

    def __init__(self, root: Path, report: ImportReport) -> None:
        every = sorted(walk(root, report))
        about = Sidecars(every, report)
        self._by_url: dict[str, Path] = {}
        self._by_name: dict[str, list[Path]] = {}
        for inside, file in every:
            if file.suffix and file.suffix.lower() not in EXTENSIONS:
                continue
            if page := about.about(inside).page:
                self._by_url[page] = file
            for name in {inside, file.name, file.stem}:
                self._by_name.setdefault(name, []).append(file)

    def of_url(self, url: str) -> list[Path]:
        """What was downloaded from there."""
        return [self._by_url[url]] if url in self._by_url else []

    def called(self, name: str) -> list[Path]:
        """The files with that name, or else with that name but for the suffix."""
        return self._by_name.get(name) or self._by_name.get(Path(name).stem, [])


def _choose(file: Path, url: str | None, name: str | None, label: str | None) -> _Chosen:
    known = _header(file)
    for column in (url, name, label):
        if column is not None and column not in known:
            raise UserError(f"{file}: there is no column {column!r}; columns: {', '.join(known)}")

    def first(names: tuple[str, ...]) -> str | None:
        return next((one for one in names if one in known), None)

    origin = {role: found for role in ("licence", "author") if (found := first(ORIGIN[role]))}
    chosen = _Chosen(url or first(URLS), name or first(NAMES), label or first(CAPTIONS), origin)
    if chosen.url is None and chosen.name is None:
        raise UserError(
            f"{file}: neither addresses nor names in its columns ({', '.join(known)}); choose one with --url-column or "
            "--id-column"
        )
    return chosen


class _Listed(Places):
    """A place is a row of the list. It is read once to know which row has which file, and again for the images."""

    def __init__(self, file: Path, columns: _Chosen, downloaded: _Downloaded, report: ImportReport) -> None:
        self._file, self._columns, self._downloaded, self._report = file, columns, downloaded, report
        self._ahead: tuple[int, Iterator[dict[str, Any]]] | None = None
        """Where the last span ended, and the rows from there on: the next one mostly begins there or after it."""

    @cached_property
    def _first(self) -> tuple[dict[Path, int], int]:
        """Downloaded file -> the first row that has it; and the number of rows."""
        taken: dict[Path, int] = {}
        rows = 0
        for row, values in enumerate(_rows(self._file)):
            found = self._find(values)[2]
            if len(found) == 1:
                taken.setdefault(found[0], row)
            rows = row + 1
        return taken, rows

    def __len__(self) -> int:
        return self._first[1]

    def names(self) -> Iterator[str]:
        yield str(self._first[1])
        yield from (f"{row} {file.name}" for file, row in self._first[0].items())

    def span(self, start: int, stop: int) -> Iterator[FoundImage]:
        taken, _ = self._first
        ahead, self._ahead = self._ahead, None
        begin, rows = ahead if ahead is not None and ahead[0] <= start else (0, _rows(self._file))
        for row, values in enumerate(islice(rows, start - begin, stop - begin), start=start):
            where = f"{self._file} row {row}"
            url, name, found = self._find(values)
            if len(found) != 1:
                reason = "not among the downloaded files" if not found else "several files are called so"
                self._report.skip(where, f"{reason} ({url or name})")
            elif (first := taken[found[0]]) != row:
                self._report.skip(where, f"its file is another image's as well (row {first}: {found[0]})")
            elif (data := self._report.read(found[0])) is not None:
                yield self._image(where, row, url, name, values, found[0], data)
        self._ahead = stop, rows

    def _find(self, values: dict[str, Any]) -> tuple[str, str, list[Path]]:
        """Address and name in a row, "" where there is none, and the files that may be meant."""
        columns = self._columns
        url, name = (_text(values.get(column)) if column else "" for column in (columns.url, columns.name))
        called = name or ("" if columns.name else unquote(urlparse(url).path.rpartition("/")[2]))
        return url, name, self._downloaded.of_url(url) or (self._downloaded.called(called) if called else [])

    def _image(
        self, where: str, row: int, url: str, name: str, values: dict[str, Any], file: Path, data: bytes
    ) -> FoundImage:
        columns = self._columns
        return FoundImage(
            where,
            data,
            name or f"{row:06}",
            condition=_text(values.get(columns.label)) if columns.label else "",
            path=file.name,
            page=url or None,
            **{role: _text(values.get(column)) or None for role, column in columns.origin.items()},  # type: ignore[arg-type]
        )


def _header(file: Path) -> list[str]:
    try:
        if file.suffix.lower() == ".parquet":
            return list(pq.read_schema(file).names)
        if file.suffix.lower() == ".txt":
            return ["url"]
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return next(csv.reader(lines), [])
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise UserError(f"{file}: cannot be read as a list of images ({' '.join(str(error).split())})") from None


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """Row by row: a list may be long."""
    try:
        if file.suffix.lower() == ".parquet":
            with pq.ParquetFile(file) as parquet:
                for batch in parquet.iter_batches(batch_size=1024):
                    yield from batch.to_pylist()
            return
        with file.open(encoding="utf-8-sig", newline="") as lines:
            if file.suffix.lower() == ".txt":
                yield from ({"url": line.strip()} for line in lines if line.strip())
            else:
                yield from csv.DictReader(lines)
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise UserError(f"{file}: cannot be read as a list of images ({' '.join(str(error).split())})") from None


def _text(value: Any) -> str:
    return "" if value is None else str(value)
