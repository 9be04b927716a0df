"""A gallery: features of known images with their classes, in one file, and the encoder that reads queries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from iarbench.errors import UserError
from iarbench.files import write_atomically
from iarbench.nn.checkpoint import below
from iarbench.retrieval.adapt import Recipe, adapt, prototype_of
from iarbench.retrieval.encoders import Encoder, load_encoder
from iarbench.retrieval.source import Source
from iarbench.stats.retrieval import cosine

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a gallery."""

    image_id: str
    label: str
    """Its class: the name of a generator, or of a set of real images."""
    real: bool
    sha256: str
    """Of its pixels uint8 (H, W, 3)."""


@dataclass(frozen=True, slots=True)
class Match:
    """One class as an answer to one query."""

    label: str
    real: bool
    similarity: float
    """Highest cosine, in [-1, 1], to an image of the class; no probability."""
    image_id: str
    """That image."""


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Known images as an encoder sees them. ``features``: float32 (N, D), a row per entry."""

    encoder: Encoder
    entries: tuple[Entry, ...]
    features: Tensor
    adapted: Recipe | None = None
    """How the encoder was adapted to this gallery; None for one as it was pre-trained."""

    @classmethod
    def build(
        cls, encoder: Encoder, entries: Sequence[Entry], pixels: Sequence[NDArray[np.uint8]], recipe: Recipe | None
    ) -> Gallery:
        """A gallery of images uint8 (H, W, 3); with a recipe the encoder is adapted to them first.

        Raises:
            UserError: no images, or as `iarbench.retrieval.adapt.adapt`.
        """
        if not entries:
            raise UserError("a gallery needs images")
        real = [entry.real for entry in entries]
        if recipe is not None:
            encoder, _ = adapt(encoder, pixels, [entry.label for entry in entries], real, recipe)
        elif encoder.prototype is None and any(real):
            encoder = Encoder(encoder.source, encoder.network, prototype_of(encoder, pixels, real)).to(encoder.device)
        return cls(encoder, tuple(entries), encoder.features(pixels), recipe)

    @property
    def labels(self) -> list[str]:
        """The class of every entry."""
        return [entry.label for entry in self.entries]

    def with_images(self, entries: Sequence[Entry], pixels: Sequence[NDArray[np.uint8]]) -> Gallery:
        """The gallery with more images, described by the encoder as it is: nothing is trained.

        Raises:
            UserError: an image that it holds already, or a class that it knows as real is now not, or the reverse.
        """
        known = {entry.label: entry.real for entry in self.entries}
        held = {entry.sha256: entry for entry in self.entries}
        for entry in entries:
            if entry.sha256 in held:
                other = held[entry.sha256]
                raise UserError(f"{entry.image_id} is in the gallery already, as {other.image_id} of {other.label}")
            if known.setdefault(entry.label, entry.real) != entry.real:
                kind = "real" if known[entry.label] else "generated"
                raise UserError(f"the gallery knows {entry.label} as {kind}; give the other images another name")
            held[entry.sha256] = entry
        features = torch.cat([self.features, self.encoder.features(pixels)])
        return replace(self, entries=(*self.entries, *entries), features=features)

    def query(self, pixels: Sequence[NDArray[np.uint8]]) -> list[list[Match]]:
        """For each image uint8 (H, W, 3) every class, the most similar first; equals in alphabetical order."""
        similarity = cosine(self.encoder.features(pixels), self.features)
        return [self._matches(row) for row in similarity]

    def realness(self, pixels: Sequence[NDArray[np.uint8]]) -> list[float] | None:
        """Cosine of each image to the prototype of real images; None where the encoder has none."""
        if self.encoder.prototype is None:
            return None
        found: list[float] = cosine(self.encoder.features(pixels), self.encoder.prototype[None])[:, 0].tolist()
        return found

    def _matches(self, row: NDArray[np.float64]) -> list[Match]:
        best: dict[str, Match] = {}
        for entry, value in zip(self.entries, row.tolist(), strict=True):
            if entry.label not in best or value > best[entry.label].similarity:
                best[entry.label] = Match(entry.label, entry.real, value, entry.image_id)
        return sorted(best.values(), key=lambda match: (-match.similarity, match.label))

    def save(self, path: Path) -> None:
        """Write it as safetensors; an adapted encoder goes with it, another is named and recognised by its digest."""
        from safetensors.torch import save

        tensors = {"features": self.features.contiguous()}
        if self.encoder.prototype is not None:
            tensors["prototype"] = self.encoder.prototype.contiguous()
        if self.adapted is not None:
            state = self.encoder.network.state_dict()
            tensors |= {f"network.{name}": value.cpu().contiguous() for name, value in state.items()}
        about = {
            "format": FORMAT,
            "source": asdict(self.encoder.source),
            "encoder": self.encoder.digest,
            "adapted": asdict(self.adapted) if self.adapted else None,
            "entries": [asdict(entry) for entry in self.entries],
        }
        data = save(tensors, metadata={"iarbench-gallery": json.dumps(about)})
        write_atomically(path, lambda file: file.write(data))

    @classmethod
    def load(cls, path: Path) -> Gallery:
        """Read one that `save` wrote.

        Raises:
            UserError: no such file, not a gallery, or its encoder is no longer the one that described its images.
        """
        tensors, about = _read(path)
        source = Source(**about["source"])
        encoder = load_encoder(source)
        adapted = Recipe(**about["adapted"]) if about["adapted"] else None
        if adapted is not None:
            encoder.network.load_state_dict(below("network.", tensors))
        encoder = Encoder(source, encoder.network, tensors.get("prototype"))
        if encoder.digest != about["encoder"]:
            raise UserError(
                f"{path} was made with other weights than {source.weights!r} has now: build the gallery again"
            )
        return cls(encoder, tuple(Entry(**entry) for entry in about["entries"]), tensors["features"], adapted)


def entry_of(image_id: str, label: str, real: bool, pixels: NDArray[np.uint8]) -> Entry:
    """The entry of an image uint8 (H, W, 3)."""
    return Entry(image_id, label, real, hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest())


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"{path}: there is no such gallery; make one with `iarbench gallery build SET --out {path}`")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("iarbench-gallery")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is no gallery of `iarbench gallery build` ({' '.join(str(error).split())})") from None
    about = json.loads(text) if text else {}
    if about.get("format") != FORMAT:
        raise UserError(f"{path} is no gallery of `iarbench gallery build`, or of another version of it")
    return tensors, about
