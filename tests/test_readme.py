"""The README tells the truth: its commands parse, its snippet runs, its table is the stored result."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from iarbench.cli import main, parser
from iarbench.results import tables
from iarbench.results.rows import read_rows
from iarbench.results.view import View

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    lines = "\n".join(blocks("bash")).splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.startswith("iarbench ")]


@pytest.mark.parametrize("command", commands())
def test_every_command_is_understood(command: str) -> None:
    assert parser().parse_args(shlex.split(command)[1:]).command


def test_the_table_is_the_stored_result_of_the_command_above_it() -> None:
    table = README.split("<!-- table:begin -->")[1].split("<!-- table:end -->")[0].strip()
    rows = read_rows(ROOT / "leaderboard" / "rows" / "mini-demo.jsonl")
    assert table == tables.markdown(rows).strip()
    command = README.split("<!-- command -->")[1].split("```bash\n")[1].split("\n")[0]
    demo = (ROOT / "Makefile").read_text().split("\ndemo:")[1].split("\n")[1].strip()
    assert demo == f"$(BIN)/{command}"


def test_the_table_fits_a_glance() -> None:
    table = README.split("<!-- table:begin -->")[1].split("<!-- table:end -->")[0].strip()
    assert len(table.splitlines()) - 2 <= 12


def test_the_long_table_is_the_stored_result() -> None:
    page = (ROOT / "docs" / "results.md").read_text()
    table = page.split("<!-- table:begin -->")[1].split("<!-- table:end -->")[0].strip()
    rows = read_rows(ROOT / "leaderboard" / "rows" / "mini.jsonl")
    assert table == tables.markdown(rows, View(all_scores=True, all_encoders=True)).strip()


def test_the_detector_of_the_readme_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = blocks("python")
    (tmp_path / "mine.py").write_text(snippet)
    run = ["run", "--detector", f"{tmp_path}/mine.py:Plain", "--target", "llamagen-mini", "--attack", "none"]
    assert main([*run, "--encoder", "original", "--limit", "4", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    assert "plain" in capsys.readouterr().out


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", README))
def test_linked_files_exist(path: tuple[str, str]) -> None:
    assert (ROOT / (path[0] or path[1])).exists()
