"""The real-image table is the stored result, and its tool takes the right rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shared_data import shared_file
from stored_board import of_mini

from iarbench.images.image_set import ImageSet
from tools import real_images, real_images_table


def test_the_page_shows_the_stored_numbers() -> None:
    stored = json.loads(real_images_table.STORED.read_text())["rows"]
    assert real_images_table.PART.read() == "\n".join(real_images_table.table(stored))
    assert len(stored) == 6 * 2


def test_one_line_for_each_target_detector_and_attack() -> None:
    rows = [row.model_copy(update={"nonmember_set": "coco"}) for row in of_mini() if row.nonmember_set == "flickr"]
    lines = real_images_table.numbers(rows)
    assert len(lines) == len({(row.target, row.detector, row.attack) for row in rows})
    first = lines[0]
    chosen = [
        row
        for row in rows
        if (row.target, row.detector, row.score_name, row.attack)
        == (first["target"], first["detector"], first["detector"], first["attack"])
    ]
    (tpr,) = (row for row in chosen if (row.threshold_kind, row.fpr_nominal) == ("matched", 0.01))
    (auroc,) = (row for row in chosen if row.metric == "auroc")
    assert first["sets"]["coco"] == {
        "tpr": pytest.approx(tpr.value, abs=1e-4),
        "fpr": pytest.approx(tpr.fpr_achieved, abs=1e-4),
        "auroc": pytest.approx(auroc.value, abs=1e-4),
    }


@pytest.mark.long
def test_real_images_are_treated_alike_and_photographers_kept_apart(tmp_path: Path) -> None:
    folder = shared_file("coco_256.parquet").parent
    real_images.main(str(folder), str(tmp_path))
    index = ImageSet.open(tmp_path / "images").index()
    real = index[index["source"].isin(real_images.SETS)]
    assert set(real["treatment"]) == {"crop64-webp"}
    counts = real.groupby(["source", "split"]).size()
    assert set(counts) <= {300, 301, 302}
    splits = real.groupby(["source", "group"])["split"].nunique()
    assert set(splits) == {1}
