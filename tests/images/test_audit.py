"""What is found in the small columns of an image set: cells that may not be empty, files that stand under two roles."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iarbench.errors import UserError
from iarbench.images.decode import encode
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord
from iarbench.testing import toy_records

BUGS = Path(__file__).parent.parent / "bugs"


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ("source", "2 images have no source"),
        ("split", "2 images have no split"),
        ("group", "28 images have no group"),
        ("image_id", "1 image has no image_id"),
    ],
)
def test_null_cells_are_refused_before_work_and_found_by_verify(column: str, found: str) -> None:
    path = BUGS / "null_cells_in_a_set" / f"null_{column}.parquet"
    with pytest.raises(UserError, match=rf"null_{column}\.parquet: {found} \(the first: .*import") as caught:
        ImageSet.open(path)
    assert "\n" not in str(caught.value)
    problems = ImageSet.open(path, complete=False).verify()
    assert problems[0].startswith(found)
    assert len(problems) == 1


def test_empty_text_is_no_name_either(tmp_path: Path) -> None:
    nameless = [dataclasses.replace(record, source="") for record in toy_records(3, "toy", "test", seed=0)]
    with pytest.raises(UserError, match="image 'toy/test/00000' has no source"):
        ImageSet.write(nameless, tmp_path / "set")
    assert not (tmp_path / "set").exists()
    table = pq.read_table(BUGS / "null_cells_in_a_set" / "null_group.parquet")
    pq.write_table(
        table.set_column(table.schema.get_field_index("group"), "group", [[""] * 28]), tmp_path / "a.parquet"
    )
    with pytest.raises(UserError, match=r"28 images have no group"):
        ImageSet.open(tmp_path / "a.parquet")


def test_one_file_in_two_splits_or_sources_is_named(tmp_path: Path) -> None:
    first, second, third = toy_records(3, "photos", "test", seed=0)
    copies = [
        dataclasses.replace(first, image_id="again", split="calibration"),
        dataclasses.replace(second, image_id="member", source="model"),
        dataclasses.replace(third, image_id="same part"),
    ]
    images = ImageSet.write([first, second, third, *copies], tmp_path / "set")
    assert images.shared_files() == [
        "1 image is the same file in model/test and in photos/test (the first: member and photos/test/00001)",
        "1 image is the same file in photos/calibration and in photos/test (the first: again and photos/test/00000)",
    ]
    assert images.verify() == images.shared_files()
    assert images.filter(split="test", source="photos").shared_files() == []


def test_bytes_that_are_not_those_of_their_sha256_are_never_handed_out() -> None:
    images = ImageSet.open(BUGS / "sha256_column_is_believed" / "mapped.parquet")
    with pytest.raises(UserError, match=r"mapped\.parquet: the bytes of 28 of 28 images do not match their sha256"):
        images.require_unchanged()
    with pytest.raises(UserError, match=r"mapped\.parquet: the bytes of image \S+ do not match its sha256; .*import"):
        next(images.iterate())
    with pytest.raises(UserError, match="do not match its sha256"):
        images.read([images.index()["image_id"][3]])
    assert len(images.verify()) == 28
    ImageSet.open(BUGS / "sha256_column_is_believed" / "clean.parquet").require_unchanged()


def test_one_flipped_bit_is_found(tmp_path: Path) -> None:
    (record,) = toy_records(1, "toy", "test", seed=0)
    ImageSet.write([record], tmp_path / "set")
    shard = tmp_path / "set" / "part-00000.parquet"
    content = bytearray(shard.read_bytes())
    place = content.find(record.bytes[-30:])
    assert place > 0
    content[place] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match="the bytes of 1 of 1 images do not match their sha256"):
        ImageSet.open(tmp_path / "set").require_unchanged()


def test_rows_without_bytes_are_problems_and_no_traceback(tmp_path: Path) -> None:
    table = pq.read_table(BUGS / "sha256_column_is_believed" / "clean.parquet")
    image = [None, {"bytes": None, "path": "a.png"}, *table.column("image").to_pylist()[2:]]
    pq.write_table(table.set_column(0, table.schema.field("image"), [image]), tmp_path / "set.parquet")
    images = ImageSet.open(tmp_path / "set.parquet")
    assert [line.split(": ")[1] for line in images.verify()] == [
        *["the bytes do not match their sha256", "empty file (0 bytes)"] * 2
    ]
    with pytest.raises(UserError, match="the bytes of 2 of 28 images"):
        images.require_unchanged()


def test_licence_author_and_page_are_kept(tmp_path: Path) -> None:
    (toy,) = toy_records(1, "toy", "test", seed=0)
    known = dataclasses.replace(toy, licence="CC-BY-4.0", author="A. Person", page="https://example.org/1")
    (record,) = next(ImageSet.write([known], tmp_path / "set").iterate())
    assert (record.licence, record.author, record.page) == ("CC-BY-4.0", "A. Person", "https://example.org/1")
    other = record.with_bytes(encode(record.pil(), "webp"), "native-webp")
    assert (other.source_sha256, other.treatment) == (record.sha256, "native-webp")
    of_the_file = ("bytes", "sha256", "path", "format", "source_sha256", "treatment")
    file = {name: getattr(record, name) for name in of_the_file}
    assert dataclasses.replace(other, **file) == ImageRecord(
        **{name: getattr(record, name) for name in record.__slots__}
    )


def test_sets_of_the_first_version_still_open(tmp_path: Path) -> None:
    (toy,) = toy_records(1, "toy", "test", seed=0)
    images = ImageSet.write([toy], tmp_path / "set")
    table = pq.read_table(tmp_path / "set" / "part-00000.parquet")
    old = table.drop_columns(["licence", "author", "page", "source_sha256", "treatment"]).replace_schema_metadata(None)
    pq.write_table(old, tmp_path / "old.parquet")
    opened = ImageSet.open(tmp_path / "old.parquet")
    assert opened.fingerprint == images.fingerprint
    assert next(opened.iterate()) == [toy]
    assert opened.index()["licence"].isna().all()


def test_a_set_of_a_later_version_is_one_line(tmp_path: Path) -> None:
    ImageSet.write(toy_records(1, "toy", "test", seed=0), tmp_path / "set")
    table = pq.read_table(tmp_path / "set" / "part-00000.parquet")
    assert table.schema.metadata[b"iarbench_schema_version"] == b"3"
    later = {**table.schema.metadata, b"iarbench_schema_version": b"4"}
    pq.write_table(table.replace_schema_metadata(later), tmp_path / "later.parquet")
    with pytest.raises(UserError, match=r"an image set of version 4; this iarbench reads up to 3, update it"):
        ImageSet.open(tmp_path / "later.parquet")


def test_columns_of_another_kind_are_one_line(tmp_path: Path) -> None:
    table = pq.read_table(BUGS / "sha256_column_is_believed" / "clean.parquet")
    plain = table.set_column(0, "image", [[b"x"] * 28])
    pq.write_table(plain, tmp_path / "plain.parquet")
    with pytest.raises(UserError, match="not an image set, its column 'image' holds binary"):
        ImageSet.open(tmp_path / "plain.parquet")
    seeds = table.set_column(table.schema.get_field_index("seed"), "seed", [["many"] * 28])
    pq.write_table(seeds, tmp_path / "seeds.parquet")
    with pytest.raises(UserError, match="cannot be read as an image set"):
        ImageSet.open(tmp_path / "seeds.parquet")


def test_a_folder_of_folders_is_one_set(tmp_path: Path) -> None:
    ImageSet.write(toy_records(2, "toy", "test", seed=0), tmp_path / "set" / "a")
    ImageSet.write(toy_records(2, "toy", "calibration", seed=1), tmp_path / "set" / "b")
    ImageSet.write(toy_records(2, "other", "test", seed=2), tmp_path / "set" / ".b.1.tmp")
    assert ImageSet.open(tmp_path / "set").index()["split"].tolist() == ["test", "test", "calibration", "calibration"]


def test_what_other_programs_make_of_the_types_is_read(tmp_path: Path) -> None:
    table = pq.read_table(BUGS / "sha256_column_is_believed" / "clean.parquet")

    def write(name: str, column: str, values: pa.Array) -> Path:
        pq.write_table(table.set_column(table.schema.get_field_index(column), column, values), tmp_path / name)
        return tmp_path / name

    sources = table.column("source").combine_chunks()
    for name, kind in (("categories", pa.dictionary(pa.int32(), pa.string())), ("large", pa.large_string())):
        images = ImageSet.open(write(name, "source", sources.cast(kind)))
        assert [record.source for batch in images.iterate() for record in batch] == sources.to_pylist()
    images = ImageSet.open(write("numbers", "source", pa.array([7] * 28)))
    assert {record.source for batch in images.iterate() for record in batch} == {"7"}
    images = ImageSet.open(write("tokens", "tokens", pa.array([[1, 2]] * 28, pa.large_list(pa.int32()))))
    assert {record.tokens for batch in images.iterate() for record in batch} == {(1, 2)}
    with pytest.raises(UserError, match=r"column 'tokens' holds list<.*double> in place of whole numbers"):
        ImageSet.open(write("floats", "tokens", pa.array([[1.5]] * 28)))


def test_a_file_that_breaks_while_it_is_read_is_one_line(tmp_path: Path) -> None:
    images = ImageSet.write(toy_records(3, "toy", "test", seed=0), tmp_path / "set")
    shard = tmp_path / "set" / "part-00000.parquet"
    content = shard.read_bytes()
    shard.write_bytes(b"PAR1" + bytes(400) + content[404:])
    for read in (lambda: next(images.iterate()), lambda: images.read(["toy/test/00000"]), images.require_unchanged):
        with pytest.raises(UserError, match=r"part-00000\.parquet: cannot be read"):
            read()
