from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from iarbench.files import remove_leftovers, write_atomically
from iarbench.harness.store import Chunk, Part, is_stored, write_part

IDENTITY = {
    "detector": "quantloss",
    "detector_version": 1,
    "parameters": "",
    "target": "toy-a",
    "encoder": "original",
    "target_weights": "f" * 64,
    "precision": "float32",
    "attack": "none",
    "attack_version": 1,
}
SCORES = {"quantloss": [-1.5, -0.1 - 0.2, -1e-300]}
SECONDS = [0.25, 0.25, 0.5]


def part(**changes: object) -> Part:
    chunk = Chunk.of("noise", "test", ("i0", "i1", "i2"), ("a" * 64, "b" * 64, "c" * 64))
    return Part({**IDENTITY, **changes}, {"image_set": "toys"}, chunk)


def write(root: Path, what: Part) -> Path:
    write_part(root, what, SCORES, SECONDS, "cpu")
    return root / what.path


def test_a_part_reads_back_bit_for_bit_and_says_whose_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, part())
    assert path.relative_to(tmp_path).as_posix().startswith("scores/quantloss/toy-a/original/none/noise-test-")
    table = pq.read_table(path, partitioning=None)
    assert table.to_pydict() == {
        "image_id": ["i0", "i1", "i2"],
        "sha256": ["a" * 64, "b" * 64, "c" * 64],
        "score_name": ["quantloss"] * 3,
        "score": SCORES["quantloss"],
        "seconds": SECONDS,
    }
    about = json.loads(table.schema.metadata[b"iarbench"])
    assert about == {**IDENTITY, "image_set": "toys", "device": "cpu", "key": part().key}
    assert is_stored(tmp_path, part())


def test_several_scores_follow_each_other(tmp_path: Path) -> None:
    write_part(tmp_path, part(), {"one": [1, 2, 3], "two": [4, 5, 6]}, SECONDS, "cpu")
    table = pq.read_table(tmp_path / part().path, partitioning=None)
    assert table["score_name"].to_pylist() == ["one"] * 3 + ["two"] * 3
    assert table["image_id"].to_pylist() == ["i0", "i1", "i2"] * 2
    assert is_stored(tmp_path, part())


@pytest.mark.parametrize("name", sorted(IDENTITY))
def test_every_field_of_the_identity_is_in_the_key(name: str) -> None:
    assert part(**{name: "other"}).key != part().key


def test_images_their_ids_and_their_order_are_in_the_key() -> None:
    def key(ids: tuple[str, ...], hashes: tuple[str, ...]) -> str:
        return Part(IDENTITY, {}, Chunk.of("noise", "test", ids, hashes)).key

    ids = ("i0", "i1")
    keys = {key(ids, ("a", "b")), key(ids, ("b", "a")), key(("i0", "i2"), ("a", "b")), key(("i0",), ("a",))}
    assert len(keys) == 4


def test_what_only_informs_is_not_in_the_key() -> None:
    assert Part(IDENTITY, {"image_set": "elsewhere"}, part().chunk).key == part().key


def test_names_cannot_leave_their_folder() -> None:
    assert "/.." not in part(detector="../../etc").path
    assert part(attack="jpeg50+resize0.5").path.split("/")[4] == "jpeg50+resize0.5"


def damage_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"i1") + 1] ^= 1
    path.write_bytes(data)


def damage_rows(path: Path) -> None:
    pq.write_table(pq.read_table(path, partitioning=None).slice(0, 2), path)


def damage_order(path: Path) -> None:
    pq.write_table(pq.read_table(path, partitioning=None).take([1, 0, 2]), path)


def damage_metadata(path: Path) -> None:
    pq.write_table(pq.read_table(path, partitioning=None).replace_schema_metadata(None), path)


@pytest.mark.parametrize(
    "damage", [damage_cut, damage_empty, damage_flip, damage_rows, damage_order, damage_metadata, Path.unlink]
)
def test_a_part_that_is_not_whole_does_not_count(tmp_path: Path, damage) -> None:
    path = write(tmp_path, part())
    assert is_stored(tmp_path, part())
    damage(path)
    assert not is_stored(tmp_path, part())


def test_a_part_of_another_identity_under_this_name_does_not_count(tmp_path: Path) -> None:
    other = write(tmp_path, part(target_weights="0" * 64))
    os.replace(other, tmp_path / part().path)
    assert not is_stored(tmp_path, part())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, lambda file: file.write(b"old"))

    def fail(file) -> None:
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_has_the_final_name_before_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: events.append("fsync"))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("replace"), replace(a, b)))
    write(tmp_path, part())
    assert events == ["fsync", "replace"]


def test_temporary_files_of_the_dead_are_removed_and_of_the_living_kept(tmp_path: Path) -> None:
    here = platform.node().replace(".", "-")
    dead, alive = tmp_path / f".x.parquet.{here}.4194999.tmp", tmp_path / f".y.parquet.{here}.{os.getpid()}.tmp"
    elsewhere = tmp_path / ".z.parquet.another-machine.4194999.tmp"
    for path in (dead, alive, elsewhere):
        path.write_bytes(b"")
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == [alive, elsewhere]


def test_two_processes_that_write_one_part_are_harmless(tmp_path: Path) -> None:
    """Both end with the whole part there, whoever is last; nobody meets a half-written file."""
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path; import test_store as t\n"
        "for _ in range(50):\n"
        "    t.write(Path(sys.argv[1]), t.part()); assert t.is_stored(Path(sys.argv[1]), t.part())"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(2)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [Path(part().path).name]
