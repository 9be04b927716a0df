"""The commands that make and describe image sets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from toys import Toys

from iarbench.cli import main
from iarbench.images.image_set import ImageSet
from iarbench.testing import toy_images

BUGS = Path(__file__).parent.parent / "bugs"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, pixels in enumerate(toy_images(3, 1, None, image_size=40)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_import_brings_all_to_one_size_and_container(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = photos.parent / "set"
    assert main(["images", "import", str(photos), "--out", str(out), "--size", "16", "--split", "calibration"]) == 0
    assert f"{out}: 3 images, 0 skipped" in capsys.readouterr().out
    index = ImageSet.open(out).index()
    assert set(zip(index.width, index.height, index.format, index.source, index.split, strict=True)) == {
        (16, 16, "WEBP", "photos", "calibration")
    }


def test_import_without_size_keeps_the_bytes_and_names_what_it_skips(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "bad.png").write_bytes(b"")
    out = photos.parent / "set"
    assert main(["images", "import", str(photos), "--out", str(out), "--source", "mine"]) == 1
    text = capsys.readouterr()
    assert "3 images, 1 skipped" in text.out
    assert f"skipped: {photos / 'bad.png'}: empty file" in text.err
    records = [record for batch in ImageSet.open(out).iterate() for record in batch]
    assert [record.bytes for record in records] == [(photos / f"{n}.png").read_bytes() for n in range(3)]
    assert {record.source for record in records} == {"mine"}


def test_import_from_parquet(photos: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    main(["images", "import", str(photos), "--out", str(first)])
    assert main(["images", "import", str(first), "--out", str(second), "--source", "again"]) == 0
    assert set(ImageSet.open(second).index()["sha256"]) == set(ImageSet.open(first).index()["sha256"])


def test_verify_finds_what_info_cannot(toys: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", "verify", str(toys.images)]) == 0
    assert "150 images, 0 problems" in capsys.readouterr().err
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(toys.images / "part-00000.parquet")
    hashes = table["sha256"].to_pylist()
    hashes[3] = "0" * 64
    place = table.schema.get_field_index("sha256")
    pq.write_table(table.set_column(place, "sha256", pa.array(hashes)), tmp_path / "changed.parquet")
    assert main(["images", "verify", str(tmp_path / "changed.parquet")]) == 1
    assert capsys.readouterr().out == "toy-a/test/00003: the bytes do not match their sha256\n"


def test_info_counts_by_source_and_split(toys: Toys, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", "info", str(toys.images), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fingerprint"] == ImageSet.open(toys.images).fingerprint
    assert found["parts"][0] == {
        "source": "noise",
        "split": "calibration",
        "images": 25,
        "groups": 25,
        "sizes": "16x16",
        "formats": "PNG",
        "licences": "",
    }
    assert main(["images", "info", str(toys.images)]) == 0
    assert "  toy-b/test: 25 images, 16x16, PNG\n" in capsys.readouterr().out


def test_an_attacked_set_pairs_with_the_clean_one(toys: Toys, tmp_path: Path) -> None:
    out = tmp_path / "noisy"
    words = ["attack", "--images", str(toys.images), "--attack", "noise0.05", "--out", str(out), "--container", "png"]
    assert main(words) == 0
    clean, noisy = ImageSet.open(toys.images), ImageSet.open(out)
    same = ["image_id", "source", "split", "group", "condition"]
    assert noisy.index()[same].equals(clean.index()[same])
    (before,), (after,) = clean.read(["noise/test/00001"]), noisy.read(["noise/test/00001"])
    moved = np.asarray(after.pil(), dtype=float) - np.asarray(before.pil(), dtype=float)
    assert 5 < moved.std() < 13.5  # 0.05 of 255 is 12.75, less what is clipped
    assert json.loads((out / "attack.json").read_text()) == {
        "images": str(toys.images),
        "images_fingerprint": clean.fingerprint,
        "attack": "noise0.05",
        "attack_version": 1,
        "container": "png",
        "left_out": [],
    }


@pytest.mark.parametrize(
    ("folder", "attack", "reason"),
    [
        ("long", "jpeg50", "long.png: WEBP holds at most 16383 pixels a side; choose PNG (this one is 17000x8)"),
        ("wide", "jpeg50", "wide.png: jpeg50 failed (OSError: "),
        ("strips", "resize0.5", "strip.png: WEBP holds at most 16383 pixels a side; choose PNG (this one is 60000x2)"),
    ],
)
def test_an_image_that_cannot_be_attacked_or_stored_is_named_and_the_rest_goes_on(
    folder: str, attack: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean, out = str(tmp_path / "clean"), str(tmp_path / "attacked")
    assert main(["images", "import", str(BUGS / "extreme_sizes" / folder), "--out", clean]) == 0
    assert main(["attack", "--images", clean, "--attack", attack, "--out", out]) == 1
    text = capsys.readouterr()
    assert f"error: {reason}" in text.err
    assert f"{out}: 1 images after {attack}, 1 left out" in text.out
    assert ImageSet.open(out).index()["image_id"].tolist() == ["ok.png"]


def test_a_changed_set_is_neither_attacked_nor_scored(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stored scores are looked up by the sha256 column, which `datasets.map` leaves as it was."""
    words = ["--quiet", "--device", "cpu", "--detector", "reconstruction", "--encoder", "original", "--attack", "none"]
    run = ["run", "--task", str(toy_family.task), "--out", str(tmp_path / "o"), *words]
    assert main(run) == 0
    table = pq.read_table(toy_family.images)
    other = table.column("image").to_pylist()
    swapped = table.set_column(0, table.schema.field("image"), [other[1:] + other[:1]])
    pq.write_table(swapped, tmp_path / "mapped.parquet")
    capsys.readouterr()
    line = f"error: {tmp_path}/mapped.parquet: the bytes of 150 of 150 images do not match their sha256"
    assert main([*run, "--images", str(tmp_path / "mapped.parquet")]) == 2
    assert capsys.readouterr().err.startswith(line)
    run[4] = str(tmp_path / "new")
    assert main([*run, "--images", str(tmp_path / "mapped.parquet")]) == 2
    assert capsys.readouterr().err.startswith(line)
    assert not (tmp_path / "new").exists()
    out = str(tmp_path / "attacked")
    assert main(["attack", "--images", str(tmp_path / "mapped.parquet"), "--attack", "jpeg50", "--out", out]) == 2
    assert "do not match its sha256" in capsys.readouterr().err
    assert not Path(out).exists()


