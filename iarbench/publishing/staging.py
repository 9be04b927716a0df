"""An image set as the files of a repository: shards by source and split, lists of what is not published, samples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.errors import UserError
from iarbench.files import write_atomically
from iarbench.images.image_set import ImageSet
from iarbench.images.shards import write_shards
from iarbench.images.spread import spread
from iarbench.progress import counted
from iarbench.publishing.licences import licence_of, refusal_of

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

    from iarbench.images.record import ImageRecord

OWNED = ("data/", "lists/")
"""Folders of a published set, whose files belong to it alone."""
DEFAULT = "default"
"""Configuration that holds all sources."""
SAMPLES = "samples.webp"
_SHARD_ROWS = 1000
_COLUMNS, _SIDE = 10, 96


@dataclass(frozen=True, slots=True)
class Part:
    """The published images of one source and split."""

    source: str
    split: str
    config: str
    """What `load_dataset` calls the source."""
    hub_split: str
    """What `load_dataset` calls the split."""
    images: int

    @property
    def folder(self) -> str:
        """Where its shards lie in the repository."""
        return f"data/{self.config}/{self.hub_split}"


@dataclass(frozen=True, slots=True)
class Listed:
    """The images of one source that are listed, not published."""

    source: str
    file: str
    """Its lock, in the repository."""
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class Staged:
    """What is in the folder, without the card."""

    published: ImageSet | None
    """As it is published; None if no image may be."""
    parts: tuple[Part, ...]
    listed: tuple[Listed, ...]
    licences: Mapping[str, str]
    """image id -> licence of every published image"""


def stage(images: ImageSet, name: str, folder: Path, given: Mapping[str, str]) -> Staged:
    """Write shards, lists and samples of an image set, which the user calls `name`, into the empty `folder`.

    A published row states its licence: its own, that of its generator's images, or the one `given` for its source.

    Raises:
        UserError: names that no configuration or split can have, images that cannot be listed, or bytes that do not
            match their sha256.
    """
    index = images.index()
    index["licence"] = [
        licence_of(source, licence if isinstance(licence, str) else None) or given.get(source)
        for licence, source in zip(index["licence"], index["source"], strict=True)
    ]
    index["refusal"] = [refusal_of(row.licence, row.author, row.page) for row in index.itertuples()]
    allowed = index[index["refusal"].isna()]
    licences = dict(zip(allowed["image_id"], allowed["licence"], strict=True))
    parts = _parts(allowed)
    for part in counted(parts, "preparing", len(parts), "parts"):
        view = images.filter(source=part.source, split=part.split)
        write_shards(_licensed(view, licences), folder / part.folder, _SHARD_ROWS)
    published = ImageSet.open(folder / "data") if parts else None
    if published is not None:
        sheet = samples(published)
        write_atomically(folder / SAMPLES, lambda file: sheet.save(file, "WEBP", quality=90, method=4))
    refused = index[index["refusal"].notna()]
    listed = [_list(images, name, str(source), rows, folder) for source, rows in refused.groupby("source", sort=True)]
    return Staged(published, parts, tuple(listed), licences)


def samples(images: ImageSet) -> Image.Image:
    """A row of images of every source, in the order of their names, spread over it, 96 pixels each."""
    from PIL import Image, ImageOps

    from iarbench.images.contact_sheet import contact_sheet

    pictures: list[Image.Image] = []
    index = images.index()
    for _, rows in index.groupby("source", sort=True):
        chosen = images.read(spread(rows["image_id"].tolist(), _COLUMNS))
        row = [ImageOps.fit(record.pil(), (_SIDE, _SIDE)) for record in chosen]
        empty = Image.new("RGB", (_SIDE, _SIDE), "white")
        pictures += row + [empty] * (_COLUMNS - len(row))
    return contact_sheet(pictures, _COLUMNS)


def _parts(index: pd.DataFrame) -> tuple[Part, ...]:
    parts = []
    names: dict[str, str] = {DEFAULT: "the configuration of all sources"}
    for source, rows in index.groupby("source", sort=True):
        config = re.sub(r"[^\w.+=@-]", "_", str(source))
        if names.setdefault(config, str(source)) != source:
            raise UserError(f"source {source!r}: its configuration {config!r} is taken by {names[config]}; rename it")
        splits: dict[str, str] = {}
        for split, own in rows.groupby("split", sort=True):
            hub_split = re.sub(r"[^\w.]", "_", str(split))
            if splits.setdefault(hub_split, str(split)) != split or not re.fullmatch(r"\w+(\.\w+)*", hub_split):
                raise UserError(f"split {split!r} of {source}: `datasets` knows letters, digits and _ only; rename it")
            parts.append(Part(str(source), str(split), config, hub_split, len(own)))
    return tuple(parts)


def _licensed(images: ImageSet, licences: Mapping[str, str]) -> Iterator[ImageRecord]:
    for batch in counted(images.iterate(), "preparing", None, "batches"):
        for record in batch:
            if record.image_id in licences:
                yield replace(record, licence=licences[record.image_id])


def _list(images: ImageSet, name: str, source: str, rows: pd.DataFrame, folder: Path) -> Listed:
    from iarbench.images.lock import Lock

    file = f"lists/{re.sub(r'[^A-Za-z0-9_.+=@-]', '_', source)}.jsonl"
    Lock.of(images.filter(image_id=set(rows["image_id"])), name).write(folder / file)
    return Listed(source, file, Counter(rows["refusal"]))
