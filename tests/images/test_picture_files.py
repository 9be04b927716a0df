from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from iarbench.errors import UserError
from iarbench.images.picture_files import find_pictures, in_chunks, read_picture


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_files_and_folders_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(*(tmp_path / name for name in ("d/b.png", "d/a.JPG", "d/sub/c.webp", "d/readme", "d/x.txt", "d/.h.png")))
    touch(tmp_path / "d" / ".thumbnails" / "t.png", tmp_path / "odd.bin")
    files, errors, notes = find_pictures(["odd.bin", "d/b.png", "d", "missing.png", "d/../d/a.JPG"])
    assert files == ["odd.bin", "d/b.png", "d/a.JPG", "d/sub/c.webp"]
    assert errors == ["missing.png: cannot be read (No such file or directory)"]
    assert notes == ["d: left out: 1 hidden; 2 not pictures, by their extension; 1 x hidden folder"]


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    assert find_pictures([str(tmp_path)]) == ([], [f"{tmp_path}: there is no picture in this folder"], [])


def test_reading(tmp_path: Path) -> None:
    Image.new("L", (3, 2), 7).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    (image, digest), (_, again) = (read_picture(str(tmp_path / name)) for name in ("a.png", "b.png"))
    assert (image.size, image.mode, digest) == ((3, 2), "RGB", again)
    with pytest.raises(UserError, match=r"c.png: cannot be read \(No such file"):
        read_picture(str(tmp_path / "c.png"))


def test_chunks() -> None:
    assert list(in_chunks(["a", "b", "c"], 2)) == [["a", "b"], ["c"]]
