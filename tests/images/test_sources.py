"""Imports: every file or row becomes a record or a line, and the rest goes on."""

from __future__ import annotations

import io
import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from iarbench.errors import UserError
from iarbench.images import folder_source
from iarbench.images.folder_source import import_folder
from iarbench.images.hub_sources import import_hub, import_laion
from iarbench.images.image_set import ImageSet
from iarbench.images.imagenet_source import import_imagenet
from iarbench.images.importing import ImportReport, Treatment, make_records
from iarbench.images.parquet_source import import_parquet
from iarbench.images.preprocess import Preprocess
from iarbench.images.record import ImageRecord
from iarbench.images.sources import open_source
from iarbench.testing import toy_records

BUGS = Path(__file__).parent.parent / "bugs"


def image_bytes(container: str = "PNG", size: tuple[int, int] = (8, 6), seed: int = 0, **options: object) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, container, **options)
    return buffer.getvalue()


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def folder(root: Path, **treatment: object) -> tuple[list[ImageRecord], ImportReport]:
    report = ImportReport()
    return list(make_records(import_folder(root, report), "mine", Treatment(**treatment), report)), report


def parquet(
    path: Path, treatment: Treatment | None = None, **options: object
) -> tuple[list[ImageRecord], ImportReport]:
    report = ImportReport()
    found = import_parquet(path, report, **options)
    return list(make_records(found, "mine", treatment or Treatment(), report)), report


def opened(
    src: str | Path, treatment: Treatment | None = None, **options: object
) -> tuple[list[ImageRecord], ImportReport]:
    report = ImportReport()
    return list(open_source(str(src), treatment or Treatment(), report, **options)), report


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
    assert "its image id is taken already ('é.png', by " in report.skipped[0]


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
    monkeypatch.setattr(folder_source, "MAX_FILE_BYTES", 2**20)
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(2**40)
    assert folder(tmp_path)[1].skipped == [f"{tmp_path}/a.png: larger than 1 MiB"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        import_folder(tmp_path / "nowhere", ImportReport())


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
    with pytest.raises(UserError, match="choose one of png, webp, jpeg96"):
        Preprocess(8, "jpeg")  # type: ignore[arg-type]


def test_parquet_of_hugging_face_images_and_of_plain_bytes(tmp_path: Path) -> None:
    data = [image_bytes(seed=seed) for seed in range(2)]
    columns = {"label": [7, None], "photo": ["x", "x"], "key": ["k0", "k1"]}
    images = [{"bytes": item, "path": "p.png"} for item in data]
    pq.write_table(pa.table({"image": images, **columns}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"jpg": data, **columns}), tmp_path / "b.parquet")
    records, report = parquet(tmp_path / "a.parquet", label_column="label", group_column="photo")
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
    assert report.skipped[0].startswith(f"{tmp_path}/1.parquet: cannot be read as Parquet (")
    assert report.skipped[1:] == [
        f"{tmp_path}/2.parquet: there is no column 'id'; columns: other",
        f"{file} row 0: holds no image bytes",
        f"{file} row 1: holds no image bytes, only a path (far.png)",
        f"{file} row 2: empty file (0 bytes)",
        f"{file} row 4: its image id is taken already ('d', by {file} row 3)",
    ]
    assert report.summary() == (
        "1 x cannot be read as Parquet; 1 x there is no column 'id'; columns: other; 1 x holds no image bytes; "
        "1 x holds no image bytes, only a path; 1 x empty file; 1 x its image id is taken already"
    )


