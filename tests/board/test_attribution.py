from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from iarbench.board import site
from iarbench.board.attribution import attribution_data
from iarbench.board.gather import Batch
from iarbench.results.attribution.rows import AttributionRow

BASE: dict[str, Any] = {
    "task": "who", "task_version": 1, "detector": "quantloss", "detector_version": 7, "parameters": "",
    "score_name": "quantloss", "main": True, "fitted": False, "encoder": "inverse", "precision": "float32",
    "targets": ("a", "b"), "target_weights": ("u", "v"), "attack": "none", "attack_version": 1, "level": "model",
    "setting": "open", "metric": "balanced_accuracy", "subject": "all", "threshold_kind": "matched",
    "fpr_nominal": 0.01, "value": 0.5, "low": 0.4, "high": 0.6, "n_images": 90, "n_groups": 90, "n_calibration": 90,
    "seconds_per_image": 0.02, "images_fingerprint": "open", "iarbench_version": "0.1.0",
}  # fmt: skip


def rows(value: float, **changes: Any) -> list[AttributionRow]:
    """Balanced accuracy in the open set with its confusion matrix, and Rank-1 in the closed one."""
    matrix = {"predicted": ("a", "b", "none"), "confusion": {"a": (0.75, 0.25, 0.0), "none": (0.0, 0.125, 0.875)}}
    closed = {"setting": "closed", "metric": "rank1", "fpr_nominal": None, "n_images": 60, "chance": 0.5,
              "images_fingerprint": changes.pop("images", "closed")}  # fmt: skip
    return [
        AttributionRow(**(BASE | matrix | {"value": value} | changes)),
        AttributionRow(**(BASE | closed | changes)),
    ]


def named(name: str) -> dict[str, str]:
    return {"detector": name, "score_name": name}


def test_ranks_numbers_and_the_matrix() -> None:
    batch = Batch((*rows(0.5), *rows(0.75, **named("mine")), *rows(0.9, score_name="greedy", main=False)))
    (group,) = attribution_data([batch])
    lines = {line["entry"]["name"]: line for line in group["lines"] if line["level"] == 0}
    assert {name: line["rank"] for name, line in lines.items()} == {"mine": 1, "quantloss": 2, "quantloss:greedy": None}
    cells = dict(zip(group["columns"], lines["mine"]["cells"], strict=True))
    assert cells["balanced accuracy"] == ["75.0 [40.0, 60.0]", 75.0, 40.0, 60.0]
    assert cells["ms"][0] == "20.0"
    place = str(group["lines"].index(lines["mine"]))
    assert group["confusions"][place]["answers"] == ["a", "b", "none of them"]
    assert [(name, [cell[0] for cell in found]) for name, found in group["confusions"][place]["rows"]] == [
        ("a", ["75.0", "25.0", "0.0"]), ("none of them", ["0.0", "12.5", "87.5"]),
    ]  # fmt: skip
    assert lines["mine"]["command"].startswith("iarbench run --task who --detector mine --attack none")


def test_other_images_and_other_metrics_are_other_groups(tmp_path: Path) -> None:
    batches = [Batch(tuple(rows(0.5))), Batch(tuple(rows(0.9, images="few", **named("mine"))), limit=10),
               Batch(tuple(rows(0.6, metric_version=0)))]  # fmt: skip
    groups = attribution_data(batches)
    assert [len({line["entry"]["name"] for line in group["lines"]}) for group in groups] == [1, 1, 1]
    assert sorted(group["id"] for group in groups) == ["who-v1", "who-v1", "who-v1-first10"]
    page = site.build(batches, tmp_path / "site").index.read_text(encoding="utf-8")
    links = re.findall(r'<section class="group" id="([^"]+)"', page)
    assert sorted(links) == ["who-v1", "who-v1-2", "who-v1-first10"]


def test_the_users_row_counts_where_two_are_about_the_same() -> None:
    (group,) = attribution_data([Batch(tuple(rows(0.9)), own=True), Batch(tuple(rows(0.5)))])
    (line,) = (line for line in group["lines"] if line["level"] == 0)
    assert line["cells"][0][1] == 90.0
    assert line["entry"]["own"]


def test_quality_is_a_column_where_it_was_measured() -> None:
    (group,) = attribution_data([Batch((*rows(0.5), *rows(0.4, attack="jpeg50", psnr=30.25, ssim=0.9)))])
    assert group["columns"][-2:] == ["PSNR", "SSIM"]
    shown = {group["attacks"][line["attack"]]: [cell[0] for cell in line["cells"][-2:]] for line in group["lines"]}
    assert shown == {"none": ["–", "–"], "jpeg50": ["30.2", "0.900"]}
