"""`--align`: images are brought back onto a target's grid of tokens before they are scored.

A crop moves the grid of tokens, and a crop that is enlarged again stretches it as well: no token is where its encoder
reads, and scores fall to those of strangers. The search tries every phase of the grid and, for `phase-scale`, several
scales, keeps what lies nearest to the codebook (by the quantisation error of arXiv 2606.28386, Eq. 4), and lets the
detector score that. The score of an image is the highest over the few candidates kept and the image as it is. Every
image is searched alike, calibration images too, so that thresholds stay honest: a stranger gains by the search as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from iarbench.alignment import Align
from iarbench.detector import Detector, mse
from iarbench.evidence import Evidence

if TYPE_CHECKING:
    from iarbench.fit_batch import FitBatch

SCALES = (1.0, *(k / 64 for k in range(61, 45, -3)))
"""Sizes that are tried, as fractions of the image's: down to 0.72; a second step refines the best of them."""

KEPT = 2
"""Candidates that the detector scores beside the image as it is."""

CONTRAST = "contrast"
EPSILON = 1e-10  # features may lie on the codebook exactly


class Aligned(Detector):
    """A detector whose images are aligned first; its scores keep their names, and are the best over the candidates.

    One more score, ``contrast``: minus the smallest quantisation error of the search over its median, so that an image
    is compared with itself off the grid. It needs no decoder and does not depend on how hard the image is.
    """

    def __init__(self, inner: Detector, align: Align) -> None:
        self.inner, self.align = inner, align
        self.name, self.requires = inner.name, inner.requires | {"quantize"}  # type: ignore[misc]

    def fit(self, images: Iterable[FitBatch]) -> dict[str, Tensor]:
        """Let the detector learn, from images as they are."""
        return self.inner.fit(images)

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        found = evidence.signal(f"align/{self.align}", lambda: search(evidence, self.align), of_learnt=False)
        best: dict[str, Tensor] = {}
        for images in (evidence.images, *found.images):
            again = evidence.of(images)
            for name, scores in self.inner.score(again).items():
                best[name] = torch.maximum(best[name], scores) if name in best else scores
        return {**best, CONTRAST: found.contrast}


@dataclass(frozen=True, slots=True)
class Found:
    """What a search ends with: candidates (B, 3, H, W), every image under its own alignment, and `contrast` (B,)."""

    images: tuple[Tensor, ...]
    contrast: Tensor


@dataclass(frozen=True, slots=True)
class Grid:
    """Alignments of B images, each int64 (B,): the side that the image is made, and how far it is moved in pixels."""

    size: Tensor
    right: Tensor
    down: Tensor


def search(evidence: Evidence, align: Align) -> Found:
    """The alignments under which each image of a batch lies nearest to the codebook."""
    images = evidence.images
    side, (token, unit) = images.shape[-1], steps(evidence)
    sizes = [round(side * scale) for scale in (SCALES if align == "phase-scale" else SCALES[:1])]
    phase = max(1, token // 8)  # 64 phases, however large the tokens
    errors, grids = [], []
    for size in dict.fromkeys(sizes):
        for down in range(0, token, phase):
            for right in range(0, token, phase):
                grids.append((size, right, down))
                errors.append(_error(evidence, moved(images, size, right, down)))
    error, tried = torch.stack(errors), torch.tensor(grids, device=images.device)
    order = error.argsort(dim=0, stable=True)[:KEPT]  # (KEPT, B)
    kept, left = [], []
    for place in order:
        grid, least = Grid(*tried[place].unbind(1)), error.gather(0, place[None])[0]
        for near in _around(grid, phase, unit if align == "phase-scale" else 0, side):
            now = _error(evidence, aligned(images, near))
            better = now < least
            least = torch.where(better, now, least)
            grid = Grid(*(torch.where(better, a, b) for a, b in zip(_parts(near), _parts(grid), strict=True)))
        kept.append(aligned(images, grid))
        left.append(least)
    contrast = -(torch.stack(left).amin(0) + EPSILON) / (error.median(0).values + EPSILON)
    return Found(tuple(kept), contrast)


def steps(evidence: Evidence) -> tuple[int, int]:
    """Side of a token in pixels, and what a size is changed by when it is refined."""
    side = evidence.images.shape[-1]
    return side // evidence.f.shape[-1], max(1, side // 64)


def _around(grid: Grid, phase: int, unit: int, side: int) -> Iterator[Grid]:
    """Alignments near those of a search in steps; `phase`, `unit`: its steps in position and, 0 for none, in size."""
    for size in (-unit, 0, unit) if unit else (0,):
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                if size or (phase > 1 and (down or right)):
                    move = max(1, phase // 2)
                    changed = (grid.size + size).clamp(max=side)
                    yield Grid(changed, grid.right + right * move, grid.down + down * move)


def _parts(grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
    return grid.size, grid.right, grid.down


def _error(evidence: Evidence, images: Tensor) -> Tensor:
    """Distance (B,) of images from the codebook: the family's own, greedy quantiser."""
    features = evidence.encode(images)
    return mse(features, evidence.target.tokenizer.quantize(features).features)


def aligned(images: Tensor, grid: Grid) -> Tensor:
    """Images (B, 3, H, W), each under its own alignment."""
    each = zip(images.split(1), *(part.tolist() for part in _parts(grid)), strict=True)
    return torch.cat([moved(image, size, right, down) for image, size, right, down in each])


def moved(images: Tensor, size: int, right: int, down: int) -> Tensor:
    """Images (B, 3, S, S) made `size` pixels large (bicubic, antialiased) and moved; mirror images fill the rest."""
    side = images.shape[-1]
    small = images
    if size != side:
        small = F.interpolate(images, size=(size, size), mode="bicubic", antialias=True).clamp(0, 1)
    x, y = (_mirrored(torch.arange(side, device=images.device) - by, size) for by in (right, down))
    return small[..., y[:, None], x].contiguous(memory_format=torch.channels_last)


def _mirrored(places: Tensor, size: int) -> Tensor:
    """Places beyond [0, size) mirrored into it, the outermost pixel being repeated."""
    inside = places % (2 * size)
    return torch.where(inside < size, inside, 2 * size - 1 - inside)