def test_parquet_that_cannot_work_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no Parquet file here"):
        import_parquet(tmp_path, ImportReport())
    pq.write_table(pa.table({"jpg": [b""], "key": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet: there is no column 'photo'; columns: jpg, key"):
        import_parquet(tmp_path / "a.parquet", ImportReport(), image_column="photo")
    (tmp_path / "b.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"b\.parquet: cannot be read as Parquet"):
        import_parquet(tmp_path / "b.parquet", ImportReport())


def test_laion_reads_what_img2dataset_wrote(tmp_path: Path) -> None:
    table = pa.table({"key": ["0001", "0002"], "caption": ["a cat", None], "jpg": [image_bytes("JPEG"), None]})
    pq.write_table(table, tmp_path / "00000.parquet")
    (record,), report = opened(f"laion:{tmp_path}")
    assert (record.image_id, record.condition, record.source) == ("0001", "a cat", "laion")
    assert report.skipped == [f"{tmp_path}/00000.parquet row 1: holds no image bytes"]
    records, report = opened(f"laion:{BUGS}/folder_that_also_holds_parquet/img2dataset")
    assert (len(records), report.skipped) == (3, [])
    with pytest.raises(UserError, match="LAION publishes addresses, not images"):
        import_laion(None, ImportReport())


# What the folder itself tells


def test_class_folders_become_conditions(tmp_path: Path) -> None:
    for name in ("cat/1.png", "dog/1.png", "dog/small/2.png", "top.png"):
        put(tmp_path / name, image_bytes())
    records, _ = folder(tmp_path)
    assert [(record.image_id, record.condition, record.split) for record in records] == [
        ("cat/1.png", "cat", "test"),
        ("dog/1.png", "dog", "test"),
        ("dog/small/2.png", "small", "test"),
        ("top.png", "", "test"),
    ]


def test_folders_of_splits_become_splits(tmp_path: Path) -> None:
    records, report = folder(BUGS / "two_imports_one_set")
    assert [(record.image_id, record.split, record.condition) for record in records] == [
        *((f"calibration/{number}.jpg", "calibration", "") for number in range(3)),
        *((f"test/{number}.jpg", "test", "") for number in range(3)),
    ]
    assert report.skipped == []
    assert {record.split for record in folder(BUGS / "two_imports_one_set", split="fit")[0]} == {"fit"}
    put(tmp_path / "train/cat/1.png", image_bytes())
    put(tmp_path / "test/cat/1.png", image_bytes())
    assert [(record.split, record.condition) for record in folder(tmp_path)[0]] == [("test", "cat"), ("train", "cat")]
    put(tmp_path / "validation/cat/1.png", image_bytes())
    assert {(record.split, record.condition) for record in folder(tmp_path)[0]} == {("test", "cat")}


def test_an_img2dataset_folder_keeps_captions_and_addresses() -> None:
    root = BUGS / "folder_that_also_holds_parquet" / "img2dataset"
    told = {row["key"]: row for row in pq.read_table(root / "00000.parquet").to_pylist()}
    records, report = opened(root)
    assert len(records) == 3
    assert report.skipped == []
    for record in records:
        row = told[Path(record.image_id).stem]
        assert (record.condition, record.page, record.split) == (row["caption"], row["url"], "test")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_metadata_beside_pictures_is_read(kind: str, tmp_path: Path) -> None:
    """As the ImageFolder of `datasets` has it."""
    for name in ("a.png", "cat/b.png", "cat/c.png"):
        put(tmp_path / name, image_bytes())
    rows = [
        {"file_name": "a.png", "text": "a, cat", "license": "CC0"},
        {"file_name": "cat/b.png", "text": "ψ", "license": "CC-BY-4.0"},
    ]
    file = tmp_path / f"metadata.{kind}"
    if kind == "csv":
        file.write_text('file_name,text,license\na.png,"a, cat",CC0\ncat/b.png,ψ,CC-BY-4.0\n', encoding="utf-8")
    elif kind == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), file)
    records, report = opened(tmp_path)
    assert [(record.condition, record.licence) for record in records] == [
        ("a, cat", "CC0"), ("ψ", "CC-BY-4.0"), ("cat", None),
    ]  # fmt: skip
    assert report.skipped == []


def test_metadata_that_describes_nothing_is_named(tmp_path: Path) -> None:
    put(tmp_path / "cat" / "a.png", image_bytes())
    put(tmp_path / "metadata.jsonl", b'{"file_name": "cat/a.png"}\n{"no": 1}\n')
    put(tmp_path / "cat" / "metadata.csv", b"\xff\xfe")
    records, report = opened(tmp_path)
    assert [record.condition for record in records] == ["cat"]
    assert report.summary() == "2 x does not describe pictures"


def test_hidden_folders_are_named_and_not_read(tmp_path: Path) -> None:
    put(tmp_path / "a.png", image_bytes())
    put(tmp_path / ".thumbnails/a.png", image_bytes())
    put(tmp_path / ".set.unfinished/a.png", image_bytes())  # a set that is being made here is nothing to name
    records, report = folder(tmp_path)
    assert ids(records) == ["a.png"]
    assert report.skipped == [f"{tmp_path}/.thumbnails: hidden folder"]


def test_pictures_and_parquet_together_are_asked_about() -> None:
    mixed = BUGS / "folder_that_also_holds_parquet" / "mixed"
    with pytest.raises(
        UserError, match=r"mixed: holds pictures \(photo\d\.jpg\) and Parquet \(preview\.parquet\); say .*--as"
    ):
        opened(mixed)
    assert len(opened(mixed, read_as="folder")[0]) == 6
    assert len(opened(mixed, read_as="parquet")[0]) == 2


@pytest.mark.parametrize(("name", "source"), [("coco.2014", "coco.2014"), ("coco.2017", "coco.2017")])
def test_the_whole_name_of_a_folder_is_its_source(name: str, source: str) -> None:
    assert {record.source for record in opened(BUGS / "import_flags" / name)[0]} == {source}


def test_this_folder_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BUGS / "import_flags" / "folder")
    assert {record.source for record in opened(".")[0]} == {"folder"}
    assert {record.source for record in opened("folder:.")[0]} == {"folder"}
    monkeypatch.chdir(BUGS / "nothing_could_be_used")
    assert {record.source for record in opened("column_img.parquet")[0]} == {"column_img"}
    assert {record.source for record in opened("parquet:column_img.parquet")[0]} == {"column_img"}


@pytest.mark.parametrize("src", ["folder", "parquet", "hub", "laion"])
def test_a_source_that_needs_a_place_says_so(src: str) -> None:
    with pytest.raises(UserError, match=f"^{src}: .*{src}:"):
        opened(src)


@pytest.mark.parametrize(
    ("src", "line"),
    [
        ("foldr", "unknown image set or source 'foldr': did you mean 'folder'"),
        ("no/such/place", "no/such/place: there is no such file or folder"),
        ("photos.parquet", "photos.parquet: there is no such file or folder"),
    ],
)
def test_what_is_not_there_is_one_line(src: str, line: str) -> None:
    with pytest.raises(UserError, match=line):
        opened(src)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.zip", "unpack it first"),
        ("00000.tar", "unpack it first"),
        ("data.arrow", "as Parquet first"),
    ],
)
def test_packed_files_say_what_to_do(name: str, line: str, tmp_path: Path) -> None:
    put(tmp_path / "f" / name, b"x")
    for src in (tmp_path / "f" / name, tmp_path / "f"):
        with pytest.raises(UserError, match=rf"{name}: .*{line}"):
            opened(src)
    put(tmp_path / "a.png", image_bytes())
    with pytest.raises(UserError, match="a single picture; give the folder that holds it"):
        opened(tmp_path / "a.png")


