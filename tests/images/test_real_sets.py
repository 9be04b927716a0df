"""ImageNet, COCO and published lists in their official layouts, made here of noise."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.io import savemat

from iarbench.errors import UserError
from iarbench.images.coco_source import choose_caption, short_licence
from iarbench.images.importing import ImportReport, Treatment
from iarbench.images.record import ImageRecord
from iarbench.images.sources import open_source

NUMBERS = (3, 1, 2)
WNIDS = {1: "n02099601", 2: "n01440764", 3: "n02099601"}
NAMES = {"n01440764": "tench, Tinca tinca", "n02099601": "golden retriever"}


def jpeg(seed: int, size: tuple[int, int] = (12, 10)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def put(path: Path, data: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def opened(src: str | Path, **options: object) -> tuple[list[ImageRecord], ImportReport]:
    report = ImportReport()
    return list(open_source(str(src), Treatment(), report, **options)), report


def imagenet_id(number: int) -> str:
    return f"ILSVRC2012_val_{number:08}"


def write_kit(folder: Path) -> None:
    """The two files of the development kit; its numbers are not in the order of WordNet ids."""
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")]
    rows = [(1, "n02099601", NAMES["n02099601"]), (2, "n01440764", NAMES["n01440764"])]
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "meta.mat", {"synsets": np.array(rows, dtype=fields)})
    put(folder / "ILSVRC2012_validation_ground_truth.txt", "1\n2\n1\n")


def flat(root: Path, kit: str) -> str:
    for number in NUMBERS:
        put(root / "val" / f"{imagenet_id(number)}.JPEG", jpeg(number))
    write_kit(root / kit)
    return f"imagenet:{root}/val"


def kaggle(root: Path) -> str:
    for number in NUMBERS:
        put(root / "ILSVRC/val" / f"{imagenet_id(number)}.JPEG", jpeg(number))
    lines = [f"{imagenet_id(number)},{WNIDS[number]} 1 2 3 4 " for number in NUMBERS]
    put(root / "LOC_val_solution.csv", "\n".join(["ImageId,PredictionString", *lines]) + "\n")
    put(root / "LOC_synset_mapping.txt", "".join(f"{wnid} {name}\n" for wnid, name in NAMES.items()))
    return f"imagenet:{root}"


def classes(root: Path) -> str:
    for number in NUMBERS:
        put(root / "val" / WNIDS[number] / f"{imagenet_id(number)}.JPEG", jpeg(number))
    put(root / "synset_words.txt", "".join(f"{wnid} {name}\n" for wnid, name in NAMES.items()))
    return f"imagenet:{root}/val"


def hub_parquet(root: Path) -> str:
    order = list(NAMES)
    rows = [
        {"bytes": jpeg(number), "path": f"{imagenet_id(number)}_{WNIDS[number]}.JPEG"} for number in sorted(NUMBERS)
    ]
    labels = [order.index(WNIDS[number]) for number in sorted(NUMBERS)]
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(NAMES.values()), "_type": "ClassLabel"},
    }
    table = pa.table({"image": rows, "label": labels})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    (root / "data").mkdir(parents=True)
    pq.write_table(table, root / "data/validation-00000-of-00014.parquet")
    return f"imagenet:{root}/data"


@pytest.mark.parametrize(
    "form",
    [
        lambda root: flat(root, "ILSVRC2012_devkit_t12/data"),
        lambda root: flat(root, "val"),
        kaggle,
        classes,
        hub_parquet,
    ],
    ids=["flat", "flat-with-kit-inside", "kaggle", "classes", "parquet"],
)
def test_every_form_of_imagenet_gives_the_same_images(form, tmp_path: Path) -> None:
    records, report = opened(form(tmp_path / "imagenet"))
    assert report.skipped == []
    found = [(one.image_id, one.condition, one.source, one.bytes) for one in records]
    assert found == [
        (imagenet_id(number), NAMES[WNIDS[number]], "imagenet", jpeg(number)) for number in sorted(NUMBERS)
    ]
    assert {one.licence for one in records} == {
        "ImageNet terms of access: non-commercial research and education, no redistribution"
    }


def test_imagenet_says_what_it_lacks(tmp_path: Path) -> None:
    put(tmp_path / "val" / f"{imagenet_id(1)}.JPEG", jpeg(1))
    with pytest.raises(UserError, match=r"nothing tells the classes: put ILSVRC2012_validation_ground_truth\.txt and"):
        opened(f"imagenet:{tmp_path}/val")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"holds no ILSVRC2012_val_\*\.JPEG; for other pictures write folder:"):
        opened(f"imagenet:{tmp_path}/empty")
    put(tmp_path / "val/n01440764/other.jpg", jpeg(2))
    write_kit(tmp_path / "val")
    put(tmp_path / "val/n01440764" / f"{imagenet_id(9)}.JPEG", jpeg(9))
    put(tmp_path / "val" / f"{imagenet_id(8)}.JPEG", jpeg(8))
    records, report = opened(f"imagenet:{tmp_path}/val")
    assert [one.image_id for one in records] == [imagenet_id(1), imagenet_id(9)]
    assert [line.partition(": ")[2] for line in report.skipped] == [
        "not one of ImageNet's validation images, by its name",
        "nothing says of which class it is",
    ]
    put(tmp_path / "val/meta.mat", b"nonsense")
    with pytest.raises(UserError, match=r"meta\.mat: not the meta\.mat of ImageNet's development kit"):
        opened(f"imagenet:{tmp_path}/val")


CAPTIONS = {
    "licenses": [
        {"id": 1, "name": "Attribution-NonCommercial-ShareAlike License", "url": "http://creativecommons.org/licenses/by-nc-sa/2.0/"},
        {"id": 7, "name": "No known copyright restrictions", "url": "http://flickr.com/commons/usage/"},
    ],
    "images": [
        {"id": 42, "file_name": "COCO_val2014_000000000042.jpg", "license": 1, "flickr_url": "http://flickr/42"},
        {"id": 9, "file_name": "COCO_val2014_000000000009.jpg", "license": 7, "coco_url": "http://coco/9"},
        {"id": 73, "file_name": "COCO_val2014_000000000073.jpg", "license": 1},
    ],
    "annotations": [
        *({"id": 100 - n, "image_id": 42, "caption": f" caption {100 - n}\n"} for n in range(5)),
        {"id": 7, "image_id": 9, "caption": "the only one"},
    ],
}  # fmt: skip


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    root = tmp_path / "coco"
    put(root / "annotations/captions_val2014.json", json.dumps(CAPTIONS))
    for number in (9, 42):
        put(root / f"val2014/COCO_val2014_{number:012}.jpg", jpeg(number))
    put(root / "val2014/stranger.jpg", jpeg(0))
    return root


@pytest.mark.parametrize("where", ["coco", "coco/val2014"])
def test_coco_comes_with_one_caption_and_its_licence(coco: Path, where: str) -> None:
    records, report = opened(f"coco:{coco.parent / where}")
    drawn = int.from_bytes(hashlib.sha256(b"0:42").digest()[:8], "big") % 5
    assert [(one.image_id, one.condition, one.licence, one.page) for one in records] == [
        ("000000000009", "the only one", "No known copyright restrictions", "http://coco/9"),
        ("000000000042", f"caption {96 + drawn}", "CC-BY-NC-SA-2.0", "http://flickr/42"),
    ]
    assert records[1].bytes == jpeg(42)
    assert report.skipped == [f"{coco}/val2014/stranger.jpg: not in captions_val2014.json"]
    assert report.notes == [f"{coco}/val2014: 1 of the 3 images of captions_val2014.json are not there"]


def test_another_seed_chooses_other_captions(coco: Path) -> None:
    captions = {number: str(number) for number in range(5)}
    chosen = [[choose_caption(captions, image, seed) for image in range(400)] for seed in (0, 1)]
    assert {counted for one in chosen for counted in one} == set(captions.values())
    assert all(40 < one.count(text) < 120 for one in chosen for text in captions.values())
    assert 40 < sum(a == b for a, b in zip(*chosen, strict=True)) < 120  # a fifth by chance
    plain, other = (opened(f"coco:{coco}", caption_seed=seed)[0][1].condition for seed in (0, 3))
    assert other == f"caption {96 + int.from_bytes(hashlib.sha256(b'3:42').digest()[:8], 'big') % 5}"
    assert plain == opened(f"coco:{coco}")[0][1].condition


def test_coco_says_what_it_lacks(coco: Path) -> None:
    with pytest.raises(UserError, match="--caption-seed is for COCO's own folders"):
        opened("coco", caption_seed=1)
    (coco / "val2017").mkdir()
    with pytest.raises(UserError, match=f"holds several splits; choose one: coco:{coco}/val2017, coco:{coco}/val2014"):
        opened(f"coco:{coco}")
    with pytest.raises(UserError, match=r"annotations/captions_val2017\.json is not beside it, .*trainval2017\.zip"):
        opened(f"coco:{coco}/val2017")
    with pytest.raises(UserError, match="holds none of val2017, train2017, val2014, train2014"):
        opened(f"coco:{coco}/annotations")
    put(coco / "annotations/captions_val2014.json", '{"images": []}')
    with pytest.raises(UserError, match="not COCO's captions"):
        opened(f"coco:{coco}/val2014")


def test_short_names_of_licences() -> None:
    assert short_licence("Attribution License", "http://creativecommons.org/licenses/by/2.0/") == "CC-BY-2.0"
    assert short_licence("United States Government Work", "http://www.usa.gov/copyright.shtml") == (
        "United States Government Work"
    )
    assert short_licence(None, None) is None


def test_raise_1k_takes_what_was_downloaded(tmp_path: Path) -> None:
    put(
        tmp_path / "RAISE_1k.csv",
        "File,NEF,TIFF,Keywords\nr01,http://x/r01.NEF,http://x/r01.TIF,outdoor\nr02,http://x/r02.NEF,http://x/r02.TIF,\n"
        "r03,http://x/r03.NEF,http://x/r03.TIF,indoor\n",
    )
    (tmp_path / "files").mkdir()
    for name in ("r01", "r03"):
        Image.new("RGB", (8, 8), "red" if name == "r01" else "blue").save(tmp_path / f"files/{name}.TIF")
    records, report = opened(f"raise-1k:{tmp_path}/RAISE_1k.csv", files=str(tmp_path / "files"))
    assert [(one.image_id, one.condition, one.page, one.source) for one in records] == [
        ("r01", "outdoor", "http://x/r01.TIF", "raise-1k"),
        ("r03", "indoor", "http://x/r03.TIF", "raise-1k"),
    ]
    assert report.skipped == [f"{tmp_path}/RAISE_1k.csv row 1: not among the downloaded files (http://x/r02.TIF)"]


def test_laion_pop_is_found_by_the_address_that_img2dataset_noted(tmp_path: Path) -> None:
    urls = ["http://a/image.jpg", "http://b/image.jpg", "http://c/gone.jpg"]
    pq.write_table(pa.table({"url": urls, "llava_caption": ["one", "two", "three"]}), tmp_path / "pop.parquet")
    for key in ("000000000", "000000001"):
        put(tmp_path / f"files/00000/{key}.jpg", jpeg(int(key)))
    shard = {"key": ["000000001", "000000000"], "url": urls[:2], "caption": ["x", "y"]}
    pq.write_table(pa.table(shard), tmp_path / "files/00000.parquet")
    records, report = opened(f"laion-pop:{tmp_path}/pop.parquet", files=str(tmp_path / "files"))
    assert [(one.image_id, one.condition, one.page) for one in records] == [
        ("000000", "one", urls[0]), ("000001", "two", urls[1]),
    ]  # fmt: skip
    assert [one.bytes for one in records] == [jpeg(1), jpeg(0)]
    assert report.by_reason.keys() == {"not among the downloaded files"}


def test_a_list_of_addresses_finds_files_by_their_last_part(tmp_path: Path) -> None:
    put(
        tmp_path / "list.txt", "http://a/cat%20one.jpg?size=big\n\nhttp://a/two.jpg\nhttp://b/two.jpg\nhttp://b/3.jpg\n"
    )
    for name in ("cat one.jpg", "two.png", "x/3.jpg", "y/3.jpg"):
        put(tmp_path / "files" / name, jpeg(len(name)))
    records, report = opened(f"list:{tmp_path}/list.txt", files=str(tmp_path / "files"))
    assert [(one.image_id, one.path, one.source) for one in records] == [
        ("000000", "cat one.jpg", "list"), ("000001", "two.png", "list"),
    ]  # fmt: skip
    assert [line.partition(": ")[2].partition(" (")[0] for line in report.skipped] == [
        "its file is another image's as well",
        "several files are called so",
    ]


@pytest.mark.parametrize(
    ("src", "options", "message"),
    [
        ("laion-pop", {}, "the list is at https://huggingface.co/datasets/laion/laion-pop"),
        ("raise-1k", {}, "list and images are at http://loki"),
        ("list", {}, "list: which one"),
        ("list:list.csv", {}, "say with --files where the downloaded ones are"),
        ("list:list.csv", {"files": "nowhere"}, "--files nowhere: there is no such folder"),
        ("list:list.csv", {"files": "."}, r"neither addresses nor names in its columns \(a, b\)"),
        ("list:list.csv", {"files": ".", "url_column": "c"}, "there is no column 'c'; columns: a, b"),
        ("list:nowhere.csv", {"files": "."}, "there is no such file"),
        ("list:broken.parquet", {"files": "."}, "cannot be read as a list of images"),
        ("folder:.", {"files": "."}, "the source 'folder' takes no --files"),
    ],
)
def test_lists_say_what_is_wrong(
    src: str, options: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(Path("list.csv"), "a,b\n1,2\n")
    put(Path("broken.parquet"), b"nonsense")
    with pytest.raises(UserError, match=message):
        opened(src, **options)


IMPORT = """
import resource, sys
from iarbench.cli import main
status = main(["images", "import", sys.argv[1], "--out", sys.argv[2]])
print(status, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    # 80 and 800 images of 120 kB: all of them at once would take 86 MB more.
    peaks = []
    for count in (80, 800):
        root = tmp_path / str(count)
        for number in range(count):
            noise = np.random.default_rng(number).integers(0, 256, (96, 416, 3), dtype=np.uint8)
            put(root / "val" / WNIDS[1] / f"{imagenet_id(number)}.JPEG", b"P6 416 96 255\n" + noise.tobytes())
        command = [sys.executable, "-c", IMPORT, f"imagenet:{root}/val", str(tmp_path / f"set{count}")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        status, peak = done.stdout.split()[-2:]
        assert (status, len(list((tmp_path / f"set{count}").glob("*.parquet")))) == ("0", 1)
        peaks.append(int(peak))
    assert peaks[1] - peaks[0] < 30_000, peaks
