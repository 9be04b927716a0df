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
from iarbench.detectors.quantloss import QuantLoss
from iarbench.evidence import Evidence
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.models.loading import load_generator, load_sampler, load_target
from iarbench.models.sample_images import make_records
from iarbench.stats.metrics import auroc
from iarbench.stats.thresholds import Scores
from iarbench.task import Task
from tools.zoo_page import page

COUNT = 40
MINIS = [name for name in variants.names() if "mini" in name.split("-")]
REAL = ("flickr", "wallpapers")


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
    counts = index.groupby(["source", "split"]).size()
    for name in MINIS:
        assert dict(counts[name]) == {"test": 250, "calibration": 150, "fit": 100}
    assert dict(counts["flickr"]) == {"test": 302, "calibration": 300, "fit": 123}
    assert dict(counts["wallpapers"]) == {"test": 90, "calibration": 132}
    assert set(index["source"]) == {*MINIS, "flickr", "wallpapers"}
    assert set(index["format"]) == {"WEBP"}
    assert set(zip(index["width"], index["height"], strict=True)) == {(64, 64)}
    assert images.verify() == []


def test_every_photograph_names_its_author_and_licence(images: ImageSet) -> None:
    index = images.filter(source="flickr").index()
    assert set(index["licence"]) == {"CC-BY-2.0"}
    assert index["author"].notna().all()
    assert index["page"].str.match("https?://(www[.])?flickr[.]com/").all()


@pytest.mark.parametrize("name", MINIS)
def test_every_target_has_a_pooled_threshold_at_one_percent(images: ImageSet, name: str) -> None:
    counts = images.index().groupby(["source", "split"]).size()
    parts = Task.load("mini").result_task().nonmember_sets(name)["pooled"]
    sizes = [sum(counts[source, "calibration"] for source in part) for part in parts]
    assert np.mean([1 / (size + 1) for size in sizes]) <= 0.01


def test_photographers_and_seeds_are_disjoint_between_splits(images: ImageSet) -> None:
    index = images.index()
    for column in ("group", "sha256"):
        assert (index.groupby(column)["split"].nunique() == 1).all()
    made = index[~index["source"].isin(REAL)]
    assert made["seed"].is_unique


@pytest.mark.parametrize("name", MINIS)
def test_members_are_what_the_shipped_weights_make(images: ImageSet, name: str) -> None:
    stored = next(images.filter(source=name, split="test").iterate(batch_size=2))
    variant = variants.get(name)
    again = make_records(load_sampler(name), name, "test", 2, variant.every_condition)
    for old, new in zip(stored, again, strict=True):
        assert new.tokens == old.tokens
        assert np.array_equal(np.asarray(new.pil()), np.asarray(old.pil()))


@pytest.mark.parametrize("name", [name for name in MINIS if name != "var-mini-s"])
def test_quantloss_knows_whose_images_they_are(images: ImageSet, name: str) -> None:
    own, real = (scores(images, source, name) for source in (name, "flickr"))
    assert auroc(Scores.of(own), Scores.of(real)).value > 0.97
    # the images of another generator against this target: they must not pass for its own
    other = "taming-mini" if name != "taming-mini" else "llamagen-mini"
    assert auroc(Scores.of(own), Scores.of(scores(images, other, name))).value > 0.97


def test_the_search_is_what_var_needs(images: ImageSet) -> None:
    found = {
        score: auroc(*(Scores.of(scores(images, source, "var-mini", score=score)) for source in ("var-mini", "flickr")))
        for score in ("quantloss", "greedy")
    }
    assert found["quantloss"].value > found["greedy"].value
    assert found["quantloss"].value > 0.99


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


def test_authors_are_written_in_letters() -> None:
    authors = ImageSet.open("iarbench-mini").index()["author"].dropna()
    assert not authors.str.contains("\\", regex=False).any()
    assert {"Frédéric BISSON", "總統府"} <= set(authors)