def test_limit_and_prefix_work_everywhere(tmp_path: Path) -> None:
    treatment = Treatment(limit=2, prefix="a/")
    records, _ = opened(BUGS / "import_flags" / "folder", treatment)
    assert [(record.image_id, record.group) for record in records] == [("a/0.jpg",) * 2, ("a/1.jpg",) * 2]
    records, _ = opened(BUGS / "nothing_could_be_used" / "column_img.parquet", treatment)
    assert ids(records) == ["a/column_img/000000", "a/column_img/000001"]
    records, _ = opened("iarbench-mini", treatment)
    assert all(record.image_id.startswith("a/") and record.group == record.image_id for record in records)
    put(tmp_path / "0.png", b"")
    put(tmp_path / "1.png", image_bytes())
    assert len(opened(tmp_path, Treatment(limit=1))[0]) == 1, "images, not files"


def test_an_option_that_says_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="the source 'folder' takes no --label-column; it takes no options of its own"):
        opened(BUGS / "import_flags" / "folder", label_column="x")
    with pytest.raises(UserError, match="'coco' takes no --config; it takes --caption-seed, --hub-split, --revision"):
        opened("coco", config="x")


# Parquet


def test_an_image_set_stays_one() -> None:
    big = ImageSet.open(BUGS / "resizing_a_set_destroys_it" / "big.parquet")
    before = [record for batch in big.iterate() for record in batch]
    after, report = opened(BUGS / "resizing_a_set_destroys_it" / "big.parquet", Treatment(preprocess=Preprocess(64)))
    assert report.skipped == []
    kept = ("image_id", "source", "split", "group", "condition", "seed", "tokens", "licence", "author", "page")
    for old, new in zip(before, after, strict=True):
        assert [getattr(new, name) for name in kept] == [getattr(old, name) for name in kept]
        assert (new.width, new.height, new.format) == (64, 64, "WEBP")
    assert {record.source for record in before} == {"llamagen-mini", "photos"}
    said, _ = opened(BUGS / "resizing_a_set_destroys_it" / "big.parquet", Treatment(source="x", split="fit"))
    assert {(record.source, record.split) for record in said} == {("x", "fit")}


