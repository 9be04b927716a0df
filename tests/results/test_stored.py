"""Rows from the files of a run, read a cell at a time, are those from all scores in memory, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import run_folder

from iarbench.errors import UserError
from iarbench.results.compute import compute_rows, stored_cells
from iarbench.results.rows import Row
from iarbench.results.scores import IDENTITY, PART_COLUMNS, load_index, load_scores

TASK = run_folder.task(fprs=(0.05,))


def write(path: Path, frame: pd.DataFrame, about: dict[str, object]) -> None:
    table = pa.Table.from_pandas(frame[list(PART_COLUMNS)], preserve_index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"iarbench": json.dumps(about)}), path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two targets, two attacks, two names of scores in a file, images in any order, and what the attack did."""
    images = run_folder.index(60).sample(frac=1, random_state=0)
    images.to_parquet(tmp_path / "images.parquet")
    for (target, attack), rows in run_folder.run(images).groupby(["target", "attack"]):
        about = {key: rows[key].iloc[0] for key in IDENTITY} | {"image_size": 64, "tells_siblings": False}
        about |= {"detector_version": 2, "attack_version": 1}
        for number, some in enumerate((rows.iloc[:100], rows.iloc[100:])):
            both = pd.concat([some, some.assign(score_name="other", score=-some["score"])])
            write(tmp_path / f"scores/quantloss/{target}/original/{attack}/{number}.parquet", both, about)
    members = images[images["split"] == "test"].assign(seconds=0.0)
    rng = np.random.default_rng(0)
    frames = [members.assign(score_name=name, score=rng.normal(30, 1, len(members))) for name in ("psnr", "ssim")]
    about = {"attack": "jpeg50", "attack_version": 1, "image_size": 64}
    write(tmp_path / "quality/jpeg50/64px/a.parquet", pd.concat(frames), about)
    return tmp_path


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.glob("*/**/*.parquet"))


def stored(root: Path) -> list[Row]:
    return [row for cell in stored_cells(root, files(root), TASK) for row in cell.rows()]


def test_a_cell_at_a_time_gives_the_same_rows(folder: Path) -> None:
    in_memory = compute_rows(load_scores(folder), load_index(folder), TASK)
    assert stored(folder) == in_memory
    assert {row.score_name for row in in_memory} == {"quantloss", "other"}
    assert [row.psnr is None for row in in_memory if row.attack == "jpeg50"] == [False] * (len(in_memory) // 2)


def test_scores_of_other_bytes_do_not_count_and_two_of_one_image_are_refused(folder: Path) -> None:
    path = folder / files(folder)[-1]
    about = {"iarbench": pq.read_schema(path).metadata[b"iarbench"]}
    twice = pq.read_table(path, partitioning=None)
    pq.write_table(twice.replace_schema_metadata(about), path.with_name("again.parquet"))
    with pytest.raises(UserError, match="has two scores"):
        stored(folder)
    hashes = pa.array(["0" * 64] * len(twice), pa.large_string())
    pq.write_table(
        twice.set_column(1, "sha256", hashes).replace_schema_metadata(about), path.with_name("again.parquet")
    )
    assert stored(folder) == compute_rows(load_scores(folder), load_index(folder), TASK)
    path.unlink()
    with pytest.raises(UserError, match="have no score yet; repeat the run command"):
        stored(folder)
