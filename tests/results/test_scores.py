from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import run_folder

from iarbench.errors import UserError
from iarbench.results.compute import compute_rows
from iarbench.results.scores import IDENTITY, PART_COLUMNS, load_index, load_scores


def write_part(path: Path, frame: pd.DataFrame, **changes: object) -> None:
    about = {key: frame[key].iloc[0] for key in IDENTITY if key not in ("detector_version", "attack_version")}
    about |= {"detector_version": 2, "attack_version": 1, "image_set": "test"} | changes
    table = pa.Table.from_pandas(frame[list(PART_COLUMNS)], preserve_index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"iarbench": json.dumps(about)}), path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = run_folder.index(100)
    images.assign(width=64).to_parquet(tmp_path / "images.parquet")
    frame = run_folder.run(images)
    for number, (_, part) in enumerate(frame.groupby(["target", "attack"])):
        write_part(tmp_path / f"scores/quantloss/{number}/a.parquet", part.iloc[:250])
        write_part(tmp_path / f"scores/quantloss/{number}/b.parquet", part.iloc[250:])
    return tmp_path


def test_rows_from_files_are_rows_from_memory(folder: Path) -> None:
    images = run_folder.index(100)
    task = run_folder.task(fprs=(0.05,))
    found = compute_rows(load_scores(folder), load_index(folder), task)
    assert found == compute_rows(run_folder.run(images), images, task)


def test_only_the_named_parts(folder: Path) -> None:
    assert len(load_scores(folder, ["scores/quantloss/0/a.parquet"])) == 250
    assert len(load_scores(folder)) == 4 * 600


def test_a_part_without_its_identity_is_named(folder: Path) -> None:
    path = folder / "scores/quantloss/0/a.parquet"
    write_part(path, run_folder.run(run_folder.index(2)), target_weights=None)
    with pytest.raises(UserError, match=r"0/a.parquet is not a part of scores: it lacks target_weights"):
        load_scores(folder)


def test_a_torn_part_is_named(folder: Path) -> None:
    path = folder / "scores/quantloss/1/b.parquet"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=r"cannot read .*1/b.parquet"):
        load_scores(folder)


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no scores in"):
        load_scores(tmp_path)
    with pytest.raises(UserError, match=r"no images.parquet in"):
        load_index(tmp_path)
    pd.DataFrame({"image_id": ["a"]}).to_parquet(tmp_path / "images.parquet")
    with pytest.raises(UserError, match="lacks the columns sha256, source, split, group"):
        load_index(tmp_path)
