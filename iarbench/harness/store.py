"""Where scores lie: parts named by the hash of everything that a score depends on, written all or nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from iarbench.files import write_atomically
from iarbench.images.compact import Places, at, pack, unpack

FORMAT = 1
"""Version of the score files: raising it makes every stored score be computed again."""

_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("sha256", pa.string()),
        ("score_name", pa.string()),
        ("score", pa.float64()),
        ("seconds", pa.float64()),
    ]
)


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some images of one source and split, which are scored and stored together."""

    source: str
    split: str
    table: pa.Table
    """compact (`iarbench.images.compact`); columns image_id and sha256, of these images and any others"""
    places: Places
    """its rows that these images are"""

    @classmethod
    def of(cls, source: str, split: str, image_ids: Sequence[str], sha256s: Sequence[str]) -> Self:
        """From ids and hashes as text."""
        hashes = pack(pa.chunked_array([pa.array(sha256s, pa.string())]))
        table = pa.table({"image_id": pa.array(image_ids, pa.string()), "sha256": hashes})
        return cls(source, split, table, np.arange(len(table)))

    def __len__(self) -> int:
        return len(self.places)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chunk) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[str, str, str]:
        return self.source, self.split, self.digest

    # Made when asked for: kept, they would fill the memory of a run on many images.

    @property
    def ids(self) -> pa.StringArray:
        return at(self.table.column("image_id"), self.places)

    @property
    def hashes(self) -> pa.Array:
        """As `iarbench.images.compact.pack` gives them."""
        return at(self.table.column("sha256"), self.places)

    @property
    def image_ids(self) -> tuple[str, ...]:
        return tuple(self.ids.to_pylist())

    @cached_property
    def digest(self) -> str:
        """SHA-256 over ids and contents in order; ids count because they seed the attacks."""
        lines = json.dumps([self.ids.to_pylist(), unpack(self.hashes).to_pylist()])
        return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Part:
    """One file of scores: one detector, target, encoder and attack over one chunk.

    `identity`: everything that a score depends on but the images; it is hashed into the file's name and written into
    its metadata, together with `about`, which only informs.
    """

    identity: Mapping[str, Any]
    about: Mapping[str, Any]
    chunk: Chunk

    @cached_property
    def key(self) -> str:
        """SHA-256 of identity, images and format version, 64 hexadecimal digits."""
        whole = {"format": FORMAT, "images": self.chunk.digest, **self.identity}
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    @cached_property
    def path(self) -> str:
        """Relative to the folder of the run: scores/<detector>/<target>/<encoder>/<attack>/<images>-<key>.parquet."""
        folders = [safe(str(self.identity[name])) for name in ("detector", "target", "encoder", "attack")]
        images = safe(f"{self.chunk.source}-{self.chunk.split}")
        return "/".join(["scores", *folders, f"{images}-{self.key[:12]}.parquet"])


def write_part(
    root: Path, part: Part, scores: Mapping[str, Sequence[float]], seconds: Sequence[float], device: str
) -> None:
    """Store one part. `scores`: score name -> a value an image of the chunk, in its order; `seconds`: likewise."""
    chunk, count = part.chunk, len(scores)
    table = pa.Table.from_arrays(
        [
            pa.concat_arrays([chunk.ids] * count),
            pa.concat_arrays([unpack(chunk.hashes)] * count),
            pa.concat_arrays([pa.repeat(name, len(chunk)) for name in scores]),
            pa.concat_arrays([pa.array(values, pa.float64()) for values in scores.values()]),
            pa.concat_arrays([pa.array(seconds, pa.float64())] * count),
        ],
        schema=_SCHEMA,
    )
    about = json.dumps({**part.identity, **part.about, "device": device, "key": part.key})
    table = table.replace_schema_metadata({b"iarbench": about.encode()})
    write_atomically(root / part.path, lambda file: pq.write_table(table, file, write_page_checksum=True))


def is_stored(root: Path, part: Part) -> bool:
    """Whether the part is there, readable, and holds the scores of exactly its images."""
    try:
        with pq.ParquetFile(root / part.path, page_checksum_verification=True) as file:
            table = file.read(use_threads=False)  # a part is small: waiting for threads takes longer than reading it
        about = json.loads((table.schema.metadata or {})[b"iarbench"])
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return False
    told = json.loads(json.dumps(part.identity))  # lists for tuples, as they are read
    if about.get("key") != part.key or any(about.get(name) != value for name, value in told.items()):
        return False
    if table.schema.names != _SCHEMA.names or not table.num_rows:
        return False
    names = len(table.column("score_name").unique())
    return (
        table.column("image_id").equals(pa.chunked_array([part.chunk.ids] * names))
        and table.column("sha256").equals(pa.chunked_array([unpack(part.chunk.hashes)] * names))
        and table.column("score").null_count == 0
    )


def safe(name: str) -> str:
    return "".join(char if char.isalnum() or char in "._+-=" else "_" for char in name).lstrip(".") or "_"
