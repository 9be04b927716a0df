"""Image records from whatever a user names: a folder, Parquet, a packaged set, a named source, the Hub."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from iarbench.content import image_set_names, images_path
from iarbench.errors import UserError
from iarbench.hub import split_name
from iarbench.images.folder_source import EXTENSIONS
from iarbench.images.importing import FoundImage, ImportReport, Treatment, make_records
from iarbench.images.record import ImageRecord
from iarbench.images.sidecars import is_description
from iarbench.images.walk import walk
from iarbench.registry import SOURCES, did_you_mean
from iarbench.user_code import is_file_reference, one_line_errors, split_reference

_NEEDS_PATH = ("folder", "parquet", "hub", "list")
_PACKED = {
    ".tar": "unpack it first (WebDataset shards too)",
    ".gz": "unpack it first",
    ".tgz": "unpack it first",
    ".zip": "unpack it first",
    ".arrow": "write it as Parquet first, with `to_parquet` of datasets",
    ".h5": "write its images as files or as Parquet first",
    ".npz": "write its images as files or as Parquet first",
}


def open_source(
    src: str, treatment: Treatment, report: ImportReport, *, read_as: str | None = None, **options: Any
) -> Iterator[ImageRecord]:
    """The images of `src` as records; arguments and errors as in `find_images`.

    Args:
        treatment: what is done to all images alike.
    """
    found, name = find_images(src, report, read_as=read_as, **options)
    return make_records(found, name, treatment, report)


def find_images(
    src: str, report: ImportReport, *, read_as: str | None = None, **options: Any
) -> tuple[Iterable[FoundImage], str]:
    """The images of `src` as they are found, and the name of the set that they are.

    They are `iarbench.images.places.Places` where several processes can each read some.

    Args:
        src: the name of a packaged image set, a folder, a Parquet file, hf:owner/name@revision, or NAME or NAME:WHERE
            with a name of `iarbench ls sources` or a function in a file (mine.py:photos).
        report: is filled while the images are consumed.
        read_as: "folder" or "parquet", for a folder that holds both pictures and Parquet.
        options: what the source itself takes, such as `label_column`; None counts as not given.

    Raises:
        UserError: nothing under that name, or an option that this source does not take; also while images are read.
    """
    if not src:
        raise UserError("no source: give a folder, a Parquet file or a name of `iarbench ls sources`")
    kind, where = _locate(src, read_as)
    given = {name: value for name, value in options.items() if value is not None}
    source = SOURCES.get(kind)
    parameters = inspect.signature(source).parameters.values()
    taken = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    for name in given:
        if name not in taken:
            known = ", ".join(map(_flag, taken)) or "no options of its own"
            raise UserError(f"{src}: the source {kind!r} takes no {_flag(name)}; it takes {known}")
    found = source(where, report, **given) if SOURCES.is_builtin(kind) else _foreign(kind, source, where, report, given)
    return found, _name(src, kind, where)


def _foreign(
    kind: str, source: Callable[..., Any], where: str | None, report: ImportReport, given: dict[str, Any]
) -> Iterator[FoundImage]:
    """What a source of somebody else's gives, whose mistakes become one line."""
    owner = f"source {kind!r}"
    with one_line_errors(owner):
        images = iter(source(where, report, **given))
    while True:
        with one_line_errors(owner):
            try:
                found = next(images)
            except StopIteration:
                return
        if not isinstance(found, FoundImage):
            raise UserError(
                f"{owner}: gives {type(found).__name__}; a source yields iarbench.images.importing.FoundImage"
            )
        yield found


def _locate(src: str, read_as: str | None) -> tuple[str, str | None]:
    """The name of a source, and where it is to look."""
    if src in image_set_names() or src.startswith("hf:"):
        return "parquet", str(images_path(src))
    if is_file_reference(src):
        file, name = split_reference(src)
        name, _, where = name.partition(":")
        return f"{file}:{name}", where or None
    path = Path(src)
    if path.exists():
        return read_as or _kind(path), src
    name, _, where = src.partition(":")
    if name in SOURCES.targets():
        if read_as:
            raise UserError(f"--as {read_as} is for a folder or file; {src} says already how it is read")
        return name, where or None
    if "/" in src or path.suffix:
        raise UserError(f"{src}: there is no such file or folder, and no source is called {name!r}")
    known = [*image_set_names(), *SOURCES.names()]
    raise UserError(f"{did_you_mean('image set or source', src, known)}; or give a folder or a .parquet file")


def _kind(path: Path) -> str:
    if path.is_file():
        if path.suffix.lower() in _PACKED:
            raise UserError(f"{path}: {_PACKED[path.suffix.lower()]}")
        if path.suffix.lower() in EXTENSIONS:
            raise UserError(f"{path}: a single picture; give the folder that holds it")
        return "parquet"
    pictures, tables, packed = _look_into(path)
    if pictures and tables:
        raise UserError(
            f"{path}: holds pictures ({pictures.name}) and Parquet ({tables.name}); say which to read with --as folder "
            "or --as parquet"
        )
    if packed and not pictures and not tables:
        raise UserError(f"{packed}: {_PACKED[packed.suffix.lower()]}")
    return "parquet" if tables else "folder"


def _look_into(root: Path) -> tuple[Path | None, Path | None, Path | None]:
    """A picture, a Parquet file and a packed file of a folder, as far as it holds any."""
    picture = table = packed = None
    for _, file in walk(root, ImportReport()):
        suffix = file.suffix.lower()
        if suffix in EXTENSIONS:
            picture = picture or file
        elif suffix == ".parquet" and (table is None) and not is_description(file):
            table = file
        elif suffix in _PACKED:
            packed = packed or file
        if picture and table:
            break
    return picture, table, packed


def _name(src: str, kind: str, where: str | None) -> str:
    """What the set is called if nobody says: the folder, the file without .parquet, the repository, or the source."""
    if src.startswith("hf:"):
        return split_name(src)[0].rpartition("/")[2]
    if is_file_reference(kind):
        return kind.rpartition(":")[2]
    if kind not in _NEEDS_PATH or where is None:
        return kind
    if kind == "hub":
        return where.rpartition("/")[2]
    path = Path(src if Path(src).exists() else where).resolve()
    name = re.sub(r"\.(parquet|csv|txt)$", "", path.name) if path.is_file() else path.name
    if not name:
        raise UserError(f"{src}: a folder without a name; give the set one with --source")
    return name


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")
