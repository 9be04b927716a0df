"""For tests, here and in other packages: a toy generator that costs nothing, and a check of detectors.

The toy's codebook holds the colours of a regular grid and its decoder paints each cell of an image in one of them, so
that its images re-encode onto the codebook exactly, as those of a perfect tokenizer would; other images do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from iarbench.detector import Detector, what_it_reads
from iarbench.evidence import Target
from iarbench.generator import Generator
from iarbench.images.decode import encode
from iarbench.images.record import ImageRecord
from iarbench.nn.sampling import Greedy, Streams
from iarbench.tokenizer import Quantized, Tokenizer

LEVELS, STEP = 5, 51
"""Grey levels a colour channel can take: `offset`, `offset` + 51, ... five of them, exact in 8 bits."""


class ToyEncoder(nn.Module):
    """Mean colour of every cell, times ``gain``."""

    def __init__(self, cell: int) -> None:
        super().__init__()
        self.cell = cell
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        return F.avg_pool2d(images, self.cell) * self.gain


class ToyTokenizer(Tokenizer):
    """Features are mean colours (B, 3, h, w) of cells of `config["cell"]` pixels, tokens their nearest grid colours.

    Weights: ``offset``, the lowest grey level of the grid in [0, 50], by which toys differ; ``encoder.gain``, which an
    encoder that inverts the decoder has at 1.
    """

    native_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(self, config: Mapping[str, Any], image_size: int) -> None:
        super().__init__(config, image_size)
        self.offset: Tensor
        self.cell = int(config["cell"])
        self.encoder = ToyEncoder(self.cell)
        self.register_buffer("offset", torch.tensor(float(config.get("offset", 0))))

    def encode_native(self, images: Tensor) -> Tensor:
        return self.encoder(images)

    def decode_native(self, features: Tensor) -> Tensor:
        return F.interpolate(features, scale_factor=float(self.cell), mode="nearest")

    def quantize(self, features: Tensor) -> Quantized:
        levels = ((features * 255 - self.offset) / STEP).round().clamp(0, LEVELS - 1)
        red, green, blue = levels.long().unbind(1)
        return Quantized(((red * LEVELS + green) * LEVELS + blue).flatten(1), self._colours(levels))

    def lookup(self, tokens: Tensor) -> Tensor:
        side = math.isqrt(tokens.shape[1])
        levels = torch.stack([tokens // LEVELS**2, tokens // LEVELS % LEVELS, tokens % LEVELS], dim=1)
        return self._colours(levels.view(len(tokens), 3, side, side).float())

    def released_key(self, name: str) -> str | None:
        """Our names are the released ones."""
        return name

    def _colours(self, levels: Tensor) -> Tensor:
        return (levels * STEP + self.offset) / 255


class ToyGenerator(Generator):
    """Draws every token from all colours alike; needs no transformer."""

    tokenizer_class = ToyTokenizer

    def sample_tokens(self, conditions: Tensor, streams: Streams | Greedy, **sampling: Any) -> Tensor:
        tokenizer: Any = self.tokenizer
        cells = (tokenizer.image_size // tokenizer.cell) ** 2
        flat = torch.zeros(len(conditions), LEVELS**3, device=conditions.device)
        return torch.stack([streams.draw(flat) for _ in range(cells)], dim=1)

    def training_loss(self, tokens: Tensor, classes: Tensor, features: Tensor | None = None) -> Tensor:
        raise NotImplementedError("a toy has nothing to train")


def toy_target(name: str = "toy-a", offset: int = 0, image_size: int = 16, cell: int = 4) -> Target:
    """A target on the CPU, without files."""
    tokenizer = ToyTokenizer({"cell": cell, "offset": offset}, image_size).eval().requires_grad_(False)
    return Target(name, "toy", "original", tokenizer, f"{offset:064x}", image_size)


def toy_images(count: int, seed: int, offset: int | None, image_size: int = 16, cell: int = 4) -> np.ndarray:
    """Images uint8 (count, H, W, 3): of the toy with this offset, or smooth noise that no toy made where it is None."""
    rng = np.random.default_rng(seed)
    if offset is None:
        coarse = rng.integers(0, 256, (count, image_size // 2, image_size // 2, 3))
        return coarse.repeat(2, axis=1).repeat(2, axis=2).astype(np.uint8)
    side = image_size // cell
    cells = rng.integers(0, LEVELS, (count, side, side, 3)) * STEP + offset
    return cells.repeat(cell, axis=1).repeat(cell, axis=2).astype(np.uint8)


def toy_records(count: int, source: str, split: str, seed: int, offset: int | None = None) -> Iterator[ImageRecord]:
    """Records of `toy_images` as PNG; ids are "<source>/<split>/<number>"."""
    for number, pixels in enumerate(toy_images(count, seed, offset)):
        yield ImageRecord.make(
            encode(Image.fromarray(pixels), "png"),
            image_id=f"{source}/{split}/{number:05}",
            source=source,
            split=split,
        )


def write_toy_family(folder: Path, offsets: Mapping[str, int]) -> Path:
    """A folder with the YAML and the weights of toys called by the keys of `offsets`; their original encoder is 3 %
    off, their inverse encoder exact. $IARBENCH_GENERATORS takes such a folder.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    lines = ["family: toy", "code: iarbench.testing:ToyGenerator", "image_size: 16", "tokenizer: {cell: 4}"]
    lines += ["transformer: {}", "sampling: {default: {}}", "licence: none", "citation: none", "variants:"]
    for name, offset in offsets.items():
        weights = {"offset": torch.tensor(float(offset)), "encoder.gain": torch.tensor(1.03)}
        save_file(weights, folder / f"{name}.safetensors")
        save_file({"encoder.gain": torch.tensor(1.0)}, folder / f"{name}-inverse.safetensors")
        files = f"tokenizer: {{path: {name}.safetensors}}, inverse: {{path: {name}-inverse.safetensors}}"
        lines += [f"  {name}:", f"    files: {{{files}}}"]
    (folder / "toy.yaml").write_text("\n".join(lines) + "\n")
    return folder


def check_detector(detector: Detector) -> None:
    """Assert what every detector must hold, on a toy target: sound scores, input left as it is, the same scores twice
    and whatever else is in the batch, and higher ones for the target's own images (where it reads the tokenizer).

    Raises:
        AssertionError: naming what does not hold.
    """
    from iarbench.checks.detector_conformance import examine, toy_bench

    for one in examine(detector, toy_bench(what_it_reads(type(detector)))):
        assert one.holds, f"{type(detector).__name__}: {one.name}: {one.seen}"
