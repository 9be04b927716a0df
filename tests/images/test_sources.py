"""Imports: every file or row becomes a record or a line, and the rest goes on."""

from __future__ import annotations

import io
import os
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from iarbench.errors import UserError
from iarbench.images import sources
from iarbench.images.hub_sources import import_hub, import_imagenet, import_laion
from iarbench.images.image_set import ImageSet
from iarbench.images.preprocess import Preprocess
from iarbench.images.record import ImageRecord
from iarbench.images.sources import ImportReport, import_folder, import_parquet


def image_bytes(container: str = "PNG", size: tuple[int, int] = (8, 6), seed: int = 0, **options: object) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, container, **options)
    return buffer.getvalue()


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def folder(root: Path, **options: object) -> tuple[list[ImageRecord], ImportReport]:
    report = ImportReport()
    return list(import_folder(root, source="mine", report=report, **options)), report


def parquet(path: Path, **options: object) -> tuple[list[ImageRecord], ImportReport]:
    report = ImportReport()
    return list(import_parquet(path, source="mine", report=report, **options)), report


def ids(records: list[ImageRecord]) -> list[str]:
    return [record.image_id for record in records]


def test_a_folder_keeps_bytes_paths_and_order(tmp_path: Path) -> None:
    put(tmp_path / "b.PNG", image_bytes())
    put(tmp_path / "a/z.JPG", image_bytes("JPEG"))
    put(tmp_path / "a/ünï ☂.webp", image_bytes("WEBP"))
    put(tmp_path / "noextension", image_bytes("GIF"))
    records, report = folder(tmp_path, split="calibration")
    assert ids(records) == ["a/z.JPG", "a/ünï ☂.webp", "b.PNG", "noextension"]
    assert [record.format for record in records] == ["JPEG", "WEBP", "PNG", "GIF"]
    assert records[2].bytes == image_bytes()
    assert (records[0].source, records[0].split, records[0].group) == ("mine", "calibration", "a/z.JPG")
    assert (records[0].width, records[0].height, records[0].path) == (8, 6, "a/z.JPG")
    assert (report.imported, report.skipped, report.notes) == (4, [], [])


def test_each_bad_file_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    put(tmp_path / "0good.png", image_bytes())
    put(tmp_path / "empty.png", b"")
    put(tmp_path / "html.jpg", b"<html>")
    put(tmp_path / "labels.TXT", b"cat")
    put(tmp_path / ".DS_Store", b"\x00\x00Bud1")
    put(tmp_path / "line\nbreak.png", b"")
    put(tmp_path / "truncated.jpg", image_bytes("JPEG", (64, 64))[:500])
    (tmp_path / "dangling.png").symlink_to("nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    put(tmp_path / "zgood.png", image_bytes())
    records, report = folder(tmp_path)
    assert ids(records) == ["0good.png", "zgood.png"]
    assert [line.split(" (")[0] for line in report.skipped] == [
        f"{tmp_path}/.DS_Store: not an image, or not in a format that is read",
        f"{tmp_path}/dangling.png: broken link",
        f"{tmp_path}/empty.png: empty file",
        f"{tmp_path}/html.jpg: not an image, or not in a format that is read",
        f"{tmp_path}/labels.TXT: not an image, by its extension .TXT",
        f"{tmp_path}/line\\nbreak.png: empty file",
        f"{tmp_path}/pipe.png: not a regular file",
        f"{tmp_path}/truncated.jpg: damaged or truncated image",
    ]
    assert report.imported == 2


def test_what_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a.png", image_bytes())
    put(tmp_path / "locked/b.png", image_bytes())

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    # Root may read everything, so taking the permissions away would prove nothing in a container.
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: refuse(path) if "locked" in str(path) else scandir(path))
    monkeypatch.setattr(Path, "read_bytes", refuse)
    records, report = folder(tmp_path)
    assert records == []
    assert report.skipped == [
        f"{tmp_path}/locked: folder cannot be read (Permission denied)",
        f"{tmp_path}/a.png: cannot be read (Permission denied)",
    ]


