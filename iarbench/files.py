"""Files: written all or nothing, so that a reader never sees a half-written one; their digests; the cache."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from iarbench.errors import UserError


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, sync it, and give it the name in one step.

    Raises:
        OSError: it cannot be written; its `filename` says where.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno and error.filename is None:  # a full disk is met while writing, which knows no name
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path`, gone afterwards; those that killed processes have left there go first."""
    remove_leftovers(path.parent, f".{glob.escape(path.name)}.*.*.tmp")
    temporary = _temporary(path)
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path, pattern: str = "**/.*.*.*.tmp") -> None:
    """Delete the temporary files and folders of processes of this machine that were killed while writing."""
    for path in folder.glob(pattern):
        if is_left_over(path):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def require_writable(folder: Path, what: str) -> None:
    """See that files can be made in a folder that need not be there yet, by making one.

    Args:
        what: the option that names it, such as "--out".

    Raises:
        UserError: they cannot, and why.
    """
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{what} {folder}: cannot be written ({there}: {reason}); choose another place") from None


def is_left_over(temporary: Path) -> bool:
    """Whether the process that was filling such a file is gone; one of another machine is taken to be alive."""
    machine, pid = temporary.name.split(".")[-3:-1]
    return machine == _this_machine() and pid.isdigit() and not _alive(int(pid))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time, on whichever machine, do what is inside; the others wait.

    Where a shared file system knows no locks, nobody waits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("wb") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


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


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{_this_machine()}.{os.getpid()}.tmp")


def _this_machine() -> str:
    return platform.node().replace(".", "-") or "here"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
