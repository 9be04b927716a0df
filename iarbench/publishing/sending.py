"""From a way to fill a folder to a repository on the Hub: the folder in the cache, or kept for the user to look at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from iarbench.errors import UserError
from iarbench.files import cache_dir, scratch_folder
from iarbench.hub_upload import Repository, upload
from iarbench.images.shards import require_free


@dataclass(frozen=True, slots=True)
class Sending:
    """What becomes of the files of a repository."""

    to: Repository
    dry_run: bool
    """Fill the folder and send nothing."""
    out: Path | None
    """A new folder that keeps the files; None: they are made in the cache and deleted."""


def send(how: Sending, fill: Callable[[Path], Sequence[str]], owned: Sequence[str]) -> list[str]:
    """Let `fill` write the files, README.md among them, and send them; see `iarbench.hub_upload.upload`.

    Returns:
        the lines that `fill` gives, and one about what was sent.

    Raises:
        UserError: what `fill` and `upload` raise, or the folder cannot be written.
    """
    with _folder(how) as folder:
        lines = list(fill(folder))
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        kept = f", {how.out} keeps the files" if how.out is not None else ""
        if how.dry_run:
            return [*lines, f"dry run: {size / 1e6:,.1f} MB for hf:{how.to.name}, nothing sent{kept}"]
        done = upload(how.to, folder, owned)
        sent = f"{done.sent} files sent" if done.sent else "all was there already"
        return [*lines, f"{done.url}: {size / 1e6:,.1f} MB, {sent}{kept}", f"hf:{how.to.name}@{done.commit}"]


@contextmanager
def _folder(how: Sending) -> Iterator[Path]:
    place = how.out or cache_dir() / "publish" / how.to.page.replace("/", "--")
    if how.out is not None:
        require_free(how.out)
    try:
        with scratch_folder(place) as scratch:
            yield scratch
            if how.out is not None:
                os.replace(scratch, how.out)
    except OSError as error:
        where = error.filename or place
        raise UserError(f"{where}: cannot be written ({error.strerror or error})") from error
