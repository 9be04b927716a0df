"""The board that the repository holds: outsiders' pull requests are checked against it."""

from __future__ import annotations

import pytest

from iarbench.cli import main
from iarbench.submit.board import Board


def test_its_rows_take_less_than_3_mb() -> None:
    """They are in the wheel."""
    assert 0 < sum(path.stat().st_size for path in (Board.packaged().root / "rows").iterdir()) < 3_000_000


@pytest.mark.long
def test_all_its_rows_follow_from_its_scores(capsys: pytest.CaptureFixture[str]) -> None:
    """Two minutes: what `.github/workflows/leaderboard.yml` runs."""
    board = Board.packaged()
    if not board.names():
        pytest.skip("an installed package holds the rows alone; scores are in a checkout")
    status = main(["verify", "--all"])
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "differs" in line] == []
    assert said[-1] == f"{board.root}: nothing beside them"
    assert status == 0
