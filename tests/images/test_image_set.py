"""ImageSet: what goes in comes out, byte for byte; memory does not grow; damage is found."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from iarbench.cli import main
from iarbench.errors import UserError
from iarbench.images.decode import ImageError, encode
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord


def make(number: int, **changes: object) -> ImageRecord:
    pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    fields = {
        "image_id": f"s/{number:05}",
        "source": "even" if number % 2 == 0 else "odd",
        "split": "test" if number < 6 else "calibration",
        "condition": "tench, ψ" if number % 3 == 0 else "",
        "seed": 2**62 + number if number % 2 == 0 else None,
        "tokens": [number, 4095] if number % 2 == 0 else None,
    }
    return ImageRecord.make(encode(Image.fromarray(pixels), "png"), **{**fields, **changes})


@pytest.fixture
def records() -> list[ImageRecord]:
    return [make(number) for number in range(10)]


@pytest.fixture
def images(records: list[ImageRecord], tmp_path: Path) -> ImageSet:
    return ImageSet.write(records, tmp_path / "set", shard_rows=4)


def flat(images: ImageSet, batch_size: int = 3) -> list[ImageRecord]:
    return [record for batch in images.iterate(batch_size) for record in batch]


def test_make_finds_hash_size_and_format() -> None:
    data = io.BytesIO()
    Image.new("RGB", (5, 3)).save(data, "JPEG")
    record = ImageRecord.make(data.getvalue(), image_id="a/b", source="s")
    assert record.sha256 == hashlib.sha256(data.getvalue()).hexdigest()
    assert (record.width, record.height, record.format) == (5, 3, "JPEG")
    assert (record.path, record.group, record.split, record.condition) == ("a/b.jpeg", "a/b", "test", "")
    assert record.pil().size == (5, 3)
    with pytest.raises(ImageError, match=r"^x\.png: empty file"):
        ImageRecord.make(b"", image_id="x.png", source="s")


def test_records_come_back_exactly_and_in_order(images: ImageSet, records: list[ImageRecord], tmp_path: Path) -> None:
    assert len(images) == 10
    assert flat(images) == records
    assert [len(batch) for batch in images.iterate(4)] == [4, 4, 2]
    shards = sorted(path.name for path in (tmp_path / "set").iterdir())
    assert shards == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert [pq.read_metadata(tmp_path / "set" / name).num_rows for name in shards] == [4, 4, 2]
    assert flat(ImageSet.open(tmp_path / "set" / "part-00001.parquet")) == records[4:8]


def test_shards_and_row_groups_stay_small(tmp_path: Path) -> None:
    one = make(0)
    many = (dataclasses.replace(one, image_id=str(number)) for number in range(1120))
    images = ImageSet.write(many, tmp_path / "set")
    metadata = [pq.read_metadata(path) for path in sorted((tmp_path / "set").iterdir())]
    assert [part.num_rows for part in metadata] == [1000, 120]
    assert [metadata[1].row_group(group).num_rows for group in range(3)] == [50, 50, 20]
    assert [record.image_id for record in images.read(["1049", "0", "1050"])] == ["1049", "0", "1050"]


def test_datasets_opens_it(images: ImageSet, records: list[ImageRecord], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    files = [str(path) for path in sorted((tmp_path / "set").glob("*.parquet"))]
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert isinstance(loaded.features["image"], datasets.Image)
    assert loaded.features["seed"] == datasets.Value("int64")
    assert [row["image_id"] for row in loaded] == [record.image_id for record in records]
    assert loaded[0]["image"].convert("RGB").tobytes() == records[0].pil().tobytes()
    assert loaded[0]["tokens"] == [0, 4095]
    raw = loaded.cast_column("image", datasets.Image(decode=False))
    assert raw[3]["image"]["bytes"] == records[3].bytes
    # What `datasets` saves again is still an image set.
    raw.cast_column("image", datasets.Image()).to_parquet(str(tmp_path / "again.parquet"))
    assert ImageSet.open(tmp_path / "again.parquet").fingerprint == images.fingerprint


def test_index_has_everything_but_the_heavy_columns(images: ImageSet) -> None:
    index = images.index()
    assert set(index.columns) == {
        *("image_id", "sha256", "source", "split", "group", "condition"),
        *("seed", "width", "height", "format", "licence", "author", "page", "path"),
        *("source_sha256", "treatment"),
    }
    assert index["image_id"].tolist() == [f"s/{number:05}" for number in range(10)]
    assert index["seed"][2] == 2**62 + 2
    assert index["seed"].isna().tolist() == [False, True] * 5
    assert index["path"][0] == "s/00000.png"


def test_views(images: ImageSet, records: list[ImageRecord]) -> None:
    view = images.filter(source="even", split=("calibration", "train"))
    assert flat(view) == [records[6], records[8]]
    assert len(view) == 2
    assert view.index()["image_id"].tolist() == ["s/00006", "s/00008"]
    assert flat(view.filter(image_id=["s/00008"], group=None)) == [records[8]]
    assert flat(images.filter(source="nobody")) == []
    assert images.filter().fingerprint == images.fingerprint
    with pytest.raises(UserError, match=r"cannot filter images by 'width'"):
        images.filter(width="8")


def test_read_by_id(images: ImageSet, records: list[ImageRecord]) -> None:
    assert images.read(["s/00009", "s/00000", "s/00005", "s/00000"]) == [records[i] for i in (9, 0, 5, 0)]
    assert images.read([]) == []
    with pytest.raises(UserError, match=r"no image 's/00001' among the 5 of this set \(1 ids missing\)"):
        images.filter(source="even").read(["s/00000", "s/00001"])


def test_fingerprint_ignores_order_and_sharding_only(
    images: ImageSet, records: list[ImageRecord], tmp_path: Path
) -> None:
    assert ImageSet.write(records[::-1], tmp_path / "b", shard_rows=3).fingerprint == images.fingerprint
    for number, field in enumerate(("image_id", "sha256", "source", "split", "group", "condition")):
        changed = [dataclasses.replace(records[0], **{field: "changed"}), *records[1:]]
        assert ImageSet.write(changed, tmp_path / f"c{number}").fingerprint != images.fingerprint
    assert images.filter(source="even").fingerprint != images.fingerprint


def test_the_fingerprint_is_the_one_on_record(tmp_path: Path) -> None:
    record = ImageRecord(b"x", "p", "i", "h", "s", "test", "g", "ψ", None, None, 1, 1, "PNG")
    row = hashlib.sha256(rb'["i", "h", "s", "test", "g", "\u03c8"]').hexdigest()
    expected = hashlib.sha256(row.encode()).hexdigest()
    assert ImageSet.write([record], tmp_path / "set").fingerprint == expected


def test_verify_of_a_sound_set(images: ImageSet) -> None:
    assert images.verify() == []


def test_verify_names_every_kind_of_damage(records: list[ImageRecord], tmp_path: Path) -> None:
    records[1] = dataclasses.replace(records[1], bytes=records[2].bytes)
    records[3] = dataclasses.replace(records[3], bytes=b"junk", sha256=hashlib.sha256(b"junk").hexdigest())
    records[5] = dataclasses.replace(records[5], width=9)
    ImageSet.write(records, tmp_path / "set", shard_rows=6)
    copy = tmp_path / "set" / "part-00002.parquet"
    copy.write_bytes((tmp_path / "set" / "part-00001.parquet").read_bytes())
    images = ImageSet.open(tmp_path / "set")
    assert images.verify()[:4] == [f"s/{number:05}: this id occurs 2 times" for number in range(6, 10)]
    assert [line.split(", BMP")[0] for line in images.verify()[4:]] == [
        "s/00001: the bytes do not match their sha256",
        "s/00003: not an image, or not in a format that is read (JPEG, PNG, WEBP, GIF",
        "s/00005: is 8x8 PNG, its row says 9x8 PNG",
    ]
    assert images.filter(split="calibration", image_id=["s/00000"]).verify() == []


def test_verify_goes_on_after_a_file_that_broke(images: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "set" / "part-00000.parquet").write_bytes(b"PAR1")
    problems = images.verify()
    assert len(problems) == 1
    assert problems[0].startswith(f"{tmp_path}/set/part-00000.parquet: cannot be read (")


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no image set here"):
        ImageSet.open(tmp_path / "nowhere")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and more")
    with pytest.raises(UserError, match=r"bad\.parquet: cannot be read as an image set"):
        ImageSet.open(tmp_path / "bad.parquet")
    pq.write_table(pa.table({"image": [1]}), tmp_path / "other.parquet")
    with pytest.raises(UserError, match=r"other\.parquet: not an image set, column 'image_id' is missing"):
        ImageSet.open(tmp_path / "other.parquet")


def test_a_failed_write_leaves_nothing(records: list[ImageRecord], tmp_path: Path) -> None:
    def failing() -> Iterator[ImageRecord]:
        yield from records
        raise RuntimeError("lost power")

    with pytest.raises(RuntimeError, match="lost power"):
        ImageSet.write(failing(), tmp_path / "set", shard_rows=4)
    with pytest.raises(UserError, match="image id 's/00000' occurs twice"):
        ImageSet.write([records[0], records[0]], tmp_path / "set")
    with pytest.raises(UserError, match="there are no images to write"):
        ImageSet.write([], tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_a_set_is_never_overwritten(images: ImageSet, records: list[ImageRecord], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="already exists, and an image set is never changed"):
        ImageSet.write(records[:1], tmp_path / "set")
    assert flat(images) == records
    (tmp_path / "empty").mkdir()
    assert len(ImageSet.write(records, tmp_path / "empty")) == 10


def test_views_travel_to_worker_processes(images: ImageSet) -> None:
    view = images.filter(source="odd")
    assert flat(pickle.loads(pickle.dumps(view))) == flat(view)


def test_memory_does_not_grow_with_the_set(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(20_000)
    image = dataclasses.replace(make(0), bytes=data, sha256=hashlib.sha256(data).hexdigest())

    rows = (dataclasses.replace(image, image_id=str(number)) for number in range(2000))
    images = ImageSet.write(rows, tmp_path / "set", shard_rows=300)
    before = pa.total_allocated_bytes()
    peak = max(pa.total_allocated_bytes() - before for _ in images.iterate(64))
    assert peak < 5_000_000, "40 MB of images, 1 MB in a row group"


def test_a_treated_image_says_of_which_file_it_was_made(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.zeros((40, 60, 3), dtype=np.uint8)).save(tmp_path / "photos/a.png")
    original = hashlib.sha256((tmp_path / "photos/a.png").read_bytes()).hexdigest()

    def imported(src: Path, out: str, *options: str) -> ImageRecord:
        assert main(["images", "import", str(src), "--out", str(tmp_path / out), *options]) == 0
        ((record,),) = ImageSet.open(tmp_path / out).iterate()
        return record

    plain = imported(tmp_path / "photos", "plain")
    assert (plain.sha256, plain.source_sha256, plain.treatment) == (original, None, None)
    small = imported(tmp_path / "photos", "small", "--size", "16", "--geometry", "squash", "--container", "jpeg96")
    assert (small.source_sha256, small.treatment, small.format) == (original, "squash16-jpeg96", "JPEG")
    again = imported(tmp_path / "small", "again")
    assert again == small
    smaller = imported(tmp_path / "small", "smaller", "--size", "8")
    assert (smaller.source_sha256, smaller.treatment) == (small.sha256, "crop8-webp")
    only = imported(tmp_path / "photos", "only", "--container", "webp")
    assert (only.source_sha256, only.treatment, only.width, only.format) == (original, "native-webp", 60, "WEBP")
    arguments = ["images", "import", str(tmp_path / "photos"), "--out", str(tmp_path / "no"), "--geometry", "squash"]
    assert main(arguments) == 2


def test_skip_takes_up_where_limit_stopped(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(5):
        Image.fromarray(np.full((8, 8, 3), number, dtype=np.uint8)).save(tmp_path / f"photos/{number}.png")
    (tmp_path / "photos/0.png").write_bytes(b"damaged")
    taken = []
    for part in (["--limit", "2"], ["--skip", "2"]):
        out = tmp_path / part[0]
        main(["images", "import", str(tmp_path / "photos"), "--out", str(out), *part])
        taken.append(list(ImageSet.open(out).index()["image_id"]))
    assert taken == [["1.png", "2.png"], ["3.png", "4.png"]]
