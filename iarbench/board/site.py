"""A board as a folder: pages, assets, the rows behind them; written beside and moved into place in one step."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TextIO

from iarbench.board.attribution import attribution_data
from iarbench.board.data import Json, group_data
from iarbench.board.gather import AnyRow, Batch
from iarbench.board.groups import groups_of
from iarbench.board.pages import render
from iarbench.board.reported import Reported
from iarbench.board.space import CARD, card
from iarbench.board.standings import standings_of
from iarbench.errors import UserError
from iarbench.files import sha256_file, write_atomically, write_text

ASSETS = Path(__file__).parent / "assets"
CITATIONS = Path(__file__).parent / "CITATIONS.bib"
MARK = '<meta name="generator" content="iarbench board">'
"""By which a folder is known to hold a board, and may be replaced."""


@dataclass(frozen=True, slots=True)
class Built:
    """What a built board holds."""

    index: Path
    rows: int
    entries: int
    detectors: int


def build(
    batches: Sequence[Batch],
    out: Path,
    reported: Reported | None = None,
    progress: TextIO | None = None,
) -> Built:
    """Write the board of these rows as the folder `out`; a board that was there is replaced.

    Args:
        batches: rows, see `iarbench.board.gather`.
        out: new or empty folder, or an older board.
        reported: papers' own numbers, shown apart.
        progress: where to say how far the resampling behind mean ranks is.

    Raises:
        UserError: no rows, another folder's contents in the way, or assets that are not what they should be.
    """
    rows = [row for batch in batches for row in batch.rows]
    if not rows:
        raise UserError("there are no rows to show; give --rows FILE or --run RUN")
    _check_free(out)
    check_assets()
    standings = standings_of(groups_of(batches), batches, progress)
    groups = _own_links([*map(group_data, standings), *attribution_data(batches)])
    lines = "".join(f"{line}\n" for line in sorted({_line(row) for row in rows}))
    pages = render(groups, reported, len(rows), hashlib.sha256(lines.encode()).hexdigest())
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        shutil.copytree(ASSETS, temporary / "assets")
        for name, text in {**pages, CARD: card(), CITATIONS.name: CITATIONS.read_text(encoding="utf-8")}.items():
            write_text(temporary / name, text)
        packed = gzip.compress(lines.encode(), mtime=0)
        write_atomically(temporary / "data" / "rows.jsonl.gz", lambda file: file.write(packed))
        _move(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    entries = sum(len(group["entries"] if "entries" in group else group["lines"]) for group in groups)
    return Built(out / "index.html", len(rows), entries, sum(name.startswith("detectors/") for name in pages))


def _own_links(groups: Sequence[Json]) -> list[Json]:
    """The groups, each with an `id` of its own: another of the same name ends in -2, -3 and so on."""
    found: dict[str, Json] = {}
    for group in groups:
        names = chain([group["id"]], (f"{group['id']}-{number}" for number in count(2)))
        link = next(name for name in names if name not in found)
        found[link] = {**group, "id": link}
    return list(found.values())


def check_assets() -> None:
    """Raises UserError when a bundled library is not the one that was released, byte for byte."""
    for line in (ASSETS / "vendor" / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        path = ASSETS / "vendor" / name
        if not path.is_file() or sha256_file(path) != digest:
            raise UserError(f"{path} is not the released file; install iarbench again")


def _line(row: AnyRow) -> str:
    return json.dumps(row.model_dump(mode="json"), ensure_ascii=False, allow_nan=False)


def _check_free(out: Path) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        ours = MARK in (out / "index.html").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        ours = False
    if not ours:
        raise UserError(f"{out} holds something else than a board; choose another --out")


def _move(temporary: Path, out: Path) -> None:
    """Put the finished folder in place of the old one."""
    if not out.exists():
        os.replace(temporary, out)
        return
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    os.replace(out, old)
    os.replace(temporary, out)
    shutil.rmtree(old)
