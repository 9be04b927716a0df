"""One file of an image set that cannot be read stops no run: it is named, and the exit status says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from toys import Toys

from iarbench.errors import UserError
from iarbench.images.image_set import ImageSet


def test_a_shard_without_its_end_is_set_aside(toys: Toys, tmp_path: Path) -> None:
    images = tmp_path / "images"
    shutil.copytree(toys.images, images)
    whole = next(images.glob("*.parquet"))
    (images / "part-99999.parquet").write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"part-99999.parquet: cannot be read as an image set"):
        ImageSet.open(images)
    command = ("run", "--task", toys.task, "--images", images, "--attack", "none", "--device", "cpu")
    done = toys.iarbench(*command, "--out", tmp_path / "out")
    assert done.returncode == 1, done.stderr
    assert "set aside, the rest goes on" in done.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert sum("part-99999.parquet" in note for note in manifest["notes"]) == 1
    assert manifest["images"]["in_set"] == len(ImageSet.open(whole))


def test_a_set_of_which_nothing_can_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    aside: list[str] = []
    with pytest.raises(UserError, match=r"none of its 1 files can be read; the first: .*a.parquet"):
        ImageSet.open(tmp_path, set_aside=aside)
