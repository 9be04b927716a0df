"""The packaged minis and their image set: what they are, and that the answer depends on whose images are scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from iarbench.cli import main
from iarbench.content import images_path
from iarbench.detector import Detector, apply
from iarbench.detectors.descent import QuantLossDescent
from iarbench.detectors.quantloss import QuantLoss
from iarbench.evidence import Evidence
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.models.loading import load_generator, load_target
from iarbench.stats.metrics import auroc
from iarbench.stats.thresholds import Scores
from iarbench.task import Task
from tools.zoo_page import page

COUNT = 40
MINIS = [name for name in variants.names() if "mini" in name.split("-")]


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return ImageSet.open(images_path("iarbench-mini"))


def scores(
    images: ImageSet,
    source: str,
    target: str,
    encoder: str = "inverse",
    detector: Detector | None = None,
    count: int = COUNT,
    score: str | None = None,
) -> np.ndarray:
    detector = detector or QuantLoss()
    records = next(images.filter(source=source, split="test").iterate(batch_size=count))
    pixels = torch.stack([torch.from_numpy(np.array(record.pil())) for record in records])
    evidence = Evidence(load_target(target, encoder), pixels.permute(0, 3, 1, 2).float() / 255)
    return np.array(apply(detector, evidence).scores[score or detector.name])


def test_the_set_is_whole_and_its_sides_have_one_format(images: ImageSet) -> None:
    index = images.index()
    assert set(index["source"]) == {*MINIS, "photos-free"}
    assert set(index["format"]) == {"WEBP"}
    assert set(zip(index["width"], index["height"], strict=True)) == {(64, 64)}
    assert images.verify() == []


@pytest.mark.parametrize("name", MINIS)
def test_every_target_has_a_pooled_threshold_at_one_percent(images: ImageSet, name: str) -> None:
    counts = images.index().groupby(["source", "split"]).size()
    parts = Task.load("mini").result_task().nonmember_sets(name)["pooled"]
    sizes = [sum(counts[source, "calibration"] for source in part) for part in parts]
    assert np.mean([1 / (size + 1) for size in sizes]) <= 0.01


def test_photographs_and_seeds_are_disjoint_between_splits(images: ImageSet) -> None:
    index = images.index()
    for column in ("group", "sha256"):
        test, calibration = (set(index.loc[index["split"] == s, column]) for s in ("test", "calibration"))
        assert not test & calibration
    made = index[index["source"] != "photos-free"]
    assert made["seed"].is_unique


@pytest.mark.parametrize("name", MINIS)
def test_members_are_what_the_shipped_weights_make(images: ImageSet, name: str) -> None:
    (record,) = next(images.filter(source=name, split="test").iterate(batch_size=1))
    generator = load_generator(name)
    text = variants.get(name).conditions == "text"
    condition = [record.condition] if text else torch.tensor([int(record.condition)])
    sample = generator.sample(condition, [record.seed])
    assert sample.tokens[0].tolist() == list(record.tokens)
    difference = np.abs(np.array(record.pil(), dtype=int) - sample.images[0].numpy())
    assert difference.max() <= 1  # another processor may round a grey level differently


def test_quantloss_knows_whose_images_they_are(images: ImageSet) -> None:
    own, other, real = (scores(images, s, "llamagen-mini") for s in ("llamagen-mini", "var-mini", "photos-free"))
    assert auroc(Scores.of(own), Scores.of(real)).value > 0.9
    assert auroc(Scores.of(own), Scores.of(other)).value > 0.9
    # The same images against the other target: the separation must go.
    wrong = scores(images, "llamagen-mini", "var-mini")
    assert auroc(Scores.of(wrong), Scores.of(scores(images, "photos-free", "var-mini"))).value < 0.8


def test_codes_in_all_directions_let_quantloss_see_taming(images: ImageSet) -> None:
    own, real = (scores(images, source, "taming-mini") for source in ("taming-mini", "photos-free"))
    assert auroc(Scores.of(own), Scores.of(real)).value > 0.85


def test_the_inverse_encoder_is_what_makes_it_work(images: ImageSet) -> None:
    values = {
        encoder: auroc(
            Scores.of(scores(images, "llamagen-mini", "llamagen-mini", encoder)),
            Scores.of(scores(images, "photos-free", "llamagen-mini", encoder)),
        ).value
        for encoder in ("original", "inverse")
    }
    assert values["inverse"] > values["original"] + 0.15


def test_codes_that_differ_between_neighbours_let_greedy_quantloss_see_infinity(images: ImageSet) -> None:
    own, real = (scores(images, source, "infinity-mini", score="greedy") for source in ("infinity-mini", "photos-free"))
    assert auroc(Scores.of(own), Scores.of(real)).value > 0.85


@pytest.mark.parametrize(("target", "separated"), [("rar-mini", 0.85), ("var-mini", 0.9)])
def test_descent_separates_where_a_single_guess_does_not(images: ImageSet, target: str, separated: float) -> None:
    values = {
        detector.name: auroc(
            *(
                Scores.of(scores(images, source, target, detector=detector, count=16))
                for source in (target, "photos-free")
            )
        ).value
        for detector in (QuantLoss(), QuantLossDescent())
    }
    assert values["quantloss"] < 0.8
    assert values["quantloss-descent"] > separated


def test_generators_with_one_tokenizer_score_alike(images: ImageSet) -> None:
    own = scores(images, "var-mini", "var-mini")
    assert np.array_equal(own, scores(images, "var-mini", "var-mini-s"))
    twin = auroc(Scores.of(own), Scores.of(scores(images, "var-mini-s", "var-mini"))).value
    assert 0.3 < twin < 0.7


def test_a_picture_is_traced_with_the_packaged_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IARBENCH_CACHE", str(tmp_path))
    made = load_generator("taming-mini").sample(torch.tensor([3]), [12345]).images[0].numpy()
    Image.fromarray(made).save(tmp_path / "picture.png")
    assert main(["trace", str(tmp_path / "picture.png"), "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1] == "taming-mini"


def test_the_cards_page_is_what_the_descriptions_say() -> None:
    assert (Path(__file__).parents[1] / "docs" / "zoo.md").read_text() == page()
