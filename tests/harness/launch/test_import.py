"""Images imported by several processes: the rows, the report and, where nothing is left out, the files of one."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from iarbench.cli import main
from iarbench.harness.launch import import_work
from iarbench.harness.launch.engine import Engine, Launch
from iarbench.harness.launch.worker import Worker
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord


class Here(Engine):
    """Does all in this process, last part first."""

    def start(self, folder: Path, keys: Sequence[str]) -> int:
        worker = Worker(folder)
        try:
            worker.do(list(reversed(keys)))
        finally:
            worker.close()
        return len(keys)

    def busy(self) -> bool:
        return False

    def close(self) -> None:
        pass


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--launch local` starts no process."""
    monkeypatch.setattr(Launch, "make", lambda self, device: Here())


def picture(seed: int, container: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, container, **options)
    return buffer.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twenty pictures."""
    for number in range(20):
        path = tmp_path / "photos" / ("cat" if number % 2 else "dog") / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
    return tmp_path / "photos"


@pytest.fixture
def hard(tmp_path: Path) -> Path:
    """Rows of Parquet with damaged images, animations and ids that occur again, near and far, in both orders."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    animated = io.BytesIO()
    frames[0].save(animated, "GIF", save_all=True, append_images=frames[1:])
    images = [picture(number) for number in range(24)]
    ids = [f"i{number}" for number in range(24)]
    for number in (0, 3, 9, 10, 11):
        images[number] = b"damaged"
    images[5] = images[13] = animated.getvalue()
    images[16] = None
    ids[2] = ids[1]  # in one span, at most sizes
    ids[13] = ids[5]  # far away; the later one has a note that nobody may see
    ids[17] = ids[10]  # the first one is damaged
    ids[18] = ids[10]
    ids[20] = ids[19] = ids[6]
    ids[11] = ids[4]  # damaged, and its id is taken
    ids[22] = ""
    table = pa.table({"image": pa.array(images, pa.binary()), "id": ids})
    pq.write_table(table, tmp_path / "hard.parquet", row_group_size=4)
    return tmp_path / "hard.parquet"


def rows(folder: Path) -> list[ImageRecord]:
    return [record for batch in ImageSet.open(folder).iterate() for record in batch]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def told(words: Sequence[object], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, list[str]]:
    """Exit status, output, and errors without what tells how far it is."""
    capsys.readouterr()
    status = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, [line for line in err.splitlines() if not line.startswith("importing ")]


NARROWED = [
    (),
    ("--limit", "4"),
    ("--limit", "12"),
    ("--limit", "20"),
    ("--skip", "3"),
    ("--skip", "2", "--limit", "5"),
    ("--skip", "30"),
    ("--prefix", "mine/", "--size", "8", "--split", "fit", "--source", "web"),
]


@pytest.mark.parametrize("shard", [1, 5, 100])
@pytest.mark.parametrize("narrowed", NARROWED, ids=" ".join)
def test_rows_and_report_are_those_of_one_process(
    narrowed: tuple[str, ...], shard: int, hard: Path, tmp_path: Path, here: None, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("iarbench.commands.images_import.SHOWN", 100)
    out = tmp_path / "set"
    words = ["images", "import", hard, "--id-column", "id", "--out", out, *narrowed]
    alone = told(words, capsys)
    if out.exists():
        right = rows(out)
        out.rename(tmp_path / "alone")
    else:
        right = []
    assert told([*words, "--launch", "local", "--shard", shard], capsys) == alone
    assert (rows(out) if out.exists() else []) == right
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("narrowed", [(), ("--limit", "12"), ("--skip", "3", "--limit", "9"), ("--skip", "7")])
def test_files_are_those_of_one_process_where_every_image_can_be_used(
    narrowed: tuple[str, ...], photos: Path, tmp_path: Path, here: None
) -> None:
    words = ["images", "import", str(photos), "--size", "8", "--shard", "4", *narrowed]
    assert main([*words, "--out", str(tmp_path / "alone")]) == 0
    assert main([*words, "--out", str(tmp_path / "set"), "--launch", "local"]) == 0
    assert files(tmp_path / "set") == files(tmp_path / "alone")


def test_two_processes_make_the_same_set(photos: Path, tmp_path: Path) -> None:
    words = ["images", "import", str(photos), "--size", "8", "--shard", "4"]
    (photos / "readme.txt").write_text("skipped")
    assert main([*words, "--out", str(tmp_path / "alone")]) == 1
    assert main([*words, "--out", str(tmp_path / "set"), "--launch", "local", "--jobs", "2"]) == 1
    assert files(tmp_path / "set") == files(tmp_path / "alone")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "photos", "set"]


