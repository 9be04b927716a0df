"""Image sets of users that hold less than a task asks for give the numbers that they can, and say so before."""

from __future__ import annotations

from pathlib import Path

import pytest

from iarbench.cli import main
from iarbench.results.rows import read_rows

BUGS = Path(__file__).parents[1] / "bugs"


def test_a_set_without_the_other_generators(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = BUGS / "set_without_the_other_generators"
    own = folder / "own.parquet"
    task = ["--task", str(folder / "task.yaml"), "--images", str(own), "--target", "llamagen-mini"]
    words = ["run", *task, "--detector", "quantloss", "--attack", "none"]
    assert main([*words, "--encoder", "inverse", "--out", str(tmp_path / "o")]) == 0
    out, err = capsys.readouterr()
    header, line, reason = out.splitlines()
    assert "TPR@10% matched" in header
    target, detector, encoder, attack, matched, transfer, oracle, *_ = filter(None, map(str.strip, line.split("  ")))
    assert (target, detector, encoder, attack) == ("llamagen-mini", "quantloss", "inverse", "none")
    assert "[" in matched
    assert transfer == matched.partition(" ")[0]
    assert oracle == "–"  # its threshold would come from the eight test images
    assert reason == "# – FPR 10% needs 9 non-members in every set for a threshold; 8 allow no less than 11.1%"
    others = "var-mini, var-mini-s, rar-mini, taming-mini, infinity-mini"
    notes = [said for said in err.splitlines() if said.startswith("note: ")]
    assert notes == [
        f"note: {own} has no test and no calibration images of {others}: no results against them",
        "note: so few calibration images allow no FPR below 7.7 %: results are at 10 % as well",
    ]
    assert err.index("note: ") < err.index("scoring")
    rows = read_rows(tmp_path / "o" / "results.jsonl")
    assert {row.nonmember_set for row in rows} == {"photos-free", "pooled"}
    assert {row.pools for row in rows} == {("photos-free",)}
    assert main(["report", str(tmp_path / "o")]) == 0
    assert capsys.readouterr().out == out
