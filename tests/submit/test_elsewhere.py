"""A run with rows that a board has already: equal ones are counted where they stand, all else is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from submitting import board_files, runs_below, submit, verify
from toys import SMOOTH, Toys

from iarbench.cli import main
from iarbench.files import sha256_file
from iarbench.results.kinds import KINDS
from iarbench.submit.board import Board, Submission, row_id, rows_digest
from iarbench.submit.keep import kept
from iarbench.submit.score_file import read_index, read_scores, write_scores
from iarbench.task import Task

NEAR = 1 - 2**-40


@pytest.fixture(scope="module")
def made(toys: Toys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs `clean`, `first` and `second`, and a board with the latter two, as submitted in turn."""
    folder = tmp_path_factory.mktemp("elsewhere")
    with runs_below(folder, toys) as run:
        for name, attacks in (("first", "none,jpeg50"), ("second", "none,jpeg90"), ("clean", "none")):
            assert main([*run, "--attack", attacks, "--out", str(folder / name)]) == 0
        assert submit(folder, "first") == submit(folder, "second") == 0
    return folder


@pytest.fixture
def folder(made: Path, toy_family: Toys, tmp_path: Path) -> Path:
    """A copy of it, to be tampered with."""
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def board_of(folder: Path) -> tuple[Board, Submission, Submission]:
    """The board, its first submission, and the second, which counts on that."""
    board = Board(folder / "board")
    first, second = sorted(map(board.read, board.names()), key=lambda one: bool(one.elsewhere))
    return board, first, second


def only_second(folder: Path) -> str:
    """Leave `second` alone on the board; its name."""
    board, _, second = board_of(folder)
    shutil.rmtree(board.root)
    assert submit(folder, "second") == 0
    assert board.names() == [second.id]
    return second.id


def reseal(board: Board, submission: Submission, scores: pd.DataFrame) -> Submission:
    """Give a submission other scores, and rows and digests that fit them."""
    task, index = Task.restore(submission.task), read_index(board.images_file(submission.images))
    path, name = board.scores_file(submission.id), submission.task.name
    write_scores(scores, index, path)
    source = {row.detector: row.source for row in board.rows_of(submission)}
    rows = KINDS[task.spec.kind].compute(read_scores(path, index), index, task)
    rows = kept(rows, task, lambda row: source[row.detector], submission.id)
    others = [row for row in board.rows(name, task.spec.kind) if row.submission != submission.id]
    board.write_rows(name, [*others, *rows])
    update = {"scores": sha256_file(path), "rows": len(rows), "rows_sha256": rows_digest(rows)}
    board.write(submission.model_copy(update=update).sealed())
    return board.read(submission.id)


def rescored(board: Board, submission: Submission, change: Callable[[pd.Series], pd.Series]) -> tuple[str, float]:
    """Change clean scores by encloss for toy-a of toy-a's own test images, best last; the best image and its score."""
    index = read_index(board.images_file(submission.images))
    scores = read_scores(board.scores_file(submission.id), index)
    own = set(index[(index["source"] == "toy-a") & (index["split"] == "test")]["image_id"])
    chosen = (scores["detector"] == "encloss") & (scores["target"] == "toy-a") & (scores["attack"] == "none")
    places = scores[chosen & scores["image_id"].isin(own)].sort_values("score").index
    best = scores.loc[places[-1]]
    scores.loc[places, "score"] = change(scores.loc[places, "score"])
    reseal(board, submission, scores)
    return best["image_id"], best["score"]


def a_little(scores: pd.Series) -> pd.Series:
    """Another score of the best, so near that the order of all images stays what it is, and so do all rows."""
    scores = scores.copy()
    scores.iloc[-1] *= NEAR
    return scores


