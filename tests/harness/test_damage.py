"""A flipped byte in any stored file is noticed, and doing what the message says gives the right numbers back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from toys import Toys

from iarbench.cli import main

REGIONS = 4
"""A byte is flipped in the middle of each of so many stretches of a file."""

FILES = ("manifest.json", "images.parquet", "parts.txt", "results.jsonl", "results.png", "scores")


@pytest.fixture
def command(toy_family: Toys, tmp_path: Path) -> list[str]:
    run = ["run", "--task", str(toy_family.task), "--out", str(tmp_path / "o"), "--quiet", "--device", "cpu"]
    return [*run, "--limit", "2", "--detector", "quantloss", "--attack", "none"]


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("first", ["report", "run"])
def test_damage_is_noticed_and_repaired(
    command: list[str], name: str, first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o"
    report = ["report", str(out), "--json"]

    def said(words: list[str]) -> tuple[int, str, str]:
        capsys.readouterr()
        status, (answer, error) = main(words), capsys.readouterr()
        return status, re.sub(r'"seconds_per_image": [^,]+', "", answer), error

    assert main(command) == 0
    right = said(report)[1]
    path = min(out.rglob("scores/**/*.parquet")) if name == "scores" else out / name
    for region in range(REGIONS):
        data = bytearray(path.read_bytes())
        data[(2 * region + 1) * len(data) // (2 * REGIONS)] ^= 1
        path.write_bytes(data)
        status, answer, error = said(report if first == "report" else command)
        if status:
            (line,) = error.splitlines()
            assert line.startswith("error: ")
            if "; delete it and repeat" in line:
                Path(re.search(r"error: (\S+)", line)[1]).unlink()
        elif first == "report":
            assert answer == right
            assert name in ("results.jsonl", "results.png"), "what a report is made of is damaged"
        assert said(command)[0] == 0
        assert said(report)[:2] == (0, right)
        assert main(command) == 0
