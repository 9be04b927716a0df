"""Whether what a run stored is still what it wrote: the digest of every file, in one chain.

manifest.json holds its own digest and those of the files beside it; parts.txt, which `sha256sum -c` reads as well,
those of the parts of scores.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from iarbench.errors import UserError
from iarbench.files import sha256_file, write_text
from iarbench.progress import counted

PARTS = "parts.txt"


def digest(path: Path) -> str | None:
    """SHA-256 of a file; None where it cannot be read."""
    try:
        return sha256_file(path)
    except OSError:
        return None


def digests(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Name -> SHA-256 of those of the files below `root` that are there."""
    return {name: found for name in names if (found := digest(root / name)) is not None}


def write_parts(root: Path, parts: Iterable[str]) -> None:
    """List the parts that the results follow from, with their digests."""
    listed = list(parts)
    hashed = counted(listed, "hashing scores", len(listed), "files")
    write_text(root / PARTS, "".join(f"{digest(root / part)}  {part}\n" for part in hashed))


def parts_of(root: Path) -> list[str]:
    """The parts that the results of a run follow from, relative to its folder.

    Raises:
        UserError: there is no list, or it is damaged.
    """
    return list(_read(root))


def damaged_parts(root: Path) -> list[str]:
    """Those of the listed parts that are not what was written, or not there.

    Raises:
        UserError: as `parts_of`.
    """
    listed = _read(root)
    hashed = counted(listed.items(), "checking scores", len(listed), "files")
    return [part for part, written in hashed if digest(root / part) != written]


def _read(root: Path) -> dict[str, str]:
    try:
        lines = (root / PARTS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {root / PARTS} ({error}); repeat the `iarbench run` command") from None
    pairs = [line.partition("  ") for line in lines]
    if bad := [line for line, (known, _, part) in zip(lines, pairs, strict=True) if len(known) != 64 or not part]:
        raise UserError(f"{root / PARTS} is damaged at {bad[0]!r:.60}; repeat the `iarbench run` command")
    return {part: known for known, _, part in pairs}
