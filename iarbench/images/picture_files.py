"""The picture files that a user names one by one or by their folder, and their reading a few at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.errors import UserError
from iarbench.images.decode import decode_rgb
from iarbench.images.folder_source import EXTENSIONS
from iarbench.images.importing import ImportReport
from iarbench.images.walk import walk

if TYPE_CHECKING:
    from PIL import Image


def find_pictures(named: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Files, errors and notes: each named file, and in place of each folder the pictures in it and below it, by name.

    A file that is named twice counts once. A folder's hidden files, and those whose extension is no picture's, are left
    out with one note for the folder; a file that is named itself is always tried.
    """
    files: dict[Path, str] = {}
    errors, notes = [], []
    for name in named:
        path = Path(name)
        if path.is_dir():
            inside, note = _inside(path)
            notes += note
            if not inside:
                errors.append(f"{name}: there is no picture in this folder")
        elif not path.exists():
            errors.append(f"{name}: cannot be read (No such file or directory)")
            continue
        else:
            inside = [name]
        for one in inside:
            files.setdefault(Path(one).resolve(), one)
    return list(files.values()), errors, notes


def read_picture(path: str) -> tuple[Image.Image, str]:
    """The picture in RGB, and the SHA-256 of its file. Raises UserError when it cannot be read or decoded."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return decode_rgb(data, path), hashlib.sha256(data).hexdigest()


def in_chunks(files: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The files, `size` at a time."""
    for start in range(0, len(files), size):
        yield files[start : start + size]


def _inside(folder: Path) -> tuple[list[str], list[str]]:
    """The pictures of a folder, and a note about what else is in it."""
    report = ImportReport()
    found = sorted(walk(folder, report))
    pictures = [str(file) for _, file in found if not file.name.startswith(".") and _is_picture(file)]
    hidden = sum(file.name.startswith(".") for _, file in found)
    left_out = {"hidden": hidden, "not pictures, by their extension": len(found) - len(pictures) - hidden}
    counted = [f"{count} {what}" for what, count in left_out.items() if count]
    counted += [report.summary()] if report.skipped else []
    return pictures, [f"{folder}: left out: {'; '.join(counted)}"] if counted else []


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in EXTENSIONS