def test_it_goes_on_where_it_was_stopped(
    hard: Path, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["images", "import", hard, "--id-column", "id", "--size", "8"]
    alone = told([*words, "--out", tmp_path / "alone"], capsys)
    words += ["--launch", "local", "--shard", "5", "--out", tmp_path / "set"]
    made, write = [], import_work.write_shard

    def at_most_two(records: object, path: Path) -> None:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(path.name)
        write(records, path)

    with monkeypatch.context() as stopped:
        stopped.setattr(import_work, "write_shard", at_most_two)
        assert told(words, capsys)[0] == 130
    assert not (tmp_path / "set").exists()
    _, out, _ = told(["status", tmp_path / "set", "--json"], capsys)
    status = json.loads(out)
    assert [status[name] for name in ("parts", "parts_done", "images", "images_done")] == [5, 2, 24, 9]
    assert told([*words, "--limit", "3"], capsys)[2][-1].startswith(
        f"error: {tmp_path}/.set.unfinished holds what another command left unfinished"
    )

    def noted(records: object, path: Path) -> None:
        made.append(path.name)
        write(records, path)

    monkeypatch.setattr(import_work, "write_shard", noted)
    status, _, err = told(words, capsys)
    assert (status, err) == (alone[0], alone[2])
    assert made[:5] == [f"part-{number:05}.parquet" for number in (4, 3, 2, 1, 0)]
    assert rows(tmp_path / "set") == rows(tmp_path / "alone")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "hard.parquet", "set"]


@pytest.mark.parametrize("moment", ["_keep", "finish_set"])
def test_it_goes_on_where_it_was_stopped_at_the_very_end(
    moment: str, hard: Path, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["images", "import", str(hard), "--id-column", "id", "--skip", "2", "--limit", "6"]
    assert main([*words, "--out", str(tmp_path / "alone")]) == 1
    words += ["--launch", "local", "--shard", "3", "--out", str(tmp_path / "set")]
    do, done = getattr(import_work, moment), []

    def stop_after_one(*args: object) -> None:
        if done or moment == "finish_set":
            raise KeyboardInterrupt
        done.append(do(*args))

    with monkeypatch.context() as stopped:
        stopped.setattr(import_work, moment, stop_after_one)
        assert main(words) == 130
    assert main(words) == 1
    assert rows(tmp_path / "set") == rows(tmp_path / "alone")


def test_a_span_that_fails_three_times_is_named_and_the_rest_done(
    photos: Path, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["images", "import", photos, "--launch", "local", "--shard", "4", "--out", tmp_path / "set"]
    tried, write = [], import_work.write_shard

    def fail_at_one(records: object, path: Path) -> None:
        if "00002" in path.name:
            tried.append(path)
            raise ValueError("no luck")
        write(records, path)

    with monkeypatch.context() as failing:
        failing.setattr(import_work, "write_shard", fail_at_one)
        status, _, err = told(words, capsys)
    assert (status, len(tried)) == (1, 3)
    assert err[-1] == "  1 of them, such as part-00002.parquet: ValueError: no luck"
    assert not (tmp_path / "set").exists()
    assert told(["status", tmp_path / "set"], capsys)[0] == 1
    assert told(words, capsys)[0] == 0
    assert len(ImageSet.open(tmp_path / "set")) == 20


def test_images_that_were_changed_meanwhile_are_noticed(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Late(Here):
        def start(self, folder: Path, keys: Sequence[str]) -> int:
            (photos / "new.png").write_bytes(picture(99))
            return super().start(folder, keys)

    monkeypatch.setattr(Launch, "make", lambda self, device: Late())
    words = ["images", "import", photos, "--launch", "local", "--out", tmp_path / "set"]
    status, _, err = told(words, capsys)
    assert (status, err[-1]) == (
        2,
        f"error: {photos}: its images are not those of the command; if they were changed, delete "
        f"{tmp_path}/.set.unfinished and repeat it",
    )


OWN = """
from iarbench.images.importing import FoundImage

def photos(path, report):
    yield FoundImage("one", b"", "one")
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (("own.py:photos",), "own.py:photos: only one process can read it, since its images come one after the other"),
        (("hub:nobody/none",), "hub:nobody/none: only one process can read it"),
        (("photos", "--lock", "coco-700"), "--lock and --launch do not go together"),
        (("photos", "--jobs", "2"), "--jobs needs --launch"),
    ],
)
def test_what_cannot_be_shared_is_refused_in_one_line(
    source: tuple[str, ...], said: str, photos: Path, here: None, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(photos.parent)
    Path("own.py").write_text(OWN)
    launch = () if "--jobs" in source else ("--launch", "local")
    status, _, err = told(["images", "import", *source, "--out", "set", *launch], capsys)
    assert (status, len(err)) == (2, 1)
    assert err[0].startswith(f"error: {said}")
    assert sorted(path.name for path in Path().iterdir()) == ["own.py", "photos"]


def test_where_no_image_can_be_used_nothing_is_left(
    tmp_path: Path, here: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    words = ["images", "import", tmp_path / "in", "--out", tmp_path / "set"]
    for name in ("", "a.png", "b.txt"):
        if name:
            (tmp_path / "in" / name).write_text("no picture")
        alone = told(words, capsys)
        assert alone[0] == 2
        assert told([*words, "--launch", "local"], capsys) == alone
        assert [path.name for path in tmp_path.iterdir()] == ["in"]
