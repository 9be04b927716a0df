"""No built-in detector learns anything from images or labels of the splits that calibrate and test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from iarbench.content import images_path
from iarbench.detector import fits
from iarbench.harness.learn import learn
from iarbench.harness.plan import Settings
from iarbench.harness.run import prepare
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord
from iarbench.registry import DETECTORS
from iarbench.task import Task

QUICK = {
    "likelihood": "likelihood:conditions=1,epochs=2",
    "likelihood-oracle": "likelihood-oracle:conditions=1,epochs=2",
    "d3qe": "d3qe:epochs=1",
    "lida": "lida:k=2",
}
"""How a detector learns in a second and from few images, where it would take longer or more."""

LEARNING = [name for name in DETECTORS.names() if DETECTORS.is_builtin(name) and fits(DETECTORS.get(name))]
SOURCES = ("llamagen-mini", "var-mini", "flickr")


@pytest.fixture(scope="module")
def some() -> list[ImageRecord]:
    """Four images of every source and split."""
    every = ImageSet.open(images_path("iarbench-mini"))
    index = every.index()
    first = index[index["source"].isin(SOURCES)].groupby(["source", "split"]).head(4)
    return every.read(first["image_id"].tolist())


def poisoned(records: list[ImageRecord], splits: set[str]) -> list[ImageRecord]:
    """In these splits the images of one source are said to be of the next, and their contents swap ids."""
    places = [place for place, one in enumerate(records) if one.split in splits]
    contents = [records[place] for place in reversed(places)]
    found = list(records)
    for place, other in zip(places, contents, strict=True):
        one = records[place]
        source = SOURCES[(SOURCES.index(one.source) + 1) % len(SOURCES)]
        found[place] = replace(one, source=source, bytes=other.bytes, sha256=other.sha256)
    return found


def learnt(detector: str, records: list[ImageRecord], folder: Path) -> dict[str, bytes]:
    """What the detector learns of this set, by the name of its file."""
    ImageSet.write(records, folder / "images")
    task = Task.load("mini").narrowed(
        detectors=[QUICK.get(detector, detector)],
        targets=["llamagen-mini"],
        encoders=["inverse"],
        attacks=["none"],
        images=str(folder / "images"),
    )
    settings = Settings(device="cpu")
    learn(prepare(task, settings), folder, settings)
    return {path.name: path.read_bytes() for path in (folder / "learnt").rglob("*.safetensors")}


def test_there_are_detectors_that_learn() -> None:
    assert {"d3qe", "likelihood"} <= set(LEARNING)


@pytest.mark.parametrize("detector", LEARNING)
def test_only_the_split_fit_counts(detector: str, some: list[ImageRecord], tmp_path: Path) -> None:
    plain = learnt(detector, some, tmp_path / "plain")
    assert len(plain) == 1
    assert learnt(detector, poisoned(some, {"test", "calibration"}), tmp_path / "others") == plain
    assert learnt(detector, poisoned(some, {"fit"}), tmp_path / "fit") != plain
