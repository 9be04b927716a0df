"""Every file in a folder and below it, through links, none of them twice."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from iarbench.images.importing import ImportReport

OURS = (".unfinished", ".tmp")
"""How the hidden folders end that iarbench keeps beside a set that is being made, perhaps in what is read."""


def walk(root: Path, report: ImportReport) -> Iterator[tuple[str, Path]]:
    """(image id, path) of every file; each real folder is entered once, the ones below `root` by their own names.

    Hidden folders, such as .thumbnails, are not entered, but named in the report.
    """
    inside = root.resolve()
    entered: set[Path] = set()

    def refuse(error: OSError) -> None:
        report.skip(str(error.filename), f"folder cannot be read ({error.strerror})")

    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        here = Path(folder)
        for name in sorted(folders):
            below = here / name
            real = below.resolve()
            if name.startswith("."):
                if not name.endswith(OURS):
                    report.skip(str(below), "hidden folder")
                folders.remove(name)
            elif below.is_symlink() and (real in entered or real.is_relative_to(inside) or inside.is_relative_to(real)):
                report.skip(str(below), f"link to a folder that is read already ({real})")
                folders.remove(name)
            entered.add(real)
        folders.sort()
        yield from ((_relative_id(here / name, root), here / name) for name in files)


def _relative_id(file: Path, root: Path) -> str:
    # Names that are not valid UTF-8 arrive with surrogates, which no Parquet string can hold.
    text = os.fsencode(file.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", text)
