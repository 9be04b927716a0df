"""A run goes onto a board, and whatever is changed there or in the run is named."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from submitting import board_files, runs_below, submit, verify
from toys import SMOOTH, Toys

from iarbench.cli import main
from iarbench.results.kinds import KINDS
from iarbench.results.rows import Row, read_rows
from iarbench.submit.board import Board, row_id


@pytest.fixture(scope="module")
def made(toys: Toys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of a plug-in beside a built-in detector, and the board it was submitted to."""
    folder = tmp_path_factory.mktemp("submitted")
    with runs_below(folder, toys) as run:
        assert main([*run, "--out", str(folder / "run")]) == 0
        assert submit(folder, "run") == 0
    return folder


@pytest.fixture
def folder(made: Path, toy_family: Toys, tmp_path: Path) -> Path:
    """A copy of it, to be tampered with."""
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def name_of(folder: Path) -> str:
    (name,) = Board(folder / "board").names()
    return name


def test_a_submission_is_whole_and_small(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board, name = Board(made / "board"), name_of(made)
    submission = board.read(name)
    stored = board.rows_of(submission)
    assert f"{name}: its rows follow from its scores" in verify(made, capsys)
    every = [row for row in read_rows(made / "run" / "results.jsonl") if row.nonmember_set != "toy-b"]
    # guaranteed thresholds take more images than there are; rows against one generator alone are not kept
    assert {row.threshold_kind for row in stored} == {"matched", "transfer", "oracle", None}
    wanted = {(r.target, r.detector, r.attack, r.nonmember_set, r.metric, r.threshold_kind, r.fpr_nominal): r.value
              for r in every}  # fmt: skip
    for row in stored:
        key = (row.target, row.detector, row.attack, row.nonmember_set, row.metric, row.threshold_kind, row.fpr_nominal)
        assert row.value == wanted.get(key, row.value)
    assert len(stored) == submission.rows
    assert {row.submission for row in stored} == {name}
    assert {row.source for row in stored if row.detector == "encloss"} == {None}
    assert {row.source for row in stored if row.detector == "smooth"} == {f"sources/{name}/smooth.py"}
    assert (board.sources(name) / "smooth.py").read_text() == SMOOTH
    assert board.scores_file(name).stat().st_size < 60_000


def test_the_same_run_twice_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit(folder, "run") == 2
    assert f"is on {folder / 'board'} already, as {name_of(folder)}" in capsys.readouterr().err
    before = board_files(folder)
    assert submit(folder, "run", "--replace", name_of(folder)) == 0
    assert board_files(folder) == before


def change_score(folder: Path) -> str:
    path = Board(folder / "board").scores_file(name_of(folder))
    table = pq.read_table(path)
    values = table.column("s0").to_numpy().copy()
    values[np.flatnonzero(~np.isnan(values))[0]] += 1
    pq.write_table(table.set_column(0, "s0", pa.array(values)), path)
    return f"{path} is not as it was submitted"


def change_row(folder: Path) -> str:
    path = Board(folder / "board").rows_file("toys")
    rows = read_rows(path)
    place = next(n for n, row in enumerate(rows) if row.metric == "auroc" and row.value is not None)
    found = rows[place].value
    rows[place] = rows[place].model_copy(update={"value": 0.123})
    Board(folder / "board").write_rows("toys", rows)
    return f"value is 0.123, recomputed {found}"


def change_last_digit(folder: Path) -> str:
    """Of a number that the scores give but for rounding."""
    path = Board(folder / "board").rows_file("toys")
    rows = read_rows(path)
    place = next(n for n, row in enumerate(rows) if row.low)
    rows[place] = rows[place].model_copy(update={"low": math.nextafter(rows[place].low, 0)})
    Board(folder / "board").write_rows("toys", rows)
    return f"{path}: the rows of {name_of(folder)} are not those that were submitted"


def drop_row(folder: Path) -> str:
    path = Board(folder / "board").rows_file("toys")
    Board(folder / "board").write_rows("toys", read_rows(path)[1:])
    return "is missing"


def change_record(folder: Path) -> str:
    path = Board(folder / "board").submission_file(name_of(folder))
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "limit": 7}))
    return f"{path} is not as it was written"


def change_code(folder: Path) -> str:
    path = Board(folder / "board").sources(name_of(folder)) / "smooth.py"
    path.write_text(SMOOTH + "\n")
    return f"{path} is not as it was submitted"


def change_index(folder: Path) -> str:
    board = Board(folder / "board")
    path = board.images_file(board.read(name_of(folder)).images)
    table = pq.read_table(path).to_pandas()
    table.loc[0, "group"] = "other"
    table.to_parquet(path)
    return f"{path} is not as it was submitted"


