"""Locks: another copy of the files gives the same image set, or a list of what is missing or different."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from shared_data import shared_file

from iarbench.cli import main
from iarbench.content import lock_path
from iarbench.errors import UserError
from iarbench.images import locked_import
from iarbench.images.image_set import ImageSet
from iarbench.images.lock import Lock


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number, kind in enumerate(["cats", "cats", "dogs", "dogs", "dogs"]):
        (tmp_path / "photos" / kind).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (20, 24 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / kind / f"{number}.jpg")
    return tmp_path / "photos"


def images(*arguments: str | Path) -> int:
    return main(["images", *map(str, arguments)])


def locked(photos: Path, *options: str) -> tuple[Path, ImageSet]:
    """The lock of an import of these photographs, and the set."""
    out = photos.parent / "set"
    assert images("import", photos, "--out", out, *options) == 0
    assert images("lock", out, "--out", photos.parent / "lock.jsonl") == 0
    return photos.parent / "lock.jsonl", ImageSet.open(out)


@pytest.mark.parametrize("options", [[], ["--size", "16", "--split", "calibration", "--prefix", "mine/"]])
def test_a_copy_under_other_names_gives_the_same_set(photos: Path, tmp_path: Path, options: list[str]) -> None:
    lock, expected = locked(photos, *options)
    copy = tmp_path / "copy"
    copy.mkdir()
    for number, file in enumerate(sorted(photos.rglob("*.jpg"), reverse=True)):
        shutil.copy(file, copy / f"picture-{number}.jpeg")
    (copy / "notes.txt").write_text("not a picture")
    Image.new("RGB", (8, 8)).save(copy / "one-more.png")
    assert images("import", copy, "--lock", lock, "--out", tmp_path / "same") == 0
    same = ImageSet.open(tmp_path / "same")
    assert same.fingerprint == expected.fingerprint == Lock.read(lock).fingerprint
    ids = list(expected.index()["image_id"])
    for mine, theirs in zip(same.read(ids), expected.read(ids), strict=True):
        assert mine.bytes == theirs.bytes
        assert (mine.source_sha256, mine.treatment) == (theirs.source_sha256, theirs.treatment)
    # Who has the set itself, and not the files it was made of, can check and rebuild it as well.
    assert images("import", tmp_path / "same", "--lock", lock, "--out", tmp_path / "third") == 0
    third = ImageSet.open(tmp_path / "third")
    assert third.fingerprint == expected.fingerprint
    assert [one.treatment for one in third.read(ids)] == [one.treatment for one in expected.read(ids)]
    assert images("lock", tmp_path / "third", "--out", tmp_path / "again.jsonl") == 0
    assert set(lock.read_text().splitlines()) == set((tmp_path / "again.jsonl").read_text().splitlines())


def test_what_is_missing_or_different_is_listed_and_nothing_written(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock, _ = locked(photos)
    gone = hashlib.sha256((photos / "cats/1.jpg").read_bytes()).hexdigest()
    (photos / "cats/1.jpg").unlink()
    Image.new("RGB", (9, 9)).save(photos / "dogs/3.jpg")
    capsys.readouterr()
    assert images("import", photos, "--lock", lock, "--out", tmp_path / "no") == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"missing: cats/1.jpg: a file of SHA-256 {gone}",
        f"different: dogs/3.jpg: {photos}/dogs/3.jpg is another file of that name",
    ]
    assert f"{photos}: 2 of the 5 images of the lock are missing or different: nothing is written" in err
    assert not list(tmp_path.glob("*no*"))


def test_other_libraries_that_give_other_bytes_are_named(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, _ = locked(photos, "--size", "16")
    head, first, *rest = lock.read_text().splitlines()
    described = json.loads(head) | {"made_with": {"pillow": "1.0"}}
    other = json.loads(first) | {"sha256": "0" * 64}
    lock.write_text("\n".join([json.dumps(described), json.dumps(other), *rest]) + "\n")
    with pytest.raises(UserError, match="a damaged lock"):
        Lock.read(lock)  # the fingerprint in its first line no longer fits
    described["fingerprint"] = Lock((), {}).fingerprint
    monkeypatch.setattr(Lock, "fingerprint", described["fingerprint"])
    monkeypatch.setattr(locked_import, "made_with", lambda: {"pillow": "2.0"})
    lock.write_text("\n".join([json.dumps(described), json.dumps(other), *rest]) + "\n")
    capsys.readouterr()
    assert images("import", photos, "--lock", lock, "--out", tmp_path / "no") == 1
    assert capsys.readouterr().out == (
        "different: cats/0.jpg: the file is right, but crop16-webp gives other bytes here (pillow 2.0) than where the "
        "lock was made (pillow 1.0)\n"
    )
    assert not (tmp_path / "no").exists()


def test_refusals_are_one_line(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock, _ = locked(photos)

    def refused(*arguments: str | Path) -> str:
        assert images(*arguments) == 2
        return capsys.readouterr().err

    both = ("import", photos, "--lock", lock, "--size", "8", "--out", tmp_path / "no")
    assert "--lock and --size do not go together" in refused(*both)
    assert "unknown lock 'nope'" in refused("import", photos, "--lock", "nope", "--out", tmp_path / "no")
    (tmp_path / "text").write_text("not json\n")
    assert "not a lock" in refused("import", photos, "--lock", tmp_path / "text", "--out", tmp_path / "no")
    lock.write_text("\n".join(lock.read_text().splitlines()[:-1]))
    assert "a damaged lock" in refused("import", photos, "--lock", lock, "--out", tmp_path / "no")
    lock.write_text('{"iarbench_lock": 2}\n')
    assert "a lock of format 2" in refused("import", photos, "--lock", lock, "--out", tmp_path / "no")
    attack = ["attack", "--images", str(tmp_path / "set"), "--attack", "jpeg50", "--out", str(tmp_path / "attacked")]
    assert main(attack) == 0
    assert "no import repeats attack jpeg50" in refused("lock", tmp_path / "attacked", "--out", tmp_path / "l.jsonl")


def test_the_packaged_lock_of_coco_lists_700_photographs() -> None:
    path = lock_path("coco-700")
    lock = Lock.read(path)
    assert path.stat().st_size < 200_000
    assert len({one.source_sha256 for one in lock.images}) == len({one.image_id for one in lock.images}) == 700
    assert {one.treatment for one in lock.images} == {None}
    table = pq.read_table(
        shared_file("coco_256.parquet"), columns=["coco_id", "source_sha256", "flickr_url"]
    ).to_pylist()
    listed = {(int(one.image_id), one.source_sha256, one.page) for one in lock.images}
    assert listed == {(row["coco_id"], row["source_sha256"], row["flickr_url"]) for row in table}
