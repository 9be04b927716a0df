"""From pixels to the features that retrieval compares: a fingerprint and the network that describes it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

import iarbench.retrieval
from iarbench.errors import UserError
from iarbench.nn.checkpoint import below, read_state
from iarbench.nn.threads import one_thread
from iarbench.progress import counted
from iarbench.retrieval.fingerprint import channels, fingerprint, full_map
from iarbench.retrieval.resnet50 import load_resnet50
from iarbench.retrieval.small_resnet import SmallResNet
from iarbench.retrieval.source import PACKAGED, Kind, Source
from iarbench.retrieval.tiles import patch_map

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 16
"""Images that go through the network at once, always as many: the shape of a batch decides how a CPU rounds."""


class Encoder:
    """A network, what it is fed with, and the prototype of real images where it has one.

    ``prototype``: float32 (D,), the mean feature of real images in pre-training; None for weights that come without.
    """

    def __init__(self, source: Source, network: nn.Module, prototype: Tensor | None) -> None:
        self.source, self.network, self.prototype = source, network.eval(), prototype
        self.device = torch.device("cpu")

    def to(self, device: torch.device | str) -> Encoder:
        """The same on another device."""
        self.device = torch.device(device)
        self.network.to(self.device)
        return self

    def copy(self) -> Encoder:
        """One with a network of its own."""
        return Encoder(self.source, deepcopy(self.network), self.prototype).to(self.device)

    @property
    def digest(self) -> str:
        """SHA-256 over names and values of all weights."""
        found = hashlib.sha256()
        for name, value in self.network.state_dict().items():
            found.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    def maps(self, pixels: Iterable[NDArray[np.uint8]]) -> Tensor:
        """What the network sees of images uint8 (H, W, 3) of one size: float32 (B, C, H, W) in [0, 1].

        The small encoder sees fingerprints at their own size, a ResNet-50 the map of 256 x 256 or a tile of it.
        """
        kind, mode = self.source.fingerprint, self.source.mode
        if self.source.weights == PACKAGED:
            found = [fingerprint(image, kind) for image in pixels]
        else:
            found = [full_map(image, kind) for image in pixels]
            if mode != "full":
                found = [patch_map(image, "max" if mode == "patch-max" else "min") for image in found]
        stacked = torch.from_numpy(np.stack(found)).to(self.device)
        return (stacked.permute(0, 3, 1, 2).float() / 255).contiguous(memory_format=torch.channels_last)

    def features(self, pixels: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Features float32 (N, D), on the CPU, of images uint8 (H, W, 3), each of its own size."""
        if not len(pixels):
            raise UserError("there are no images to describe")
        rows: list[Tensor | None] = [None] * len(pixels)
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for place, image in enumerate(pixels):
            by_shape.setdefault(image.shape, []).append(place)
        batches = [
            places[start : start + BATCH] for places in by_shape.values() for start in range(0, len(places), BATCH)
        ]
        for chosen in counted(batches, "describing images", len(batches), "batches"):
            filled = chosen + chosen[-1:] * (BATCH - len(chosen))
            with one_thread(), torch.no_grad():
                found = self.network(self.maps(pixels[place] for place in filled)).float().cpu()
            for row, place in enumerate(chosen):
                rows[place] = found[row]
        return torch.stack([row for row in rows if row is not None])


def load_encoder(source: Source) -> Encoder:
    """The encoder that `source` describes.

    Raises:
        UserError: no such file, weights that fit no ResNet-50, or a mode that the small encoder has not.
    """
    if source.weights != PACKAGED:
        return Encoder(source, load_resnet50(Path(source.weights).expanduser(), channels(source.fingerprint)), None)
    if source.mode != "full":
        raise UserError(
            f"mode {source.mode!r}: the small encoder sees the whole fingerprint; tiles are for a ResNet-50, whose "
            "weights you name"
        )
    state = _packaged(source.fingerprint)
    network = SmallResNet(channels(source.fingerprint))
    network.load_state_dict(below("encoder.", state))
    return Encoder(source, network.to(memory_format=torch.channels_last), state["prototype"])  # type: ignore[call-overload]


def packaged_path(kind: Kind) -> Path:
    """The file of the packaged encoder for a fingerprint; `tools/train_lida.py` makes it."""
    return Path(iarbench.retrieval.__path__[0]) / f"lida-{kind}.safetensors"


@cache
def _packaged(kind: Kind) -> Mapping[str, Tensor]:
    return read_state(packaged_path(kind))
