from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
import run_folder
from PIL import Image

from iarbench.results.compute import compute_rows
from iarbench.results.strength import Point, as_csv, points_of, strengths_of, stronger_is_less
from iarbench.results.strength_plot import plot_quality, plot_strength

QUALITY = {"none": None, "jpeg90": 40.0, "jpeg50": 32.0, "jpeg10": 25.0, "crop0.9": 20.0, "jpeg50+resize0.5": 24.0}


@pytest.fixture(scope="module")
def points() -> list[Point]:
    images = run_folder.index(110)
    scores = run_folder.run(images, tuple(QUALITY))
    known = scores["attack"].map(QUALITY)
    return points_of(compute_rows(scores.assign(psnr=known, ssim=known / 50), images, run_folder.task()))


def test_strengths_of_attacks() -> None:
    assert strengths_of(["none", "jpeg90", "jpeg50", "flip", "crop0.9", "crop:scale=0.8,place=corner"]) == {
        "none": ("none", "", None),
        "jpeg90": ("jpeg", "quality", 90),
        "jpeg50": ("jpeg", "quality", 50),
        "flip": ("flip", "", None),
        "crop0.9": ("crop", "scale", 0.9),
        "crop:scale=0.8,place=corner": ("crop place=corner", "scale", 0.8),
    }
    sigmas = strengths_of(["blur:kernel=9,sigma=1", "blur:kernel=9,sigma=2"])
    assert list(sigmas.values()) == [("blur", "sigma", 1.0), ("blur", "sigma", 2.0)]
    both = strengths_of(["blur:kernel=9,sigma=1", "blur:kernel=9,sigma=2", "blur:kernel=3,sigma=1"])
    assert both["blur:kernel=9,sigma=2"] == ("blur sigma=2", "kernel", 9)
    assert both["blur:kernel=3,sigma=1"] == ("blur sigma=1", "kernel", 3)
    assert strengths_of(["jpeg50+blur9", "gone3"])["gone3"] == ("gone3", "", None)
    assert strengths_of(["jpeg50+blur9", "gone3"])["jpeg50+blur9"] == ("jpeg50+blur9", "", None)


def test_points_are_the_rows_of_the_table(points: list[Point]) -> None:
    assert len(points) == 2 * len(QUALITY)
    for point in points:
        assert point.psnr == QUALITY[point.attack]
        assert point.fpr == 0.01
        assert point.low is not None
        assert point.value is not None
        assert point.low <= point.value
    assert stronger_is_less([point for point in points if point.kind == "jpeg"])
    assert not stronger_is_less([point for point in points if point.attack == "none"])


def test_the_table_reads_back(points: list[Point]) -> None:
    read = list(csv.DictReader(io.StringIO(as_csv(points))))
    assert [float(row["value"]) for row in read] == [point.value for point in points]
    assert {row["psnr"] for row in read if row["attack"] == "none"} == {""}


def test_pictures(points: list[Point], tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert plot_strength(points, tmp_path / f"strength-{name}.png")
        assert plot_quality(points, tmp_path / f"quality-{name}.png")
    for kind in ("strength", "quality"):
        one, two = (tmp_path / f"{kind}-{name}.png" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
        with Image.open(one) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 20  # not blank
    clean = [point for point in points if point.attack == "none"]
    assert not plot_strength(clean, tmp_path / "nothing.png")
    assert not plot_quality(clean, tmp_path / "nothing.png")
    assert not (tmp_path / "nothing.png").exists()
