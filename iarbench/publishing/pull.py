"""Image sets from the Hub, verified: every file, every image, and the fingerprint that the card states."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from iarbench.errors import UserError
from iarbench.files import scratch_folder, sha256_file
from iarbench.hub import HubError, fetch_parquet, front_matter, split_name, stored_digest
from iarbench.hub_upload import CARD
from iarbench.images.image_set import ImageSet
from iarbench.images.reading import parquet_files
from iarbench.images.shards import require_free
from iarbench.progress import counted
from iarbench.publishing.set_card import FINGERPRINT


@dataclass(frozen=True, slots=True)
class Pulled:
    """A set that has been downloaded and is what its card says."""

    images: ImageSet
    folder: Path
    name: str
    """hf:owner/name@commit, the same for all time."""
    stated: bool
    """Whether a fingerprint was there to compare with."""


def pull(name: str, out: Path | None = None, fingerprint: str | None = None) -> Pulled:
    """Download the set "hf:owner/name@revision", verify it, and copy it to the new folder `out` if one is given.

    What arrived damaged is downloaded once more.

    Args:
        name: the set.
        out: must not hold anything yet; without it the set stays in the Hugging Face cache, where `name` finds it.
        fingerprint: what the set must have, whatever its card says; or the beginning of it, 12 digits or more.

    Raises:
        UserError: no such set, no network, damaged files, or another fingerprint.
    """
    if not name.startswith("hf:"):
        raise UserError(f"{name}: give a set on the Hugging Face Hub as hf:owner/name or hf:owner/name@revision")
    if fingerprint is not None and not 12 <= len(fingerprint) <= 64:
        raise UserError(f"--fingerprint {fingerprint}: give 12 to 64 hexadecimal digits")
    if out is not None:
        require_free(out)
    repo, revision = split_name(name)
    folder = fetch_parquet(repo, revision)
    if _damaged(folder):
        folder = fetch_parquet(repo, folder.name, again=True)
        if damaged := _damaged(folder):
            raise HubError(name, f"{damaged[0]} is damaged, downloaded twice (SHA-256 differs); try again later")
    images = ImageSet.open(folder)
    images.require_unchanged()
    stated = _stated(folder, name)
    for wanted, whose in ((stated, "its card states"), (fingerprint, "was asked for")):
        if wanted and not images.fingerprint.startswith(wanted.lower()):
            raise HubError(name, f"has the fingerprint {images.fingerprint[:12]}, but {wanted[:12]} {whose}")
    if out is not None:
        _copy(folder, out)
        images = ImageSet.open(out)
    return Pulled(images, out or folder, f"hf:{repo}@{folder.name}", bool(stated or fingerprint))


def _damaged(folder: Path) -> list[str]:
    """Files whose bytes are not those that the Hub announced."""
    files = [(path, stored_digest(path)) for path in parquet_files(folder)]
    hashed = counted(files, "checking files", len(files), "files")
    return [path.name for path, digest in hashed if digest is not None and sha256_file(path) != digest]


def _stated(folder: Path, name: str) -> str | None:
    card = folder / CARD
    if not card.is_file():
        raise HubError(name, "has no card yet: its publication is not complete, or broke off; try again later")
    known = front_matter(card).get("iarbench")
    return known.get(FINGERPRINT) if isinstance(known, dict) else None


def _copy(folder: Path, out: Path) -> None:
    """Its files, all or none; the cache holds links to them."""
    try:
        with scratch_folder(out) as scratch:
            shutil.copytree(folder, scratch, ignore=_hidden, dirs_exist_ok=True)
            os.replace(scratch, out)
    except OSError as error:
        raise UserError(f"{out}: cannot write the image set ({error.strerror or error})") from error


def _hidden(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(".")]
