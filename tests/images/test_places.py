"""Sources whose images have places: read span by span they give what they give as a whole."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from official_layouts import write_official_layouts
from PIL import Image

from iarbench.images import list_source
from iarbench.images.image_set import ImageSet
from iarbench.images.importing import FoundImage, ImportReport
from iarbench.images.places import Places
from iarbench.images.sources import find_images
from iarbench.testing import toy_records


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def put(path: Path, data: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def damage(file: Path, text: bytes) -> None:
    """Make the length that stands before a value of a plain Parquet column larger than the page."""
    data, value = file.read_bytes(), len(text).to_bytes(4, "little") + text
    assert data.count(value) == 1
    file.write_bytes(data.replace(value, b"\xff\xff\xff\x7f" + text))


def folder(root: Path) -> dict[str, object]:
    for number in range(5):
        put(root / f"{'cat' if number % 2 else 'dog'}/{number}.png", png(number))
    put(root / "0.txt", "no picture")
    put(root / "cat/metadata.csv", "file_name,text\n1.png,a cat\n")
    put(root / "cat/readme.md", "none either")
    put(root / ".thumbnails/1.png", png(1))
    (root / "dog/broken.png").symlink_to("nowhere.png")
    put(root / "z.txt", "after the last one")
    put(root / "zz.txt", "after the last one")
    return {"src": str(root)}


def imagenet(root: Path) -> dict[str, object]:
    write_official_layouts(root, [png(number) for number in range(5)], [])
    put(root / "ILSVRC2012_img_val/other.jpg", png(9))
    (root / "ILSVRC2012_img_val/ILSVRC2012_val_00000009.JPEG").symlink_to("nowhere")
    return {"src": f"imagenet:{root}/ILSVRC2012_img_val"}


def imagenet_parquet(root: Path) -> dict[str, object]:
    rows = [{"bytes": png(number), "path": f"ILSVRC2012_val_{number:08}_n01440764.JPEG"} for number in range(5)]
    root.mkdir()
    pq.write_table(pa.table({"image": rows, "label": [0] * 5}), root / "validation.parquet")
    return {"src": f"imagenet:{root}"}


def coco(root: Path) -> dict[str, object]:
    write_official_layouts(root, [], [png(number) for number in range(5)])
    (root / "coco/val2017/000000000014.jpg").unlink()
    put(root / "coco/val2017/other.jpg", png(9))
    return {"src": f"coco:{root}/coco", "caption_seed": 3}


def parquet(root: Path) -> dict[str, object]:
    root.mkdir()
    images = [png(number) for number in range(9)]
    images[3] = b"mark"
    images[6] = b""
    table = pa.table({"image": images, "id": [f"{number % 7}" for number in range(9)]})
    for name in ("test-00001-of-00003", "train-00002-of-00003"):
        options = {"row_group_size": 3, "compression": "none", "use_dictionary": False}
        pq.write_table(table, root / f"{name}.parquet", **options)
    damage(root / "test-00001-of-00003.parquet", b"mark")
    for name in ("fit-00000-of-00003", "train-00003-of-00003"):
        pq.write_table(table.slice(0, 0), root / f"{name}.parquet")
    put(root / "no.parquet", "no Parquet")
    return {"src": str(root), "id_column": "id"}


def large_groups(root: Path) -> dict[str, object]:
    """Row groups of more rows than are read at once."""
    root.mkdir()
    pq.write_table(pa.table({"image": [png(number) for number in range(150)]}), root / "a.parquet", row_group_size=100)
    return {"src": str(root)}


def image_set(root: Path) -> dict[str, object]:
    ImageSet.write([*toy_records(3, "a", "test", 0), *toy_records(4, "b", "calibration", 1)], root, shard_rows=4)
    return {"src": str(root)}


def listed(root: Path) -> dict[str, object]:
    for number in range(4):
        put(root / f"files/{number}.png", png(number))
    put(root / "files/other/3.png", png(3))
    rows = [0, 1, 1, 5, 3, 2, 0]
    put(root / "list.csv", "name,caption\n" + "".join(f"{row},about {row}\n" for row in rows))
    return {"src": f"list:{root}/list.csv", "files": str(root / "files")}


def laion(root: Path) -> dict[str, object]:
    root.mkdir()
    table = {"key": ["1", "2", "3"], "caption": ["a", None, "c"], "jpg": [png(1), None, png(3)]}
    pq.write_table(pa.table(table), root / "00000.parquet")
    return {"src": f"laion:{root}"}


KINDS = [folder, imagenet, imagenet_parquet, coco, parquet, large_groups, image_set, listed, laion]


def opened(asked: dict[str, object]) -> tuple[Places, ImportReport]:
    report = ImportReport()
    found, _ = find_images(report=report, **asked)
    assert isinstance(found, Places)
    return found, report


@pytest.mark.parametrize("size", [1, 2, 5, 64])
@pytest.mark.parametrize("make", KINDS)
def test_spans_side_by_side_are_the_whole(make: Callable[[Path], dict[str, object]], size: int, tmp_path: Path) -> None:
    asked = make(tmp_path / "in")
    places, report = opened(asked)
    whole = list(places)
    assert whole
    spans, told = opened(asked)
    assert (len(spans), spans.digest()) == (len(places), places.digest())
    found: list[FoundImage] = []
    for start in range(0, len(spans), size):
        found += spans.span(start, min(len(spans), start + size))
    assert found == whole
    assert (told.skipped, told.notes) == (report.skipped, report.notes)


@pytest.mark.parametrize("make", KINDS)
def test_a_span_in_the_middle_needs_none_before_it(make: Callable[[Path], dict[str, object]], tmp_path: Path) -> None:
    asked = make(tmp_path / "in")
    places, _ = opened(asked)
    before, middle = list(places.span(0, 1)), list(places.span(1, 3))
    assert list(opened(asked)[0].span(1, 3)) == middle
    assert list(places)[: len(before) + len(middle)] == before + middle


def test_a_list_is_read_on_from_where_the_last_span_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = listed(tmp_path / "in")
    whole = {item.name: item for item in opened(asked)[0]}
    places, _ = opened(asked)
    places.digest()  # which file belongs to which row takes one reading
    reads: list[Path] = []
    rows = list_source._rows
    monkeypatch.setattr(list_source, "_rows", lambda file: [reads.append(file), rows(file)][1])
    spans = [(0, 1), (1, 2), (4, 5), (5, 7), (0, 2)]  # a gap for another process, and back for one that failed
    found = [[item.name.rpartition(" ")[2] for item in places.span(*span)] for span in spans]
    assert found == [["0"], ["1"], [], ["5"], ["0", "1"]]
    assert len(reads) == 2
    assert {item.name: item for item in places.span(0, 7)} == whole


def test_of_a_damaged_row_group_the_rest_is_named_and_the_next_one_read(tmp_path: Path) -> None:
    asked = parquet(tmp_path / "in")
    places, report = opened(asked)
    found = [item.name.rpartition("/")[2] for item in places if "/test-" in item.name]
    assert found == [f"test-00001-of-00003.parquet row {row}" for row in (0, 1, 2, 6, 7, 8)]
    (line,) = [line for line in report.skipped if " rows " in line]
    assert line.startswith(f"{tmp_path}/in/test-00001-of-00003.parquet rows 3 to 5: cannot be read as Parquet (")


def test_other_images_have_another_digest(tmp_path: Path) -> None:
    asked = folder(tmp_path / "in")
    before = opened(asked)[0].digest()
    put(tmp_path / "in/dog/more.png", png(7))
    assert opened(asked)[0].digest() != before
