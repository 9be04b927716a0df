"""What attacks did to images stands beside every number, is measured once, and is found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from toys import Toys

from iarbench.attack import attack_image, parse
from iarbench.attacks.quality import psnr, ssim
from iarbench.cli import main
from iarbench.harness.run import recompute
from iarbench.images.image_set import ImageSet
from iarbench.results.rows import Row
from iarbench.results.scores import load_scores
from iarbench.results.tables import plain


def rows_of(toys: Toys, out: Path, *more: str) -> list[Row]:
    words = ["run", "--task", str(toys.task), "--out", str(out), "--quiet", "--device", "cpu", "--target", "toy-a"]
    assert main([*words, "--detector", "quantloss", "--encoder", "original", *more]) == 0
    return recompute(out).rows


def expected(toys: Toys, source: str, attack: str) -> tuple[float, float]:
    images = ImageSet.open(toys.images)
    index = images.index()
    ids = index[(index["source"] == source) & (index["split"] == "test")]["image_id"].tolist()
    found = []
    for record in images.read(ids):
        before = record.pil()
        pair = np.asarray(before), np.asarray(attack_image(parse(attack), before, record.image_id))
        found.append((psnr(*pair), ssim(*pair)))
    return tuple(np.median(found, axis=0))


def test_rows_say_what_the_attack_left_of_the_images_it_acted_on(toy_family: Toys, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rows = rows_of(toy_family, out)
    assert {(row.psnr, row.ssim) for row in rows if row.attack == "none"} == {(None, None)}
    ((measured),) = {(row.psnr, row.ssim) for row in rows if row.attack == "jpeg50"}
    assert measured == pytest.approx(expected(toy_family, "toy-a", "jpeg50"), abs=1e-4)
    assert "PSNR" in plain(rows).splitlines()[0]
    assert f"{measured[0]:.1f}" in next(line for line in plain(rows).splitlines() if " jpeg50 " in line)
    spoofed = rows_of(toy_family, tmp_path / "spoofed", "--attacked", "non-members")
    ((measured),) = {(row.psnr, row.ssim) for row in spoofed if row.attack == "jpeg50" and row.nonmember_set == "noise"}
    assert measured == pytest.approx(expected(toy_family, "noise", "jpeg50"), abs=1e-4)
    assert "# Attacks act on non-members only; thresholds come from attacked calibration images." in plain(spoofed)


def test_measures_are_stored_once_and_made_anew_when_they_are_lost(toy_family: Toys, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rows = rows_of(toy_family, out)
    (part,) = (out / "quality").rglob("*.parquet")
    before = part.stat().st_mtime_ns
    assert rows_of(toy_family, out) == rows
    assert part.stat().st_mtime_ns == before
    scored = [path.stat().st_mtime_ns for path in sorted((out / "scores").rglob("*.parquet"))]
    part.unlink()
    assert rows_of(toy_family, out) == rows
    assert part.is_file()
    assert [path.stat().st_mtime_ns for path in sorted((out / "scores").rglob("*.parquet"))] == scored
    frame = load_scores(out)
    assert frame[frame["attack"] == "none"]["psnr"].isna().all()
    of_members = frame["image_id"].str.startswith("toy-a") & frame["image_id"].str.contains("test")
    assert frame[(frame["attack"] == "jpeg50") & of_members]["psnr"].notna().all()


def test_plot_draws_what_there_is(toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    rows_of(toy_family, out, "--attack", "none,jpeg90,jpeg30")
    assert main(["plot", str(out), "--out", str(tmp_path / "figures")]) == 0
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"detection.csv", "strength.png", "quality.png"}
    rows_of(toy_family, out, "--attack", "none")
    assert main(["plot", str(out)]) == 0
    assert [path.name for path in (out / "plots").iterdir()] == ["detection.csv"]
    assert "no attack was run at two strengths or more" in capsys.readouterr().err
