"""What the documentation of several processes says is understood, and its lines do what they say."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from doc_pages import ROOT, commands

from iarbench.cli import main, parser
from tools.marked_part import MarkedPart

PAGES = ["docs/scale.md", "examples/slurm/README.md", "examples/ray/README.md"]
NARROW = ["--limit", "4", "--target", "llamagen-mini", "--encoder", "original", "--detector", "quantloss"]
NARROW += ["--attack", "none", "--device", "cpu", "--quiet"]


def readme_line(engine: str) -> list[str]:
    """The words of the README's line with `--launch engine`."""
    (line,) = [one for one in commands("README.md") if f"--launch {engine}" in one and " run " in one]
    return shlex.split(line)[1:]


@pytest.mark.parametrize("command", [one for page in PAGES for one in commands(page)])
def test_every_command_is_understood(command: str) -> None:
    assert parser().parse_args(shlex.split(command)[1:]).command


def test_the_examples_are_sound_shell_and_give_such_a_command(tmp_path: Path) -> None:
    (tmp_path / "iarbench").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "iarbench").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for script in ("slurm", "ray"):
        words = [str(ROOT / "examples" / script / "run.sh"), "out", "there", "8"]
        said = subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout
        args = parser().parse_args(shlex.split(said))
        assert (args.launch, args.jobs, args.out) == (script, 8, Path("out"))


@pytest.mark.long
def test_the_lines_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("IARBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    words = readme_line("local")
    out = words[words.index("--out") + 1]
    assert main([*words, *NARROW]) == 0
    assert main(["status", out]) == 0
    sample = ROOT / "docs" / "samples" / "llamagen-mini.png"
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "one.png").write_bytes(sample.read_bytes())
    (trace,) = [shlex.split(one)[1:] for one in commands("README.md") if one.startswith("iarbench trace uploads/")]
    assert main([*trace, "--target", "llamagen-mini", "--jobs", "1", "--device", "cpu"]) == 0
    assert (tmp_path / "flagged.parquet").is_file()


def test_the_curve_is_the_stored_one() -> None:
    stored = json.loads((ROOT / "benchmarks" / "results" / "scale.json").read_text())["curve"]
    table = MarkedPart(ROOT / "docs" / "scale.md", "curve").read()
    rows = [re.findall(r"[\d,.]+", line) for line in table.splitlines()[2:]]
    assert [[float(cell.replace(",", "")) for cell in row] for row in rows] == [
        [one["rows"], one["images"], one["parts"]]
        + [value for stage in ("plan", "status", "resume", "report") for value in one[stage].values()]
        for one in stored
    ]
