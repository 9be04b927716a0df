"""Attribution rows against numbers that follow from ten images a source by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from iarbench.errors import UserError
from iarbench.results.attribution.cell import Standard
from iarbench.results.attribution.cells import cells_of
from iarbench.results.attribution.compute import compute_rows
from iarbench.results.attribution.per_image import per_image
from iarbench.results.attribution.plot import plot_confusions
from iarbench.results.attribution.rows import AttributionRow
from iarbench.results.attribution.tables import markdown, plain
from iarbench.results.attribution.task import AttributionTask
from iarbench.results.rows import read_rows, write_rows
from iarbench.results.view import View
from iarbench.stats.standardise import Units

TARGETS = ("a", "b", "b-s")
SOURCES = (*TARGETS, "photos", "walls")
TASK = AttributionTask(
    "tiny", 1, TARGETS, TARGETS, ("photos", "walls"), ("photos",), {"a": "A", "b": "B", "b-s": "B"}, fprs=(0.05, 0.1)
)
CALIBRATION, TEST = 40, 10
FOUND = {"a": 9, "b": 6, "b-s": 8}
"""Of ten test images of each target, how many its own tokenizer scores high."""


@pytest.fixture(scope="module")
def images() -> pd.DataFrame:
    rows = [
        (f"{source}/{split}/{number:02}", f"sha-{source}-{split}-{number}", source, split, f"{split}{number}")
        for source in SOURCES
        for split, count in (("calibration", CALIBRATION), ("test", TEST))
        for number in range(count)
    ]
    return pd.DataFrame(rows, columns=["image_id", "sha256", "source", "split", "group"])


def scores_of(images: pd.DataFrame, attack: str = "none", name: str = "quantloss") -> pd.DataFrame:
    """Non-members score 0 to 39 in calibration and 0 to 9 in test, times the scale of the target; of its own test
    images the first `FOUND` score 1000, the others 0. The siblings share a tokenizer: each scores as the other."""
    parts = []
    for target, scale in (("a", 1.0), ("b", 50.0), ("b-s", 50.0)):
        number = images["image_id"].str[-2:].astype(int)
        values = number.astype(float)
        own = images["source"].map({name: TASK.family(name) for name in TARGETS}) == TASK.family(target)
        found = number < images["source"].map(FOUND).fillna(0)
        values = values.mask(own & (images["split"] == "test"), np.where(found, 1000.0, 0.0))
        parts.append(
            pd.DataFrame(
                {
                    "image_id": images["image_id"], "sha256": images["sha256"], "score_name": name,
                    "score": values * scale, "seconds": 0.01, "detector": name, "detector_version": 1,
                    "parameters": "", "encoder": "inverse", "target": target, "target_weights": f"w-{target}",
                    "precision": "float32", "attack": attack, "attack_version": 1, "main_score": name,
                    "tells_siblings": False, "fitted": False,
                }
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def scores(images: pd.DataFrame) -> pd.DataFrame:
    return scores_of(images)


@pytest.fixture(scope="module")
def rows(scores: pd.DataFrame, images: pd.DataFrame) -> list[AttributionRow]:
    return compute_rows(scores, images, TASK)


def one(rows: list[AttributionRow], **wanted: Any) -> AttributionRow:
    (found,) = [row for row in rows if all(getattr(row, key) == value for key, value in wanted.items())]
    return found


def test_rank1_and_map_by_hand(rows: list[AttributionRow]) -> None:
    """Images of a: 9 on top; the tenth scores 0 with a but 9 with both others, so it is last of three: 1/3.

    Siblings tie in every image and share the top. Of b's images 6 are found (share 1/2, 1/rank 3/4); 4 score 0 with b
    and b-s, and 6, 7, 8, 9 with a: a is on top, and 1/rank is the mean of 1/2 and 1/3.
    """
    assert one(rows, metric="rank1", level="model", subject="a").value == pytest.approx(0.9)
    assert one(rows, metric="rank1", level="model", subject="b").value == pytest.approx(0.3)
    assert one(rows, metric="rank1", level="model", subject="b-s").value == pytest.approx(0.4)
    every = one(rows, metric="rank1", level="model", subject="all")
    assert (every.value, every.chance) == (pytest.approx((0.9 + 0.3 + 0.4) / 3), pytest.approx(1 / 3))
    ranked = one(rows, metric="map", level="model", subject="all")
    by_class = [(9 + 1 / 3) / 10] + [(hits * 0.75 + (10 - hits) * 5 / 12) / 10 for hits in (6, 8)]
    assert ranked.value == pytest.approx(np.mean(by_class))
    assert ranked.chance == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_a_family_is_found_where_its_siblings_are_not_told_apart(rows: list[AttributionRow]) -> None:
    assert one(rows, metric="rank1", level="family", subject="B").value == pytest.approx((0.6 + 0.8) / 2)
    every = one(rows, metric="rank1", level="family", subject="all")
    assert (every.value, every.chance) == (pytest.approx((0.9 + 0.7) / 2), 0.5)
    assert one(rows, metric="map", level="family", subject="all").value == pytest.approx((0.95 + 0.85) / 2)


def test_the_open_set_by_hand(rows: list[AttributionRow]) -> None:
    wanted = {"setting": "open", "fpr_nominal": 0.05}
    # no other test image scores above 9, no threshold is below the second largest of 40: only the found are named
    assert one(rows, metric="recall", level="model", subject="a", **wanted).value == pytest.approx(0.9)
    assert one(rows, metric="recall", level="model", subject="b", **wanted).value == pytest.approx(0.3)
    assert one(rows, metric="recall", level="family", subject="B", **wanted).value == pytest.approx(0.7)
    assert [one(rows, metric="named", subject=name, **wanted).value for name in ("photos", "walls")] == [0, 0]
    balanced = one(rows, metric="balanced_accuracy", level="model", **wanted)
    assert balanced.value == pytest.approx((0.9 + 0.3 + 0.4 + 1) / 4)
    assert balanced.chance == 0.25
    assert balanced.primary
    assert balanced.predicted == ("a", "b", "b-s", "none")
    assert balanced.confusion["b"] == pytest.approx((0, 0.3, 0.3, 0.4))
    assert balanced.confusion["photos"] == (0, 0, 0, 1)
    assert one(rows, metric="balanced_accuracy", level="family", **wanted).value == pytest.approx((0.9 + 0.7 + 1) / 3)
    assert sum(row.primary for row in rows) == 1


def test_a_family_that_is_left_out_is_no_answer_and_sets_no_threshold(
    rows: list[AttributionRow], scores: pd.DataFrame, images: pd.DataFrame
) -> None:
    wanted = {"setting": "left-out", "fpr_nominal": 0.05}
    left = one(rows, metric="named", subject="B", left_out="B", **wanted)
    assert (left.value, left.targets) == (0, ("a",))  # images of b score as photographs with a
    balanced = one(rows, metric="balanced_accuracy", level="model", left_out="B", **wanted)
    assert balanced.value == pytest.approx((0.9 + 1) / 2)
    assert balanced.predicted == ("a", "none")
    assert set(balanced.confusion) == {"a", "photos", "walls", "b", "b-s"}
    assert one(rows, metric="named", subject="all", left_out=None, **wanted).value == 0
    poisoned = scores.copy()
    unknown = poisoned["image_id"].str.startswith(("b/calibration", "b-s/calibration"))
    poisoned.loc[unknown, "score"] **= 3
    again = compute_rows(poisoned, images, TASK)
    same = one(again, metric="balanced_accuracy", level="model", left_out="B", **wanted)
    assert same.threshold == balanced.threshold

    def unit(scores: pd.DataFrame, left_out: str | None) -> Units:
        (many,) = cells_of(scores, images, TASK)
        return Standard(many.cell("none"), many.cell("none"), left_out).units["a"]

    assert unit(poisoned, "B") == unit(scores, "B")
    assert unit(poisoned, None) != unit(scores, None)


def test_labels_and_scores_of_test_images_change_no_threshold(
    rows: list[AttributionRow], scores: pd.DataFrame, images: pd.DataFrame
) -> None:
    def thresholds(rows: list[AttributionRow]) -> set[tuple[object, ...]]:
        return {(row.setting, row.left_out, row.fpr_nominal, row.threshold) for row in rows if row.fpr_nominal}

    test = images["split"] == "test"
    swapped = images.copy()
    swapped.loc[test, "source"] = np.roll(images.loc[test, "source"], TEST)
    poisoned = scores.copy()
    poisoned.loc[poisoned["image_id"].str.contains("/test/"), "score"] += 1e9
    assert thresholds(compute_rows(scores, swapped, TASK)) == thresholds(rows)
    assert thresholds(compute_rows(poisoned, images, TASK)) == thresholds(rows)


def test_p_values_and_the_threshold_agree(
    rows: list[AttributionRow], scores: pd.DataFrame, images: pd.DataFrame
) -> None:
    frame = per_image(scores, images, TASK)
    assert len(frame) == len(SOURCES) * TEST * len(TARGETS)
    tops = frame.groupby("image_id").agg(top=("standardised", "max"), p_none=("p_none", "first"))
    for rate in TASK.fprs:
        found = one(rows, metric="balanced_accuracy", level="model", setting="open", fpr_nominal=rate)
        assert ((tops["top"] > found.threshold) == (tops["p_none"] <= rate)).all()
    high = frame[(frame["image_id"] == "a/test/00") & (frame["target"] == "a")].iloc[0]
    # above all photographs, 40, and all images of the other family, 80: the larger of 1/41 and 1/81
    assert high["p_value"] == pytest.approx(1 / 41)
    assert high["score"] == 1000


def test_a_missing_score_is_refused(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    lost = scores[~((scores["image_id"] == "walls/test/03") & (scores["target"] == "b"))]
    with pytest.raises(UserError, match="1 of 10 test images of walls have no score of b yet; repeat the run"):
        compute_rows(lost, images, TASK)
    twice = pd.concat([scores, scores.head(1)])
    with pytest.raises(UserError, match="has two scores of a"):
        compute_rows(twice, images, TASK)


def test_the_own_calibration_images_of_a_target_need_no_score(
    rows: list[AttributionRow], scores: pd.DataFrame, images: pd.DataFrame
) -> None:
    own = scores["image_id"].str.split("/").str[0] == scores["target"]
    assert compute_rows(scores[~(own & scores["image_id"].str.contains("calibration"))], images, TASK) == rows


def test_a_score_that_some_targets_lack_gets_a_reason(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    greedy = (
        scores_of(images, name="greedy").query("target != 'a'").assign(detector="quantloss", main_score="quantloss")
    )
    found = compute_rows(pd.concat([scores, greedy]), images, TASK)
    row = one(found, score_name="greedy")
    assert (row.value, row.main, row.reason) == (None, False, "no score of this name for a")


def test_too_few_calibration_images_leave_the_closed_set(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    strict = AttributionTask(**{**{f: getattr(TASK, f) for f in TASK.__slots__}, "fprs": (0.001,)})
    found = compute_rows(scores, images, strict)
    assert one(found, metric="rank1", level="model", subject="a").value == pytest.approx(0.9)
    assert "999 non-members" in str(one(found, metric="balanced_accuracy", level="model", setting="open").reason)
    assert "999 non-members" in plain(found)


def test_scores_without_spread_get_a_reason(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    flat = scores.assign(score=scores["score"].where(scores["target"] != "a", 1.0))
    (row,) = compute_rows(flat, images, TASK)
    assert "no spread" in str(row.reason)


def test_transfer_takes_units_and_threshold_from_clean_images(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    blurred = scores_of(images, "jpeg50")
    blurred["score"] *= 0.5
    found = compute_rows(pd.concat([scores, blurred]), images, TASK)
    wanted = {"metric": "balanced_accuracy", "level": "model", "setting": "open", "fpr_nominal": 0.05}
    kinds = {kind: one(found, attack="jpeg50", threshold_kind=kind, **wanted) for kind in ("matched", "transfer")}
    clean = one(found, attack="none", **wanted)
    assert kinds["transfer"].threshold == clean.threshold
    assert kinds["matched"].threshold == pytest.approx(clean.threshold)  # everything has shrunk by the same factor
    assert not [row for row in found if row.attack == "none" and row.threshold_kind == "transfer"]


def test_generators_that_are_no_targets_are_unknown_but_siblings_of_targets_are_left_out(
    scores: pd.DataFrame, images: pd.DataFrame
) -> None:
    narrowed = AttributionTask(**{**{f: getattr(TASK, f) for f in TASK.__slots__}, "targets": ("a", "b")})
    assert (narrowed.unknown(), narrowed.unknown("B")) == ((), ("b", "b-s"))
    alone = AttributionTask(**{**{f: getattr(TASK, f) for f in TASK.__slots__}, "targets": ("a",)})
    assert alone.unknown() == ("b", "b-s")
    found = compute_rows(scores, images, alone)
    assert one(found, metric="named", subject="b", fpr_nominal=0.05).value == 0


def test_rows_read_back_and_show(rows: list[AttributionRow], tmp_path: Path) -> None:
    write_rows(rows, tmp_path / "results.jsonl")
    assert read_rows(tmp_path / "results.jsonl", AttributionRow) == rows
    short = plain(rows, View(fpr=0.05)).splitlines()
    assert [line.split()[:2] for line in short[1:]] == [
        ["model", "chance"], ["model", "quantloss"], ["family", "chance"], ["family", "quantloss"],
    ]  # fmt: skip
    assert "b 30.0" in short[2]
    assert "family left out" in markdown(rows, View(fpr=0.05, details=True))
    plot_confusions(rows, tmp_path / "table.png", fpr=0.05)
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")


def test_order_of_files_changes_nothing(rows: list[AttributionRow], scores: pd.DataFrame, images: pd.DataFrame) -> None:
    shuffled = scores.sample(frac=1, random_state=0), images.sample(frac=1, random_state=1)
    assert compute_rows(*shuffled, TASK) == rows


def test_the_cell_names_its_sets(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    (many,) = cells_of(scores, images, TASK)
    cell = many.cell("none")
    standard = Standard(cell, cell)
    assert {name: len(one) for name, one in standard.nonmembers("a").items()} == {"photos": 40, "other-generators": 80}
    assert {name: len(one) for name, one in standard.nonmembers("b").items()} == {"photos": 40, "other-generators": 40}
    assert {name: list(one) for name, one in standard.maxima.items()} == {
        "photos": ["photos"], "other-generators": ["a", "b", "b-s"],
    }  # fmt: skip