def test_the_packaged_set_is_imported_whole(tmp_path: Path) -> None:
    records, report = opened("iarbench-mini")
    assert (len(records), report.skipped, report.notes) == (3947, [], [])
    packaged = ImageSet.open(Path(__file__).parents[2] / "iarbench" / "data" / "iarbench-mini")
    assert records == [record for batch in packaged.iterate() for record in batch]


def test_a_changed_set_is_taken_with_a_note_and_hashed_anew() -> None:
    records, report = opened(BUGS / "sha256_column_is_believed" / "mapped.parquet")
    assert len(records) == len(report.notes) == 28
    assert "its bytes do not match their sha256; they are taken as they are" in report.notes[0]
    old = ImageSet.open(BUGS / "sha256_column_is_believed" / "mapped.parquet").index()["sha256"]
    assert not set(old) & {record.sha256 for record in records}


@pytest.mark.parametrize(
    ("column", "taken", "reason"),
    [
        ("source", 26, "2 x has no source; give one with --source"),
        ("split", 26, "2 x has no split; give one with --split"),
        ("group", 0, "28 x has no group"),
        ("image_id", 27, "1 x has no id"),
    ],
)
def test_rows_of_a_set_with_null_cells_are_counted(column: str, taken: int, reason: str) -> None:
    records, report = opened(BUGS / "null_cells_in_a_set" / f"null_{column}.parquet")
    assert (len(records), report.summary()) == (taken, reason)


def test_numbers_of_a_set_that_went_through_floats_come_back(tmp_path: Path) -> None:
    table = pq.read_table(BUGS / "sha256_column_is_believed" / "clean.parquet")
    place = table.schema.get_field_index("seed")
    seeds = pa.array([5.0, float("nan"), None, *[6.0] * 25])
    pq.write_table(table.set_column(place, "seed", seeds), tmp_path / "floats.parquet")
    assert [record.seed for record in opened(tmp_path / "floats.parquet")[0]][:4] == [5, None, None, 6]
    pq.write_table(table.set_column(place, "seed", pa.array([1.5] * 28)), tmp_path / "halves.parquet")
    assert opened(tmp_path / "halves.parquet")[1].summary() == "28 x its seed or its tokens are not whole numbers"


def test_null_cells_can_be_given() -> None:
    records, report = opened(BUGS / "null_cells_in_a_set" / "null_source.parquet", Treatment(source="x"))
    assert (len(records), report.skipped) == (28, [])
    records, _ = opened(BUGS / "null_cells_in_a_set" / "null_group.parquet", group_column="image_id")
    assert [record.group for record in records] == ids(records)


