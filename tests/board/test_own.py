"""A method of one's own beside others: from a file with one function to its page."""

from __future__ import annotations

from pathlib import Path

import pytest
from board_rows import Tables, row
from toys import SMOOTH, Toys

from iarbench.board import gather
from iarbench.cli import main
from iarbench.results.rows import write_rows


@pytest.fixture(scope="module")
def run(toys: Toys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of smooth.py, which lies beside it, and of quantloss."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "smooth.py").write_text(SMOOTH)
    words = ("--detector", f"quantloss,{folder / 'smooth.py'}", "--attack", "none", "--limit", "20")
    assert toys.iarbench("run", "--task", toys.task, *words, "--out", folder / "run").returncode == 0
    return folder / "run"


def test_a_run_of_ones_own_is_on_the_board(toys: Toys, run: Path, tmp_path: Path) -> None:
    built = toys.iarbench("board", "build", "--out", tmp_path / "site", "--run", run, "--own")
    assert built.stdout == f"{tmp_path / 'site' / 'index.html'}\n"
    assert built.stderr.splitlines()[-1].strip() == "heavy modules:"  # no torch
    text = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    names = {line[1] for line in Tables(text).found["ranking"][1:]}
    assert names == {"quantloss original yours", "quantloss inverse yours", "smooth yours"}
    assert "20 images of each of 2 targets at most" in text
    page = (tmp_path / "site" / "detectors" / "smooth.html").read_text(encoding="utf-8")
    assert str(run.with_name("smooth.py")) in page  # its command


def test_a_board_of_ones_own_knows_its_submissions(toys: Toys, run: Path, tmp_path: Path) -> None:
    board, site = tmp_path / "board", tmp_path / "site"
    submitted = toys.iarbench("submit", run, "--board", board, "--local")
    assert submitted.returncode == 0, submitted.stderr
    name = submitted.stdout.partition(":")[0]
    assert toys.iarbench("board", "build", "--board", board, "--out", site).returncode == 0
    page = (site / "detectors" / "smooth.html").read_text(encoding="utf-8")
    assert f"iarbench verify {name} --rerun" in page  # the file is not where it was for others
    assert f"sources/{name}/" in page
    assert "20 images of each of 2 targets at most" in (site / "index.html").read_text(encoding="utf-8")


def test_rows_of_ones_own_stand_beside_the_stored_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "_cells", lambda *_: None)  # no resampling: test_standings.py has a task of it
    write_rows([row(detector="mine")], tmp_path / "mine.jsonl")
    assert main(["board", "build", "--out", str(tmp_path / "site"), "--rows", str(tmp_path / "mine.jsonl")]) == 0
    text = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert 'id="toys-v1"' in text
    assert 'id="mini-v' in text
    assert (tmp_path / "site" / "detectors" / "quantloss.html").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rows", "nowhere.jsonl"], "cannot read results from nowhere.jsonl"),
        (["--run", "nowhere"], "nowhere: no run here"),
        (["--board", "nowhere"], "--board nowhere: there is no board here"),
        (["--own"], "there are no rows to show; give --rows FILE or --run RUN"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["board", "build", "--out", str(tmp_path / "site"), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not (tmp_path / "site").exists()
