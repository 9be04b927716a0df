"""`iarbench new detector` writes something that works as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from iarbench.cli import main
from iarbench.errors import UserError
from iarbench.scaffold import new_detector


def test_a_new_detector_scores_and_lands_on_a_board(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "detector", "my_method", "--out", str(tmp_path)]) == 0
    file = tmp_path / "my_method.py"
    assert capsys.readouterr().out.splitlines() == [str(file), str(tmp_path / "test_my_method.py")]
    compile((tmp_path / "test_my_method.py").read_text(), "test_my_method.py", "exec")
    run = ["run", "--detector", f"{file}:MyMethod:power=1", "--target", "llamagen-mini", "--attack", "none"]
    out = str(tmp_path / "run")
    assert main([*run, "--encoder", "original", "--limit", "4", "--out", out, "--quiet"]) == 0
    assert main(["submit", out, "--board", str(tmp_path / "board"), "--local"]) == 0
    assert (tmp_path / "board" / "rows" / "mini.jsonl").is_file()


@pytest.mark.parametrize(
    ("name", "expected"), [("My", "is no name"), ("../x", "is no name"), ("quantloss", "there is")]
)
def test_names_that_cannot_be(tmp_path: Path, name: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        new_detector(name, tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text("mine")
    with pytest.raises(UserError, match=r"test_mine\.py is there already"):
        new_detector("mine", tmp_path)
    assert not (tmp_path / "mine.py").exists()
