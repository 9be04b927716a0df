from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from iarbench.detector import Detector, mse
from iarbench.evidence import Evidence
from iarbench.testing import check_detector, toy_images, toy_records, toy_target


class Base(Detector):
    name: ClassVar[str] = "mine"

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        return {"mine": self.value(evidence)}

    def value(self, evidence: Evidence) -> Tensor:
        return -mse(evidence.f, evidence.quantized.features)


class WrongWayRound(Base):
    def value(self, evidence: Evidence) -> Tensor:
        return -super().value(evidence)


class DependsOnBatch(Base):
    def value(self, evidence: Evidence) -> Tensor:
        values = super().value(evidence)
        return values - values.mean()


class NotFinite(Base):
    def value(self, evidence: Evidence) -> Tensor:
        return super().value(evidence) / 0


class Random(Base):
    def value(self, evidence: Evidence) -> Tensor:
        return super().value(evidence) - torch.rand(len(evidence.images))


class InPlace(Base):
    def value(self, evidence: Evidence) -> Tensor:
        evidence.images.mul_(0.5)
        return super().value(evidence)


class Counts(Base):
    calls = 0

    def value(self, evidence: Evidence) -> Tensor:
        self.calls += 1
        return super().value(evidence) + self.calls


def test_a_sound_detector_passes() -> None:
    check_detector(Base())


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        (WrongWayRound(), "WrongWayRound: orientation: .*must be higher"),
        (DependsOnBatch(), "DependsOnBatch: batch invariance: .*must not depend on the rest of the batch"),
        (NotFinite(), "NotFinite: sound scores: score 'mine' is -inf for 32 of 32 images"),
        (Random(), "Random: batch invariance: .*random numbers"),
        (InPlace(), r"InPlace: input untouched: it changes evidence\.images in place"),
        (Counts(), "Counts: determinism: mine differs"),
    ],
)
def test_each_broken_promise_is_named(detector: Detector, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_detector(detector)


@pytest.mark.parametrize("offset", [0, 25, 50])
def test_images_of_a_toy_reencode_onto_its_codebook(offset: int) -> None:
    tokenizer = toy_target(offset=offset).tokenizer
    images = torch.from_numpy(toy_images(5, 1, offset)).permute(0, 3, 1, 2).float() / 255
    quantized = tokenizer.quantize(tokenizer.encode(images))
    assert quantized.tokens.shape == (5, 16)
    torch.testing.assert_close(tokenizer.lookup(quantized.tokens), quantized.features)
    assert (tokenizer.decode(quantized.features) * 255 - images * 255).abs().max() < 1e-3


def test_records_are_what_the_images_are(tmp_path: Path) -> None:
    (record,) = toy_records(1, "toy-a", "test", seed=9, offset=0)
    assert (record.image_id, record.source, record.split, record.format) == ("toy-a/test/00000", "toy-a", "test", "PNG")
    pixels = torch.from_numpy(toy_images(1, 9, 0))[0]
    assert list(record.pil().tobytes()) == pixels.flatten().tolist()