def foreign_row(folder: Path) -> str:
    path = Board(folder / "board").rows_file("toys")
    rows: list[Row] = read_rows(path)
    Board(folder / "board").write_rows("toys", [*rows, rows[0].model_copy(update={"submission": "toys-00000000"})])
    return f"{path}:{len(path.read_text().splitlines())} belongs to no submission"


CHANGES = (
    change_score, change_row, change_last_digit, drop_row, change_record, change_code, change_index, foreign_row,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_changed_on_a_board_is_named(
    folder: Path, change: Callable[[Path], str], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = change(folder)
    assert expected in verify(folder, capsys)


def test_a_changed_image_is_named(folder: Path, toys: Toys, capsys: pytest.CaptureFixture[str]) -> None:
    images = folder / "images"
    shutil.copytree(toys.images, images)
    path = images / "part-00000.parquet"
    board, name = Board(folder / "board"), name_of(folder)
    submission = board.read(name).model_copy(update={"image_set": str(images)})
    board.write(submission.sealed())
    assert "differs" not in verify(folder, capsys)
    table = pq.read_table(path)
    content = table.column("image").to_pylist()
    content[0] = {**content[0], "bytes": content[1]["bytes"]}
    place = table.schema.get_field_index("image")
    pq.write_table(table.set_column(place, "image", pa.array(content, table.schema.field(place).type)), path)
    assert f"{table.column('image_id')[0]}" in verify(folder, capsys)


def test_a_changed_run_is_neither_verified_nor_submitted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "its rows follow from its scores" in verify(folder, capsys, str(folder / "run"))
    part = sorted((folder / "run" / "scores").rglob("*.parquet"))[0]
    part.write_bytes(part.read_bytes()[:-1] + b"0")
    assert f"{part} is not as the run wrote it" in verify(folder, capsys, str(folder / "run"))
    assert main(["submit", str(folder / "run"), "--board", str(folder / "other"), "--local"]) == 2
    assert f"{part} is not as the run wrote it" in capsys.readouterr().err
    assert not (folder / "other").exists()


def test_a_changed_manifest_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "run" / "manifest.json"
    path.write_text(path.read_text().replace('"precision": "float32"', '"precision": "bfloat16"'))
    assert f"{path} is not as it was written" in verify(folder, capsys, str(folder / "run"))


def test_images_that_nobody_has_are_for_local_boards(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", str(folder / "run"), "--board", str(folder / "other")]) == 2
    error = capsys.readouterr().err
    assert "which nobody else has" in error


def test_changed_code_is_refused(folder: Path, capsys: pytest.CaptureFixture[str], made: Path) -> None:
    text = (made / "smooth.py").read_text()
    try:
        (made / "smooth.py").write_text(text + "\n")
        assert main(["submit", str(folder / "run"), "--board", str(folder / "other"), "--local"]) == 2
        assert "the code has changed since the run" in capsys.readouterr().err
    finally:
        (made / "smooth.py").write_text(text)


def test_code_in_a_repository_is_named_with_its_commit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["submit", str(folder / "run"), "--board", str(folder / "other"), "--local"]
    assert main([*args, "--source", "https://example.org/me/method"]) == 2
    assert "name a commit too" in capsys.readouterr().err
    assert main([*args, "--source", "https://example.org/me/method@0123abc"]) == 0
    rows = Board(folder / "other").rows("toys", "provenance")
    assert {row.source for row in rows} == {None, "https://example.org/me/method@0123abc"}


def test_a_row_comes_out_again_from_the_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = Board(folder / "board")
    row = next(
        row for row in board.rows_of(board.read(name_of(folder))) if row.detector == "smooth" and row.attack == "none"
    )
    capsys.readouterr()
    args = ["verify", row_id(row), "--board", str(board.root), "--rerun", "--record", "--out", str(folder / "again")]
    assert main(args) == 0
    assert "1 rows come out again from the images" in capsys.readouterr().out
    (told,) = (json.loads(line) for line in (board.root / "reruns.jsonl").read_text().splitlines())
    assert (told["submission"], told["rows"]) == (name_of(folder), 1)


def test_recomputing_needs_no_torch(made: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from iarbench.cli import main\n"
        f"raise SystemExit(main(['verify', '--all', '--board', {str(made / 'board')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grouped_rows_read_back_as_they_were(made: Path) -> None:
    from iarbench.files import write_text
    from iarbench.results.grouped import grouped_lines

    rows = read_rows(made / "run" / "results.jsonl", KINDS["provenance"].row())
    path = made / "grouped.jsonl"
    lines = grouped_lines(rows)
    write_text(path, "".join(f"{line}\n" for line in lines))
    assert read_rows(path) == rows
    assert path.stat().st_size < (made / "run" / "results.jsonl").stat().st_size / 2
