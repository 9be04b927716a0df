"""ImageRecord: one image as it was made or found, with what is known about it."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from iarbench.images.decode import Decoded, decode, decode_rgb

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One row of an image set."""

    bytes: builtins.bytes
    """The file as it was made or found, never re-encoded."""
    path: str
    """Where it came from: a file name or a relative path; informative."""
    image_id: str
    """Unique within the set and stable: it seeds the attacks."""
    sha256: str
    """Of `bytes`, as 64 hexadecimal digits."""
    source: str
    """Name of the generator or data set, such as "llamagen-mini"."""
    split: str
    """"test", "calibration", "train", ..."""
    group: str
    """What counts as one unit in statistics: the image itself, or the photograph of which it is a crop."""
    condition: str
    """Class or prompt as text, "" if none."""
    seed: int | None
    """The generator's seed."""
    tokens: tuple[int, ...] | None
    """The generator's tokens, in its own order."""
    width: int
    """Pixels, after EXIF orientation."""
    height: int
    """Pixels, after EXIF orientation."""
    format: str
    """Pillow's name of the container, such as "PNG"."""
    licence: str | None = None
    """Under which the image may be used, such as "CC-BY-4.0"; None if unknown."""
    author: str | None = None
    """Whom to name, None if unknown."""
    page: str | None = None
    """The address of the page where the image is published, None if unknown."""
    source_sha256: str | None = None
    """Of the file that `treatment` was done to; None where `bytes` are that file."""
    treatment: str | None = None
    """What was done to that file, such as "crop256-webp" (`iarbench.images.preprocess`) or "attack jpeg50"."""

    @classmethod
    def make(
        cls,
        data: builtins.bytes,
        *,
        image_id: str,
        source: str,
        split: str = "test",
        group: str | None = None,
        condition: str = "",
        seed: int | None = None,
        tokens: Sequence[int] | None = None,
        path: str | None = None,
        licence: str | None = None,
        author: str | None = None,
        page: str | None = None,
        source_sha256: str | None = None,
        treatment: str | None = None,
        decoded: Decoded | None = None,
    ) -> ImageRecord:
        """A record from the bytes of an image file; hash, size and format are found here.

        `group` defaults to the image id, `path` to the image id with the container as suffix; `decoded`, what
        `iarbench.images.decode.decode` gave for these bytes, saves doing it again.

        Raises:
            ImageError: the bytes cannot be decoded.
        """
        image, container, _ = decoded or decode(data, path or image_id)
        return cls(
            bytes=data,
            path=path or f"{image_id}.{container.lower()}",
            image_id=image_id,
            sha256=hashlib.sha256(data).hexdigest(),
            source=source,
            split=split,
            group=image_id if group is None else group,
            condition=condition,
            seed=seed,
            tokens=None if tokens is None else tuple(map(int, tokens)),
            width=image.width,
            height=image.height,
            format=container,
            licence=licence,
            author=author,
            page=page,
            source_sha256=source_sha256,
            treatment=treatment,
        )

    def with_bytes(self, data: builtins.bytes, treatment: str) -> ImageRecord:
        """The same image in another file, such as an attacked or resized one: only what describes the file changes.

        `treatment`: what was done to these bytes to come to `data`.

        Raises:
            ImageError: the bytes cannot be decoded.
        """
        image, container, _ = decode(data, self.image_id)
        return replace(
            self,
            bytes=data,
            path=f"{self.image_id}.{container.lower()}",
            sha256=hashlib.sha256(data).hexdigest(),
            width=image.width,
            height=image.height,
            format=container,
            source_sha256=self.sha256,
            treatment=treatment,
        )

    def pil(self) -> Image.Image:
        """The image, mode RGB, 8 bits a channel, upright (see `iarbench.images.decode`).

        Raises:
            ImageError: the bytes cannot be decoded.
        """
        return decode_rgb(self.bytes, self.image_id)
