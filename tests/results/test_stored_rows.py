"""What the leaderboard stores comes out again when it is recomputed from the images."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored_board import ROWS, of_demo

from iarbench.cli import main
from iarbench.results.rows import TOLERANCE, Row, read_rows

TARGETS = ("rar-mini", "var-mini")


def names(row: Row) -> tuple[object, ...]:
    """What a row is about, and what it was computed from."""
    about = (row.target, row.target_weights, row.score_name, row.detector_version, row.attack, row.nonmember_set)
    return (*about, row.metric, row.fpr_nominal, row.threshold_kind, row.images_fingerprint, row.pools)


def test_every_stored_row_states_its_tolerance() -> None:
    for path in ROWS.glob("mini*.jsonl"):
        assert {(row.metric, row.tolerance) for row in read_rows(path)} == set(TOLERANCE.items())


@pytest.mark.long
def test_rows_recompute_within_their_tolerance(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    command = ["run", "--detector", "quantloss", "--encoder", "inverse", "--attack", "none", "--out", out, "--quiet"]
    assert main([*command, *(word for target in TARGETS for word in ("--target", target))]) == 0
    again = {names(row): row for row in read_rows(tmp_path / "run" / "results.jsonl")}
    stored = {names(row): row for row in of_demo() if row.target in TARGETS and row.attack == "none"}
    assert stored.keys() <= again.keys()
    assert len(stored) > 100
    for name, row in stored.items():
        assert (row.value is None) == (again[name].value is None)
        if row.value is not None:
            assert again[name].value == pytest.approx(row.value, abs=row.tolerance), name