def test_the_column_of_images_is_found_or_asked_for(tmp_path: Path) -> None:
    assert len(opened(BUGS / "nothing_could_be_used" / "column_img.parquet")[0]) == 3
    data = [image_bytes(seed=seed) for seed in range(2)]
    images = [{"bytes": item, "path": "p.png"} for item in data]
    pq.write_table(pa.table({"left": images, "right": images}), tmp_path / "two.parquet")
    with pytest.raises(UserError, match=r"which column holds the images\? Choose one with --image-column: left, right"):
        opened(tmp_path / "two.parquet")
    assert len(opened(tmp_path / "two.parquet", image_column="right")[0]) == 2
    pq.write_table(pa.table({"data": [{"image": images[0]}], "n": [1]}), tmp_path / "nested.parquet")
    with pytest.raises(UserError, match=r"no column holds an image per row; columns: data \(Struct\), n \(int64\)"):
        opened(tmp_path / "nested.parquet")
    lists = BUGS / "nothing_could_be_used" / "list_of_images.parquet"
    with pytest.raises(UserError, match=r"no column holds an image per row; columns: image \(List\)"):
        opened(lists)
    _, report = opened(lists, image_column="image")
    assert report.summary() == "3 x holds a list of images, not one"


def test_rows_with_a_path_only_say_so() -> None:
    records, report = opened(BUGS / "nothing_could_be_used" / "path_only.parquet")
    assert records == []
    assert report.summary() == "3 x holds no image bytes, only a path"


def test_class_numbers_get_their_names(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    labels = datasets.ClassLabel(names=["cat", "dog"])
    features = datasets.Features({"image": datasets.Image(), "fine": labels, "text": datasets.Value("string")})
    rows = {"image": [{"bytes": image_bytes(seed=n), "path": None} for n in range(3)], "fine": [1, 0, -1]}
    table = datasets.Dataset.from_dict({**rows, "text": ["a", "b", "c"]}, features=features)
    table.to_parquet(str(tmp_path / "a.parquet"))
    assert [record.condition for record in opened(tmp_path / "a.parquet")[0]] == ["dog", "cat", ""]
    assert [record.condition for record in opened(tmp_path / "a.parquet", label_column="text")[0]] == ["a", "b", "c"]


def test_licence_author_and_page_are_read_where_columns_are_called_so(tmp_path: Path) -> None:
    columns = {"license": ["CC0", None], "author": ["A", "B"], "url": ["https://example.org/1", None]}
    pq.write_table(pa.table({"image": [image_bytes(seed=n) for n in range(2)], **columns}), tmp_path / "a.parquet")
    assert [(record.licence, record.author, record.page) for record in opened(tmp_path / "a.parquet")[0]] == [
        ("CC0", "A", "https://example.org/1"),
        (None, "B", None),
    ]


def test_a_folder_of_parquet_is_read_whole_through_links(tmp_path: Path) -> None:
    """As huggingface_hub lays out a snapshot: links into a folder of blobs; the same file name may come twice."""
    for number, name in enumerate(("a/train-00000-of-00001", "b/train-00000-of-00001")):
        blob = tmp_path / "blobs" / str(number)
        blob.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"image": [image_bytes(seed=number)]}), blob)
        link = tmp_path / "snapshots" / "main" / f"{name}.parquet"
        link.parent.mkdir(parents=True)
        link.symlink_to(blob)
    records, report = opened(tmp_path / "snapshots" / "main")
    assert ids(records) == ["a/train-00000-of-00001/000000", "b/train-00000-of-00001/000000"]
    assert report.skipped == []
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "data").symlink_to(tmp_path / "snapshots" / "main")
    assert ids(opened(tmp_path / "linked")[0])[1] == "data/b/train-00000-of-00001/000000"
    assert len(opened(BUGS / "nothing_could_be_used" / "hubsnapshot")[0]) == 3


def test_shards_tell_their_split_where_there_are_several(tmp_path: Path) -> None:
    for number, split in enumerate(("calibration", "test")):
        table = pa.table({"image": [image_bytes(seed=number)]})
        pq.write_table(table, tmp_path / f"{split}-00000-of-00001.parquet")
    assert [record.split for record in opened(tmp_path)[0]] == ["calibration", "test"]
    assert {record.split for record in opened(tmp_path, Treatment(split="test"))[0]} == {"test"}


