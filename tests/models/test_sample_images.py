"""Sampling: one random stream an image, whatever the batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from iarbench.checks.goldens import read_golden
from iarbench.generator import Generator
from iarbench.models import variants
from iarbench.models.sample_images import image_name, make_records, seed_of

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(params=["llamagen", "var"])
def generator(request: pytest.FixtureRequest) -> Generator:
    return read_golden(GOLDEN / request.param).model


def test_images_do_not_depend_on_the_batch(generator: Generator) -> None:
    one = list(make_records(generator, "toy", "test", 5, conditions=range(10), batch=1))
    five = list(make_records(generator, "toy", "test", 5, conditions=range(10), batch=5))
    assert [r.bytes for r in one] == [r.bytes for r in five]
    assert [r.tokens for r in one] == [r.tokens for r in five]
    assert len({r.sha256 for r in one}) == 5


def test_images_carry_the_licence_of_their_generator(generator: Generator) -> None:
    (one,) = make_records(generator, "toy", "test", 1, conditions=range(10), licence="CC0-1.0")
    assert one.licence == "CC0-1.0"
    assert {variant.image_licence for variant in variants.minis()} == {"CC0-1.0"}


def test_more_images_leave_the_first_as_they_are(generator: Generator) -> None:
    two = list(make_records(generator, "toy", "test", 2, conditions=range(10)))
    four = list(make_records(generator, "toy", "test", 4, conditions=range(10)))
    assert [r.sha256 for r in four[:2]] == [r.sha256 for r in two]


def test_another_split_or_base_seed_makes_other_images(generator: Generator) -> None:
    sets = [
        [r.sha256 for r in make_records(generator, "toy", split, 2, conditions=range(10), base_seed=seed)]
        for split, seed in (("test", 0), ("calibration", 0), ("test", 1))
    ]
    assert len({digest for images in sets for digest in images}) == 6


def test_tokens_decode_to_the_stored_picture(generator: Generator) -> None:
    (record,) = make_records(generator, "toy", "test", 1, conditions=range(10))
    with torch.inference_mode():
        decoded = generator.tokenizer.decode(generator.tokenizer.lookup(torch.tensor([record.tokens])))
    pixels = (decoded[0] * 255).round().permute(1, 2, 0).to(torch.uint8)
    assert pixels.tolist() == torch.tensor(list(record.pil().tobytes())).view(*pixels.shape).tolist()


def test_the_condition_matters(generator: Generator) -> None:
    first, second = (generator.sample(torch.tensor([label]), [3]).tokens for label in (0, 1))
    assert first.tolist() != second.tolist()


def test_seeds_are_stable_across_releases() -> None:
    assert image_name("var-mini", "train", 7) == "var-mini/train/000007"
    assert seed_of("var-mini/train/000007") == 5091541375464214663
    assert seed_of("var-mini/train/000007", base=1) == 7858367450386585401