def test_a_run_says_which_files_stand_on_both_sides(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toys = ImageSet.open(toy_family.images)
    records = [record for batch in toys.iterate() for record in batch]
    member = next(record for record in records if record.source == "toy-a" and record.split == "test")
    copied = [replace(member, image_id="copy", source="noise", split="calibration")]
    ImageSet.write([*records, *copied], tmp_path / "images")
    words = ["--task", str(toy_family.task), "--images", str(tmp_path / "images"), "--detector", "reconstruction"]
    assert main(["run", *words, "--out", str(tmp_path / "o"), "--device", "cpu", "--attack", "none"]) == 0
    expected = (
        f"1 image is the same file in noise/calibration and in toy-a/test (the first: copy and {member.image_id})"
    )
    assert expected in capsys.readouterr().err
    assert main(["images", "info", str(tmp_path / "images")]) == 0
    assert f"note: {expected}" in capsys.readouterr().err


def test_report_shows_what_it_is_asked_for(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o"
    few = ["--limit", "25", "--detector", "quantloss", "--encoder", "inverse", "--attack", "none"]
    assert main(["run", "--task", str(toy_family.task), "--out", str(out), "--quiet", *few]) == 0
    table = capsys.readouterr().out
    assert main(["report", str(out)]) == 0
    assert capsys.readouterr().out == table
    assert main(["report", str(out), "--all-sets", "--markdown", "--png", str(tmp_path / "x.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| target | against | detector")
    assert len(lines) == 2 + 2 * 4
    assert (tmp_path / "x.png").stat().st_size > 1000
    assert main(["report", str(out), "--fpr", "0.3"]) == 2
    assert "no results at FPR 0.3; there are: 0.05" in capsys.readouterr().err