def test_no_rows_is_a_reason(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": pa.array([], pa.binary())}), tmp_path / "a.parquet")
    assert opened(tmp_path)[1].skipped == [f"{tmp_path}/a.parquet: holds no rows"]


def test_groups_that_are_ids_get_the_prefix_too(tmp_path: Path) -> None:
    first, second, third = toy_records(3, "toy", "test", seed=0)
    crop = ImageRecord.make(second.bytes, image_id="crop", source="toy", group=first.image_id)
    photo = ImageRecord.make(third.bytes, image_id="third", source="toy", group="photo")
    ImageSet.write([first, crop, photo], tmp_path / "set")
    records, _ = opened(tmp_path / "set", Treatment(prefix="x/"))
    assert [record.group for record in records] == ["x/toy/test/00000", "x/toy/test/00000", "photo"]


# The Hub, and sources of other people


def test_a_hub_repository_is_streamed_with_its_original_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    pq.write_table(
        pa.table({"photo": [{"bytes": image_bytes(seed=n), "path": None} for n in range(3)], "about": ["s"] * 3}),
        tmp_path / "s.parquet",
    )
    real, asked = datasets.load_dataset, []

    def local(repo: str, config: str | None, **options: object) -> object:
        asked.append((repo, config, options))
        stream = real("parquet", data_files=f"{tmp_path}/s.parquet", split="train", streaming=True)
        return stream.cast_column("photo", datasets.Image())

    monkeypatch.setattr(datasets, "load_dataset", local)
    records, _ = opened("hub:o/n", Treatment(limit=2), hub_split="val", config="c", revision="r", label_column="about")
    assert [(record.image_id, record.condition) for record in records] == [("val/00000000", "s"), ("val/00000001", "s")]
    assert [record.source for record in records] == ["n", "n"]
    assert records[1].bytes == image_bytes(seed=1)
    assert asked == [("o/n", "c", {"split": "val", "revision": "r", "streaming": True})]
    with pytest.raises(UserError, match="ILSVRC/imagenet-1k: there is no column 'label'; columns: photo, about"):
        next(import_imagenet(None, ImportReport()))


def test_an_image_set_on_the_hub_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    written = ImageSet.write([*toy_records(2, "a", "test", 0), *toy_records(2, "b", "calibration", 1)], tmp_path / "s")
    stream = datasets.load_dataset("parquet", data_files=f"{tmp_path}/s/*.parquet", split="train", streaming=True)
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **options: stream)
    records, _ = opened("hub:o/n")
    assert records == [record for batch in written.iterate() for record in batch]


def test_without_network_the_hub_gives_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def offline(*args: object, **options: object) -> object:
        raise ConnectionError("\nCouldn't reach it\nmore")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(UserError) as caught:
        next(import_hub("o/n", ImportReport()))
    assert str(caught.value) == (
        "o/n (split train): cannot be fetched from the Hugging Face Hub (ConnectionError: Couldn't reach it more); "
        "check the network, the name and, if it is gated, your login"
    )


SOURCE = '''
from iarbench.images.importing import FoundImage

def two(path, report, *, times=1):
    """Two pictures."""
    report.skip("third", "is late (by an hour)")
    for number in range(2):
        yield FoundImage(f"picture {number}", open(path, "rb").read(), str(number), condition="x" * int(times))

def strange(path, report):
    yield b"bytes"

def broken(path, report):
    print("hello")
    raise KeyError("a\\nb")
'''


def test_a_source_may_be_a_function_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(SOURCE)
    put(tmp_path / "a.png", image_bytes())
    records, report = opened(f"{tmp_path}/mine.py:two:{tmp_path}/a.png", times="3")
    assert [(record.image_id, record.source, record.condition) for record in records] == [
        ("0", "two", "xxx"), ("1", "two", "xxx"),
    ]  # fmt: skip
    assert report.summary() == "1 x is late"
    with pytest.raises(UserError, match=r"source '.*mine\.py:strange': gives bytes; a source yields .*FoundImage"):
        opened(f"{tmp_path}/mine.py:strange")
    with pytest.raises(UserError, match=r"source '.*mine\.py:broken': KeyError: ") as caught:
        opened(f"{tmp_path}/mine.py:broken")
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""