def test_links_are_followed_but_no_folder_is_read_twice(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    put(root / "sub/a.png", image_bytes())
    put(outside / "b.png", image_bytes())
    (root / "loop").symlink_to(root)
    (root / "sub/up").symlink_to(tmp_path)
    (root / "twin").symlink_to(root / "sub")
    (root / "self").symlink_to("self")
    (root / "link").symlink_to(outside)
    (root / "more").symlink_to(outside)
    (outside / "back").symlink_to(root)
    (outside / "again").symlink_to(outside)
    (root / "file.png").symlink_to(outside / "b.png")
    records, report = folder(root)
    assert ids(records) == ["file.png", "link/b.png", "sub/a.png"]
    read_already = sorted(line.split(": link to a folder")[0] for line in report.skipped if ": link to" in line)
    assert read_already == [str(root / name) for name in ("link/again", "link/back", "loop", "more", "sub/up", "twin")]
    assert [line for line in report.skipped if ": link to" not in line] == [f"{root}/self: broken link"]


def test_ids_are_unicode_nfc_and_taken_once(tmp_path: Path) -> None:
    name = "é.png"
    put(tmp_path / unicodedata.normalize("NFD", name), image_bytes())
    assert ids(folder(tmp_path)[0]) == [unicodedata.normalize("NFC", name)]
    put(tmp_path / unicodedata.normalize("NFC", name), image_bytes())
    records, report = folder(tmp_path)
    assert ids(records) == [name]
    assert len(report.skipped) == 1
    assert "its image id 'é.png' is taken by" in report.skipped[0]


def test_names_that_are_not_unicode_can_still_be_stored(tmp_path: Path) -> None:
    try:
        put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/in/\xff.png")), image_bytes())
    except OSError:
        pytest.skip("this file system takes only Unicode names")
    records, _ = folder(tmp_path / "in")
    assert ids(records) == ["\\xff.png"]
    assert ids(ImageSet.write(records, tmp_path / "set").read(["\\xff.png"])) == ["\\xff.png"]


def test_later_frames_are_noted(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    records, report = folder(tmp_path)
    assert records[0].pil().getpixel((0, 0)) == (255, 0, 0)
    assert report.notes == [f"{tmp_path}/a.gif: 2 frames or pages, only the first is used"]


def test_huge_files_are_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 2**20)
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(2**40)
    assert folder(tmp_path)[1].skipped == [f"{tmp_path}/a.png: larger than 1 MiB"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        import_folder(tmp_path / "nowhere", source="mine", report=ImportReport())


def test_preprocess_gives_one_size_and_container(tmp_path: Path) -> None:
    put(tmp_path / "wide.jpg", image_bytes("JPEG", (40, 20)))
    put(tmp_path / "tiny.png", image_bytes("PNG", (3, 5)))
    put(tmp_path / "same.bmp", image_bytes("BMP", (8, 8)))
    records, _ = folder(tmp_path, preprocess=Preprocess(8, "png"))
    assert {(record.width, record.height, record.format) for record in records} == {(8, 8, "PNG")}
    assert ids(records) == ["same.bmp", "tiny.png", "wide.jpg"]
    assert records[0].path == "same.bmp.png"
    original = Image.open(tmp_path / "same.bmp").convert("RGB")
    assert records[0].pil().tobytes() == original.tobytes()
    assert ImageSet.write(records, tmp_path / "set").verify() == []


def test_preprocess_resizes_and_crops_the_centre() -> None:
    image = Image.new("RGB", (40, 20))
    image.paste((255, 0, 0), (8, 0, 32, 20))
    assert Preprocess(10).image(image).getcolors() == [(100, (255, 0, 0))]
    stripes = Image.fromarray(np.tile(np.array([0, 255], dtype=np.uint8)[None, :, None], (64, 32, 3)))
    assert abs(int(np.asarray(Preprocess(8).image(stripes)).mean()) - 127) <= 1
    with pytest.raises(UserError, match="image size 0"):
        Preprocess(0)
    with pytest.raises(UserError, match="choose png or webp"):
        Preprocess(8, "jpeg")  # type: ignore[arg-type]


def test_parquet_of_hugging_face_images_and_of_plain_bytes(tmp_path: Path) -> None:
    data = [image_bytes(seed=seed) for seed in range(2)]
    columns = {"label": [7, None], "photo": ["x", "x"], "key": ["k0", "k1"]}
    images = [{"bytes": item, "path": "p.png"} for item in data]
    pq.write_table(pa.table({"image": images, **columns}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"jpg": data, **columns}), tmp_path / "b.parquet")
    records, report = parquet(tmp_path / "a.parquet", condition_column="label", group_column="photo")
    assert ids(records) == ["a/000000", "a/000001"]
    assert [record.bytes for record in records] == data
    assert [(record.condition, record.group, record.path) for record in records] == [
        ("7", "x", "p.png"),
        ("", "x", "p.png"),
    ]
    assert report.skipped == []
    records, _ = parquet(tmp_path / "b.parquet", image_column="jpg", id_column="key", group_column="key")
    assert [(record.image_id, record.bytes, record.group) for record in records] == [
        ("k0", data[0], "k0"),
        ("k1", data[1], "k1"),
    ]


def test_bad_rows_and_files_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = {"bytes": image_bytes(), "path": None}
    rows = [None, {"bytes": None, "path": "far.png"}, {"bytes": b"", "path": None}, good, good]
    pq.write_table(pa.table({"image": rows, "id": ["a", "b", "c", "d", "d"]}), tmp_path / "0.parquet")
    (tmp_path / "1.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.table({"other": [1]}), tmp_path / "2.parquet")
    pq.write_table(pa.table({"image": [good], "id": ["e"]}), tmp_path / "3.parquet")
    records, report = parquet(tmp_path, id_column="id")
    assert ids(records) == ["d", "e"]
    file = tmp_path / "0.parquet"
    assert report.skipped[:4] == [
        f"{file} row 0: holds no image bytes",
        f"{file} row 1: holds no image bytes, only the path far.png",
        f"{file} row 2: empty file (0 bytes)",
        f"{file} row 4: its image id 'd' is taken by {file} row 3",
    ]
    assert report.skipped[4].startswith(f"{tmp_path}/1.parquet: cannot be read as Parquet")
    assert report.skipped[5:] == [f"{tmp_path}/2.parquet: there is no column 'image'; columns: other"]


def test_parquet_that_cannot_work_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no Parquet file here"):
        import_parquet(tmp_path, source="mine", report=ImportReport())
    pq.write_table(pa.table({"jpg": [b""], "key": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet: there is no column 'image'; columns: jpg, key"):
        import_parquet(tmp_path / "a.parquet", source="mine", report=ImportReport())
    (tmp_path / "b.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"b\.parquet: cannot be read as Parquet"):
        import_parquet(tmp_path / "b.parquet", source="mine", report=ImportReport())


def test_laion_reads_what_img2dataset_wrote(tmp_path: Path) -> None:
    table = pa.table({"key": ["0001", "0002"], "caption": ["a cat", None], "jpg": [image_bytes("JPEG"), None]})
    pq.write_table(table, tmp_path / "00000.parquet")
    report = ImportReport()
    (record,) = import_laion(tmp_path, report=report)
    assert (record.image_id, record.condition, record.source) == ("0001", "a cat", "laion")
    assert report.skipped == [f"{tmp_path}/00000.parquet row 1: holds no image bytes"]
    with pytest.raises(UserError, match="LAION publishes addresses, not images"):
        import_laion(report=ImportReport())


def test_a_hub_repository_is_streamed_with_its_original_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    ImageSet.write(
        [ImageRecord.make(image_bytes(seed=n), image_id=str(n), source="s") for n in range(3)], tmp_path / "s"
    )
    real, asked = datasets.load_dataset, []

    def local(repo: str, **options: object) -> object:
        asked.append((repo, options))
        return real("parquet", data_files=f"{tmp_path}/s/*.parquet", split="train", streaming=True)

    monkeypatch.setattr(datasets, "load_dataset", local)
    report = ImportReport()
    records = list(import_hub("o/n", source="x", report=report, hub_split="val", condition_column="source", limit=2))
    assert [(record.image_id, record.condition) for record in records] == [("val/00000000", "s"), ("val/00000001", "s")]
    assert records[1].bytes == image_bytes(seed=1)
    assert asked == [("o/n", {"split": "val", "revision": None, "streaming": True})]
    with pytest.raises(UserError, match="ILSVRC/imagenet-1k: has no column 'label'"):
        next(import_imagenet(report=ImportReport()))


def test_without_network_the_hub_gives_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def offline(repo: str, **options: object) -> object:
        raise ConnectionError("\nCouldn't reach it\nmore")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(UserError) as caught:
        next(import_hub("o/n", source="x", report=ImportReport()))
    assert str(caught.value) == (
        "o/n (split train): cannot be read from the Hugging Face Hub (ConnectionError: Couldn't reach it); "
        "check the network, the name and, if it is gated, your login"
    )
