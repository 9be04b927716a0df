"""Fusion: what QuantLoss, EncLoss and reconstruction say of an image together.

Each of them survives other attacks, and how hard an image is moves all of them alike. A small network learns from
images of the split `fit`, clean and attacked, what they mean together. The combined score of arXiv 2606.28386 (Eq. 11)
is the product of two of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from iarbench.detector import Detector, mse
from iarbench.detectors.quantloss import SOLVER, can_search
from iarbench.errors import UserError
from iarbench.evidence import Evidence
from iarbench.fit_batch import FitBatch

if TYPE_CHECKING:
    from torch import Tensor

COPIES = ("weak", "medium", "strong")
"""What every image is learned from beside itself: a copy under a random attack of each of these strengths."""
HIDDEN = 64
"""Units of the hidden layer, rectified."""
DECAY = 1.0
"""Times half the squared sum of all weights, added to the summed cross-entropy."""
EPSILON = 1e-10
"""Added to every error before its logarithm is taken: some are 0, exactly."""
CONSTANT = 1e-6
"""Signals whose standard deviation over the images that it learns from is less are not scaled by it."""


class Fusion(Detector):
    """QuantLoss, EncLoss and reconstruction, weighed by a small network that learned from clean and attacked images.

    Signals of an image, all but the last three as logarithms: the quantisation error before and, where there is a
    search, after it; the pixel error that decoding the codes of either leaves; the errors of EncLoss's two trips; the
    mean square of the features, and of the difference of neighbouring pixels, which say how hard the image is; the
    fraction of pixel values at an end of their range, their mean and standard deviation. The network has one hidden
    layer. Score: ``fusion``, log-odds, 0 = even odds of own and other.

    It learns from the split `fit`: every image, and a copy of it under an attack of each of three strengths
    (`iarbench.attacks.schedule`: JPEG, blur, noise, smaller sizes, brightness, saturation, contrast). These kinds of
    attacks it knows; others it does not. Images of generators with the same tokenizer are not shown: nothing here could
    tell them apart.
    """

    name: ClassVar[str] = "fusion"
    requires: ClassVar[frozenset[str]] = frozenset({"quantize", "decode"})
    siblings_alike: ClassVar[bool] = True
    seconds_per_image: ClassVar[float | None] = 0.085
    mib_per_image: ClassVar[float | None] = 4.8

    def fit(self, images: Iterable[FitBatch]) -> dict[str, Tensor]:
        import torch

        rng = np.random.default_rng(0)
        signals, sides = [], []
        for place, (evidence, own) in enumerate(images):
            signals.append(_signals(evidence))
            for strength in COPIES:
                signals.append(_signals(evidence.of(_attacked(evidence.images, strength, rng, f"{strength}/{place}"))))
            sides += [own] * (1 + len(COPIES))
        own = torch.cat(sides)
        if own.all() or not own.any():
            raise UserError("there are images of one side only to learn from")
        return _learn(torch.cat(signals), own)

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        learnt = evidence.learnt
        standard = (_signals(evidence) - learnt["mean"]) / learnt["deviation"]
        hidden = (standard @ learnt["hidden"] + learnt["bias"]).relu()
        return {"fusion": hidden @ learnt["weights"] + learnt["odds"]}


def _signals(evidence: Evidence) -> Tensor:
    """Signals float32 (B, S) of a batch; S is 11 where there is a search, else 9."""
    return evidence.signal("fusion/signals", lambda: _computed(evidence), of_learnt=False)


def _computed(evidence: Evidence) -> Tensor:
    import torch

    images, f = evidence.images, evidence.f
    codes, decoded = [evidence.quantized.features], [evidence.x_hat_quant]
    if can_search(evidence):
        codes.append(evidence.searched(SOLVER).features)
        decoded.append(evidence.decode(codes[-1]))
    errors = [
        *(mse(f, found) for found in codes),
        *(mse(found, images) for found in decoded),
        mse(evidence.x_hat, images),
        mse(evidence.x_hat_hat, evidence.x_hat),
        f.square().flatten(1).mean(1),
        images.diff(dim=2).square().flatten(1).mean(1) + images.diff(dim=3).square().flatten(1).mean(1),
    ]
    values = images.flatten(1)
    ends = ((values <= 0) | (values >= 1)).float().mean(1)
    return torch.stack([*((error + EPSILON).log() for error in errors), ends, values.mean(1), values.std(1)], dim=1)


def _learn(signals: Tensor, own: Tensor) -> dict[str, Tensor]:
    """What `Fusion.score` needs, from signals (N, S) of images and which of them are own, bool (N,)."""
    import torch
    from sklearn.neural_network import MLPClassifier

    values = signals.cpu().double()  # not every device has doubles
    mean, deviation = values.mean(0), values.std(0)
    deviation = deviation.masked_fill(deviation < CONSTANT, 1)
    network = MLPClassifier((HIDDEN,), alpha=DECAY, solver="lbfgs", max_iter=5000, random_state=0)
    network.fit(((values - mean) / deviation).numpy(), own.cpu().numpy())
    first, second = (torch.from_numpy(weights) for weights in network.coefs_)
    bias, odds = (torch.from_numpy(biases) for biases in network.intercepts_)
    odds = odds[0] - torch.log(own.sum() / (~own).sum()).cpu()  # as if there were as many own images as others
    learnt = {
        "mean": mean,
        "deviation": deviation,
        "hidden": first,
        "bias": bias,
        "weights": second[:, 0],
        "odds": odds,
    }
    return {name: value.float() for name, value in learnt.items()}


def _attacked(images: Tensor, strength: str, rng: np.random.Generator, name: str) -> Tensor:
    """Every one of the images (B, 3, H, W) under a random attack of that strength; ``name``: of its own randomness."""
    import torch

    from iarbench.attacks.schedule import attacked_each
    from iarbench.generator import to_uint8

    made = attacked_each(to_uint8(images.clamp(0, 1)).cpu().numpy(), strength, rng, name)
    return torch.from_numpy(made).to(images.device).permute(0, 3, 1, 2).float() / 255
