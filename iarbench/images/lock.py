"""Locks: pinned lists of images, by which anybody makes the same image set from files of their own.

A lock is JSON Lines. The first line describes it; every other one is an image: its id, the SHA-256 of the file it comes
from, and what of its row cannot be told from that. What is the same for all images stands once, in the first line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from PIL import __version__ as pillow
from PIL import features

from iarbench.errors import UserError
from iarbench.files import write_text
from iarbench.images.image_set import ImageSet, fingerprint_of
from iarbench.images.listing import HASHED
from iarbench.images.preprocess import Preprocess

FORMAT = 1
_LISTED = 3
"""Treatments that no import can repeat are named up to this number."""


@dataclass(frozen=True, slots=True)
class LockedImage:
    """One image of a lock; columns as in an image set."""

    image_id: str
    source_sha256: str
    """Of the file as it is found, 64 hexadecimal digits."""
    sha256: str
    """Of the file in the set: the same where nothing is done to it."""
    source: str
    split: str
    group: str
    condition: str = ""
    treatment: str | None = None
    """A name that `iarbench.images.preprocess.Preprocess` reads; None: the file is kept as it is."""
    licence: str | None = None
    author: str | None = None
    page: str | None = None


_FIELDS = [field.name for field in fields(LockedImage)]


@dataclass(frozen=True, slots=True)
class Lock:
    """A pinned list of images."""

    images: tuple[LockedImage, ...]
    made_with: Mapping[str, str]
    """Versions of what wrote the files: another one may compress the same pixels into other bytes."""

    @property
    def fingerprint(self) -> str:
        """Of the image set that it describes."""
        return fingerprint_of([getattr(one, name) for name in HASHED] for one in self.images)

    @classmethod
    def of(cls, images: ImageSet, name: str) -> Self:
        """The lock of an image set that the user calls `name`; no image is read.

        Raises:
            UserError: some images were made by something else than an import.
        """
        rows = images.small_columns().to_pylist()
        found = tuple(
            LockedImage(
                **{key: row[key] for key in _FIELDS if key not in ("source_sha256", "condition")},
                source_sha256=row["source_sha256"] or row["sha256"],
                condition=row["condition"] or "",
            )
            for row in rows
        )
        _require_repeatable({one.treatment for one in found if one.treatment is not None}, name)
        return cls(found, made_with())

    def write(self, path: Path) -> None:
        """Write it, all or nothing."""
        rows = [_shortened(asdict(one)) for one in self.images]
        first = rows[0] if rows else {}
        common = {key: value for key, value in first.items() if all(row.get(key, self) == value for row in rows[1:])}
        common = common if len(rows) > 1 else {}
        head: dict[str, Any] = {"iarbench_lock": FORMAT, "images": len(rows), "fingerprint": self.fingerprint}
        head |= {"made_with": dict(self.made_with), "all": common}
        lines = [head, *({key: value for key, value in row.items() if key not in common} for row in rows)]
        write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read one. Raises UserError when it is no lock, of a later format, or damaged."""
        try:
            head, *lines = path.read_text(encoding="utf-8").splitlines()
            first = json.loads(head)
            version = first["iarbench_lock"]
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path}: not a lock; `iarbench images lock SET --out FILE` writes one") from None
        if version != FORMAT:
            raise UserError(f"{path}: a lock of format {version}; this iarbench reads {FORMAT}, update it")
        try:
            images = tuple(_locked(first["all"] | json.loads(line)) for line in lines)
            lock = cls(images, first["made_with"])
            stated = (int(first["images"]), str(first["fingerprint"]))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: a damaged lock ({type(error).__name__}: {error})") from None
        if (len(images), lock.fingerprint) != stated:
            raise UserError(f"{path}: a damaged lock (its first line says {stated[0]} images with another fingerprint)")
        return lock


def made_with() -> dict[str, str]:
    """Versions of what encodes images here."""
    libraries = {
        "libwebp": features.version("webp"),
        "libjpeg": features.version("jpg"),
        "zlib": features.version("zlib"),
    }
    return {"pillow": pillow, **{name: str(version) for name, version in libraries.items() if version}}


def _shortened(row: dict[str, Any]) -> dict[str, Any]:
    """Without what follows from the rest."""
    follows = {"sha256": row["source_sha256"], "group": row["image_id"]}
    return {key: value for key, value in row.items() if value is not None and follows.get(key, follows) != value}


def _locked(row: dict[str, Any]) -> LockedImage:
    one = LockedImage(**{"sha256": row["source_sha256"], "group": row["image_id"]} | row)
    if one.treatment is not None:
        Preprocess.parse(one.treatment)
    return one


def _require_repeatable(treatments: set[str], name: str) -> None:
    strange = []
    for one in sorted(treatments):
        try:
            Preprocess.parse(one)
        except UserError:
            strange.append(one)
    if strange:
        raise UserError(
            f"{name}: no import repeats {', '.join(strange[:_LISTED])}; lock the set that was made of, and do it again"
        )
