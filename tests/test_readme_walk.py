"""The README's way from nothing to a board with one's own method is walked as it is written, on few images."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from iarbench.cli import main
from tools.marked_part import MarkedPart

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.long
def test_ones_own_method_is_on_a_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    walk = MarkedPart(README, "walk").read()
    lines = re.findall(r"^iarbench .*$", walk, re.MULTILINE)
    commands = [shlex.split(line.partition("#")[0])[1:] for line in lines]
    assert [command[0] for command in commands] == ["new", "run", "compare", "submit", "verify", "board"]
    for command in commands:
        assert main([*command, "--limit", "20"] if command[0] == "run" else command) == 0, command
    assert "my_method" in (tmp_path / "site" / "index.html").read_text()
    assert '"detector":"my_method"' in (tmp_path / "my-board" / "rows" / "mini.jsonl").read_text()
