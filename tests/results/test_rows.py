from __future__ import annotations

import json
import math
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from iarbench.errors import UserError
from iarbench.results.rows import Row, read_rows, write_rows

ROW = Row(
    task="tiny", task_version=3, detector="quantloss", detector_version=2, parameters="", score_name="quantloss",
    encoder="inverse", target="a", target_weights="w", precision="float32", attack="none", attack_version=1,
    attacked="both", nonmember_set="pooled", pools=("photos", "other-generators"), metric="auroc", primary=False,
    n_members=3, n_nonmembers=4, n_calibration=0, n_groups=4, seconds_per_image=0.1, images_fingerprint="f",
    iarbench_version="0.1.0",
)  # fmt: skip


def changed(**values: object) -> Row:
    return ROW.model_copy(update=values)


def test_rows_read_back_bit_for_bit(tmp_path: Path) -> None:
    rows = [changed(value=0.1 + 0.2, low=1e-300, high=1 / 3, threshold=-5e-324, target="über", reason="x"), ROW]
    write_rows(rows, tmp_path / "results.jsonl")
    assert read_rows(tmp_path / "results.jsonl") == rows
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]


def test_a_number_that_is_not_one_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    write_rows([ROW], path)
    with pytest.raises(ValueError, match="JSON"):
        write_rows([ROW, changed(value=math.nan)], path)
    assert read_rows(path) == [ROW]
    with pytest.raises(ValidationError, match="value"):
        Row(**(ROW.model_dump() | {"value": math.inf}))


@pytest.mark.parametrize("field", ["value", "low", "high", "fpr_achieved", "fpr_low", "fpr_high"])
@pytest.mark.parametrize("number", [1 + 2**-52, -(2**-52)])
def test_no_rate_is_outside_0_and_1(field: str, number: float) -> None:
    with pytest.raises(ValidationError, match=field):
        Row(**(ROW.model_dump() | {field: number}))


LINE = ROW.model_dump()
HELP = "delete the file and repeat the `iarbench run` command"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"results.jsonl:1 is not JSON .*; " + HELP),
        ("[1]", r"results.jsonl:1 is not a row of results but \[1\]; " + HELP),
        ('\n{"task": "mini"}', r"results.jsonl:2 was written by an older iarbench; " + HELP),
        (json.dumps(LINE | {"schema_version": 2}), r"by a newer iarbench \(rows of schema 2, not 1\); upgrade"),
        (json.dumps(LINE | {"value": "high"}), r"results.jsonl:1 is not a row of results: value: .*; " + HELP),
        (json.dumps(LINE | {"valeu": 1}), r"results.jsonl:1 is not a row of results: valeu: "),
        (json.dumps(LINE | {"schema_version": None}), "was written by an older iarbench"),
        ('{"schema_version": 1, "task": "mini"}', r"is not a row of results: task_version: Field required; " + HELP),
    ],
)
def test_what_is_not_a_row_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_rows(path)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read results from"):
        read_rows(tmp_path / "results.jsonl")


def test_three_thousand_rows_are_read_in_no_time(tmp_path: Path) -> None:
    write_rows([ROW] * 3000, tmp_path / "results.jsonl")
    began = time.process_time()
    assert len(read_rows(tmp_path / "results.jsonl")) == 3000
    assert time.process_time() - began < 0.5  # 0.06 s where it was measured
