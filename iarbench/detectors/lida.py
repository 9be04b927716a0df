"""LIDA (arXiv 2603.10583): the nearest of a few known images, in features of their low bits."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from iarbench.detector import Detector
from iarbench.errors import UserError
from iarbench.evidence import Evidence
from iarbench.fit_batch import FitBatch
from iarbench.retrieval.source import PACKAGED, Kind, Mode, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from iarbench.retrieval.encoders import Encoder

GALLERY, NETWORK = "gallery/", "network/"
"""What the names of learnt tensors begin with: features of a source's images, and weights of an adapted encoder."""


class Lida(Detector):
    """Retrieval from a gallery of k images per source, by the cosine of features of their low-bit fingerprints.

    The gallery is drawn from the split `fit`: of every generator and every set of real images the k images with the
    lowest hash of seed and pixels. Scores: ``lida``, the highest cosine to the target's gallery images minus the
    highest to all others', in [-2, 2]; ``own``, the former alone, in [-1, 1]. The paper retrieves and has no score per
    target; its answer is the target for which ``lida`` is positive.

    Args:
        fingerprint: what is kept of the three lowest bits; see `iarbench.retrieval.fingerprint.fingerprint`.
        mode: what a ResNet-50 sees of it; see `iarbench.retrieval.source.Source`.
        weights: a file with weights of a ResNet-50, else the packaged encoder, which sees the image at its own size.
        k: gallery images per source.
        seed: of the draw, and of the order of images in adaptation.
        adapt: whether the encoder is trained on the gallery first, as in the paper; else images are only registered.
        epochs, rate, temperature: of that training; see `iarbench.retrieval.adapt.Recipe`.
    """

    name = "lida"
    version = 2
    reads = frozenset({"image"})
    learns_once = True
    seconds_per_image: ClassVar[float | None] = 0.0011
    mib_per_image: ClassVar[float | None] = 0.61

    def __init__(
        self,
        fingerprint: Kind = "levels",
        mode: Mode = "full",
        weights: str = "small",
        k: int = 5,
        seed: int = 0,
        adapt: bool = False,
        epochs: int = 100,
        rate: float = 1e-4,
        temperature: float = 0.1,
    ) -> None:
        for what, value in (("k", k), ("epochs", epochs), ("rate", rate), ("temperature", temperature)):
            if value <= 0:
                raise UserError(f"detector 'lida': {what} is {value:g}; it must be above 0")
        self.source = Source(fingerprint, mode, weights)
        self.weights = () if weights == PACKAGED else (weights,)
        self.k, self.seed, self.adapt = k, seed, adapt
        self.epochs, self.rate, self.temperature = epochs, rate, temperature
        self._loaded: Encoder | None = None

    def fit(self, images: Iterable[FitBatch]) -> dict[str, Tensor]:
        """Features of the gallery, by source, and the adapted encoder's weights where there is one.

        Raises:
            UserError: a source with fewer than k images.
        """
        import torch

        from iarbench.retrieval.adapt import Recipe, adapt
        from iarbench.retrieval.encoders import load_encoder

        drawn, real, device = self._draw(images)
        labels = [source for source in sorted(drawn) for _ in drawn[source]]
        pixels = [image for source in sorted(drawn) for image in drawn[source]]
        encoder = load_encoder(self.source).to(device)
        learnt = {}
        if self.adapt:
            recipe = Recipe(epochs=self.epochs, rate=self.rate, temperature=self.temperature, seed=self.seed)
            with torch.enable_grad():
                encoder, _ = adapt(encoder, pixels, labels, [label in real for label in labels], recipe)
            learnt = {NETWORK + name: value for name, value in encoder.network.state_dict().items()}
        features = encoder.features(pixels)
        for source in drawn:
            learnt[GALLERY + source] = features[[label == source for label in labels]]
        return learnt

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        """``lida`` and ``own``, (B,) float64.

        Raises:
            UserError: no image of the target is in the gallery.
        """
        import torch

        from iarbench.nn.checkpoint import below
        from iarbench.stats.retrieval import cosine

        known = below(GALLERY, evidence.learnt)
        target = evidence.target.name
        if target not in known or len(known) < 2:
            raise UserError(f"the gallery needs images of {target} and of something else; it has {', '.join(known)}")
        # As pre-trained, an encoder gives the same features whatever the gallery.
        key = f"lida/{self.source}" + (f"/{self.k}/{self.seed}/{self._recipe()}" if self.adapt else "")
        features = evidence.signal(key, lambda: self._features(evidence), of_learnt=self.adapt)
        best = {source: cosine(features.numpy(), value.cpu().numpy()).max(1) for source, value in known.items()}
        own = torch.from_numpy(best.pop(target))
        others = torch.from_numpy(np.stack(list(best.values())).max(0))
        return {"lida": own - others, "own": own}

    def _recipe(self) -> str:
        return f"{self.epochs}/{self.rate}/{self.temperature}"

    def _draw(self, images: Iterable[FitBatch]) -> tuple[dict[str, list[NDArray[np.uint8]]], set[str], str]:
        """Source -> pixels of its k images, the sources that are real, and the device of the images."""
        # Only k images of a source are kept at a time: heaps of (minus rank, pixels), the highest rank first.
        heaps: dict[str, list[tuple[int, bytes, NDArray[np.uint8]]]] = {}
        real: set[str] = set()
        device = "cpu"
        for batch in images:
            device = str(batch.evidence.images.device)
            for source, is_real, image in zip(
                batch.sources, batch.real.tolist(), pixels_of(batch.evidence), strict=True
            ):
                data = np.ascontiguousarray(image).tobytes()
                rank = int.from_bytes(hashlib.sha256(f"{self.seed}\0{source}\0".encode() + data).digest())
                heap = heaps.setdefault(source, [])
                heapq.heappush(heap, (-rank, data, image))
                if len(heap) > self.k:
                    heapq.heappop(heap)
                if is_real:
                    real.add(source)
        for source, heap in heaps.items():
            if len(heap) < self.k:
                raise UserError(f"a gallery of {self.k} images per source: {source} has only {len(heap)}; lower k")
        return {source: [image for _, _, image in sorted(heap)] for source, heap in heaps.items()}, real, device

    def _features(self, evidence: Evidence) -> Tensor:
        from iarbench.nn.checkpoint import below
        from iarbench.retrieval.encoders import load_encoder

        if self._loaded is None:
            encoder = load_encoder(self.source)
            if self.adapt:
                encoder.network.load_state_dict(below(NETWORK, evidence.learnt))
            self._loaded = encoder.to(evidence.images.device)
        return self._loaded.features(list(pixels_of(evidence)))


def pixels_of(evidence: Evidence) -> NDArray[np.uint8]:
    """The images as they were before they were scaled to [0, 1]: uint8 (B, H, W, 3)."""
    from iarbench.generator import to_uint8

    return np.asarray(to_uint8(evidence.images).cpu().numpy(), dtype=np.uint8)
