"""Files: written all or nothing, so that a reader never sees a half-written one; their digests; the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, sync it, and give it the name in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, all or nothing."""
    write_atomically(path, lambda file: file.write(text.encode()))


def copy_atomically(source: Path, path: Path) -> None:
    """Copy a file, all or nothing."""
    with source.open("rb") as found:
        write_atomically(path, lambda file: shutil.copyfileobj(found, file))


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_dir() -> Path:
    """Where scores that any command may use again are kept: $IARBENCH_CACHE, or iarbench below the user's cache."""
    if own := os.environ.get("IARBENCH_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "iarbench"
