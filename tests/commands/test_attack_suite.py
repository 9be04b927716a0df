"""`iarbench attack` with several attacks: a set for each, what is whole is kept, what cannot be made is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toys import Toys

from iarbench.attacks import recompress, suites
from iarbench.cli import main
from iarbench.images.image_set import ImageSet

SUITE = suites.Suite("a test", ("none", "avif50", "noise0.05"), (("a diffusion model", "too large"),))


@pytest.fixture
def words(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setitem(suites.SUITES, "two", SUITE)
    monkeypatch.setattr(recompress.features, "check", lambda name: name != "avif")
    return ["attack", "--images", str(toys.images), "--attack", "suite:two,crop:scale=0.9,place=random"]


def test_each_attack_has_its_set(toys: Toys, words: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main([*words, "--out", str(out)]) == 0
    names = {"none": "none", "noise0.05": "noise0.05", "crop:scale=0.9,place=random": "crop_scale=0.9_place=random"}
    assert sorted(path.name for path in out.iterdir()) == sorted(["attacks.json", *names.values()])
    listed = json.loads((out / "attacks.json").read_text())
    assert {name: one["folder"] for name, one in listed["sets"].items()} == names
    left_out = [note for note in listed["notes"] if "left out" in note or "not in" in note]
    assert left_out[0].startswith("left out of suite two: avif50: this Pillow has no AVIF codec")
    assert left_out[1] == "not in suite two: a diffusion model: too large"
    alone = tmp_path / "alone"
    assert main([*words[:3], "--attack", "noise0.05", "--out", str(alone)]) == 0
    fingerprint = ImageSet.open(alone).fingerprint
    assert listed["sets"]["noise0.05"]["fingerprint"] == fingerprint == ImageSet.open(out / "noise0.05").fingerprint
    assert listed["sets"]["noise0.05"]["images"] == len(ImageSet.open(toys.images))


def test_a_second_time_only_what_is_missing_is_made(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([*words, "--out", str(out)]) == 0
    listed = (out / "attacks.json").read_bytes()
    (out / "attacks.json").unlink()
    for shard in (out / "noise0.05").iterdir():
        shard.unlink()
    (out / "noise0.05").rmdir()
    kept = (out / "none/part-00000.parquet").stat()
    capsys.readouterr()
    assert main([*words, "--out", str(out)]) == 0
    assert (out / "attacks.json").read_bytes() == listed
    assert (out / "none/part-00000.parquet").stat() == kept
    assert "attack noise0.05 (2 of 3) 150/150" in capsys.readouterr().err


def test_what_else_lies_there_is_refused_before_work(
    toys: Toys, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([*words[:3], "--attack", "jpeg50", "--out", str(out / "noise0.05")]) == 0
    assert main([*words, "--out", str(out)]) == 2
    assert f"{out}/noise0.05 holds something else than this attack of these images" in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ["noise0.05"]
    assert main([*words, "--out", str(out / "noise0.05")]) == 2
    assert "is an image set; several attacks need a folder" in capsys.readouterr().err
    assert main([*words[:3], "--attack", "suite:tow", "--out", str(tmp_path / "x")]) == 2
    assert "unknown suite of attacks 'tow': did you mean 'two'" in capsys.readouterr().err
