from __future__ import annotations

from pathlib import Path

import numpy as np
import run_folder
from PIL import Image
from sklearn.metrics import roc_curve

from iarbench.results.compute import compute_rows
from iarbench.results.plots import plot_run, plot_scores, roc


def test_the_picture_of_a_run_is_the_same_file_each_time(tmp_path: Path) -> None:
    images = run_folder.index(100)
    rows = compute_rows(run_folder.run(images), images, run_folder.task(fprs=(0.01, 0.001)))
    for name in ("one.png", "two.png"):
        plot_run(rows, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 20  # not blank
    plot_run(rows, tmp_path / "refused.png", fpr=0.001)  # no point at all is still a picture
    assert (tmp_path / "refused.png").stat().st_size > 0


def test_scores_and_roc(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    plot_scores(rng.normal(2, 1, 50), {"real": rng.normal(size=80)}, tmp_path / "scores.png", threshold=1.0)
    assert (tmp_path / "scores.png").stat().st_size > 10_000


def test_roc_is_sklearns() -> None:
    rng = np.random.default_rng(0)
    members, nonmembers = rng.normal(1, 1, 60).round(1), rng.normal(0, 1, 40).round(1)
    expected = roc_curve([1] * 60 + [0] * 40, np.concatenate([members, nonmembers]), drop_intermediate=False)
    found = roc(members, nonmembers)
    assert np.allclose(found[0], expected[0])
    assert np.allclose(found[1], expected[1])