def test_equal_rows_are_counted_where_they_stand(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board, first, second = board_of(made)
    clean = [row for row in board.rows_of(first) if row.attack == "none"]
    own = board.rows_of(second)
    (there,) = second.elsewhere
    assert (there.submission, there.rows) == (first.id, len(clean))
    cells = {(cell.detector, cell.parameters, cell.encoder, cell.target, cell.attack) for cell in there.cells}
    assert len(cells) == len(there.cells)
    assert cells == {(row.detector, row.parameters, row.encoder, row.target, "none") for row in clean}
    assert {target for *_, target, _ in cells} == {"toy-a", "toy-b"}
    assert {row.attack for row in own} == {"jpeg90"}
    listed = [row for row in board.rows_of(first) if row.attack == "jpeg50" and row.nonmember_set == "pooled"]
    assert len(own) == second.rows == len(listed)
    # what a transferred threshold needs is in the submission's own scores
    assert any(row.value is not None for row in own if row.threshold_kind == "transfer")
    out = verify(made, capsys)
    assert "differs" not in out
    assert f"{second.id}: its rows follow from its scores" in out
    main(["verify", "--board", str(board.root)])
    assert f"{second.id}  {second.rows} rows, {there.rows} more in {first.id}  " in capsys.readouterr().out


def test_a_record_that_counts_on_none_is_written_as_ever(made: Path) -> None:
    board, first, second = board_of(made)
    assert "elsewhere" not in json.loads(board.submission_file(first.id).read_text())
    assert "elsewhere" in json.loads(board.submission_file(second.id).read_text())


def test_a_run_with_nothing_new_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board, first, _ = board_of(folder)
    before = board_files(folder)
    assert submit(folder, "clean") == 2
    assert f"{board.root} has every row of this run already, in {first.id}\n" in capsys.readouterr().err
    assert board_files(folder) == before


def test_other_numbers_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = only_second(folder)
    board = Board(folder / "board")
    rescored(board, board.read(name), lambda scores: scores + 100)
    before = board_files(folder)
    capsys.readouterr()
    assert submit(folder, "first") == 2
    (line,) = capsys.readouterr().err.splitlines()
    about = "encloss original toy-a none other-generators tpr_at_fpr matched 0.05"
    assert f"{board.root} has other numbers: {about}: value is 1.0 in {name}, 0.0 here; " in line
    lost = len([row for row in board.rows("toys", "provenance") if row.attack == "jpeg90"])
    out = f"leave that out of the run, or give --replace {name} to put this run in its place"
    assert line.endswith(f"{out}, which drops the {lost} rows of it that this run lacks")
    assert board_files(folder) == before
    assert submit(folder, "first", "--replace", name) == 0
    assert name not in board.names()
    assert "differs" not in verify(folder, capsys)


def test_numbers_that_another_processor_rounds_otherwise_are_equal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = Board(folder / "board")
    alone = board.read(only_second(folder))
    rows = [row.model_copy(update={"low": row.low and row.low * (1 - 1e-13)}) for row in board.rows_of(alone)]
    assert rows != board.rows_of(alone)
    board.write_rows("toys", rows)
    board.write(alone.model_copy(update={"rows_sha256": rows_digest(rows)}).sealed())
    capsys.readouterr()
    assert submit(folder, "first") == 0
    _, other, later = board_of(folder)
    assert (other.id, [one.submission for one in later.elsewhere]) == (alone.id, [alone.id])
    assert board.rows_of(other) == rows
    assert "differs" not in verify(folder, capsys)


def test_other_scores_behind_equal_numbers_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = only_second(folder)
    board = Board(folder / "board")
    image, score = rescored(board, board.read(name), a_little)
    before = board_files(folder)
    capsys.readouterr()
    assert submit(folder, "first") == 2
    told = f"encloss original toy-a none: image {image} scores {score * NEAR} in {name}, {score} here; leave"
    assert f"{board.root} has other scores: {told}" in capsys.readouterr().err
    assert board_files(folder) == before


def change_numbers(folder: Path) -> str:
    board, first, _ = board_of(folder)
    rescored(board, first, lambda scores: scores + 100)
    return f"counts on {first.id}, which has other numbers: encloss original toy-a none "


def change_scores(folder: Path) -> str:
    board, first, _ = board_of(folder)
    image, _ = rescored(board, first, a_little)
    return f"counts on {first.id}, which has other scores: encloss original toy-a none: image {image} scores "


def drop_first(folder: Path) -> str:
    board, first, second = board_of(folder)
    board.submission_file(first.id).unlink()
    return f"counts on {first.id} for {second.elsewhere[0].rows} rows, which is not on the board"


def drop_row_of_first(folder: Path) -> str:
    board, first, second = board_of(folder)
    rows = board.rows("toys", "provenance")
    place = next(n for n, row in enumerate(rows) if row.submission == first.id and row.attack == "none")
    board.write_rows("toys", rows[:place] + rows[place + 1 :])
    return f"counts on {first.id} for {(count := second.elsewhere[0].rows)} rows, which has {count - 1} of them"


def other_code_of_first(folder: Path) -> str:
    board, first, second = board_of(folder)
    path = board.sources(first.id) / "smooth.py"
    path.write_text(SMOOTH + "\n")
    (source,) = first.sources
    source = source.model_copy(update={"files": {"smooth.py": sha256_file(path)}})
    board.write(first.model_copy(update={"sources": (source,)}).sealed())
    return f"counts on {first.id} for {second.elsewhere[0].rows} rows, which has "


def name_fewer_cells(folder: Path) -> str:
    board, _, second = board_of(folder)
    (there,) = second.elsewhere
    there = there.model_copy(update={"cells": there.cells[1:]})
    board.write(second.model_copy(update={"elsewhere": (there,)}).sealed())
    return " is missing"


def count_on_nobody(folder: Path) -> str:
    board, _, second = board_of(folder)
    board.write(second.model_copy(update={"elsewhere": ()}).sealed())
    return " is missing"


def leave_cell_out(folder: Path) -> str:
    """Whole cells over both: clean scores are in the first submission, but not in the second any more."""
    board, _, second = board_of(folder)
    path, index = board.scores_file(second.id), read_index(board.images_file(second.images))
    scores = read_scores(path, index)
    write_scores(scores[scores["attack"] != "none"], index, path)
    board.write(second.model_copy(update={"scores": sha256_file(path)}).sealed())
    return f"{path}: encloss original has no scores for toy-a under none"


CHANGES = (
    change_numbers, change_scores, drop_first, drop_row_of_first, other_code_of_first, name_fewer_cells,
    count_on_nobody, leave_cell_out,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_changed_in_either_submission_is_named(
    folder: Path, change: Callable[[Path], str], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = change(folder)
    assert expected in verify(folder, capsys)


def test_what_another_counts_on_is_not_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, first, second = board_of(folder)
    before = board_files(folder)
    assert submit(folder, "first", "--replace", first.id) == 2
    both = f"--replace {first.id} --replace {second.id}"
    assert f"{second.id} counts on rows of {first.id}; replace both, {both}, and submit" in capsys.readouterr().err
    assert board_files(folder) == before
    assert submit(folder, "first", *both.split()) == 0
    assert submit(folder, "second") == 0
    assert board_files(folder) == before


def test_rows_of_a_killed_submission_do_not_count(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board, _, second = board_of(folder)
    before = board_files(folder)
    board.submission_file(second.id).unlink()
    assert "belongs to no submission" in verify(folder, capsys)
    assert submit(folder, "second") == 0
    assert board_files(folder) == before


def test_a_transferred_threshold_comes_out_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board, _, second = board_of(folder)
    row = next(row for row in board.rows_of(second) if row.threshold_kind == "transfer" and row.value is not None)
    capsys.readouterr()
    assert main(["verify", row_id(row), "--board", str(board.root), "--rerun", "--out", str(folder / "again")]) == 0
    assert "1 rows come out again from the images" in capsys.readouterr().out


def test_rows_about_all_targets_are_one_cell(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = tmp_path / "who.yaml"
    task.write_text(toy_family.task.read_text().replace("name: toys", "name: who") + "kind: attribution\n")
    run = ["run", "--task", str(task), "--detector", "encloss", "--encoder", "original", "--limit", "20", "--quiet"]
    for name, attacks in (("first", "none,jpeg50"), ("second", "none,jpeg90")):
        assert main([*run, "--attack", attacks, "--out", str(tmp_path / name)]) == 0
        assert submit(tmp_path, name) == 0
    board, first, second = board_of(tmp_path)
    (there,) = second.elsewhere
    (cell,) = there.cells
    assert (cell.detector, cell.target, cell.attack) == ("encloss", None, "none")
    assert there.rows == len([row for row in board.rows_of(first) if row.attack == "none"])
    assert {row.attack for row in board.rows_of(second)} == {"jpeg90"}
    assert "differs" not in verify(tmp_path, capsys)
