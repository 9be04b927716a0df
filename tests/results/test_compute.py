from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import run_folder

from iarbench.errors import UserError
from iarbench.results.compute import compute_rows
from iarbench.results.rows import Row
from iarbench.results.view import lines_of
from iarbench.stats.intervals import clopper_pearson


@pytest.fixture(scope="module")
def images() -> pd.DataFrame:
    return run_folder.index()


@pytest.fixture(scope="module")
def scores(images: pd.DataFrame) -> pd.DataFrame:
    return run_folder.run(images)


@pytest.fixture(scope="module")
def rows(scores: pd.DataFrame, images: pd.DataFrame) -> list[Row]:
    return compute_rows(scores, images, run_folder.task())


def pick(rows: list[Row], **wanted: Any) -> list[Row]:
    return [row for row in rows if all(getattr(row, key) == value for key, value in wanted.items())]


def one(rows: list[Row], **wanted: Any) -> Row:
    (found,) = pick(rows, **wanted)
    return found


def test_every_target_attack_set_and_metric_has_its_row(rows: list[Row]) -> None:
    # 2 targets x 2 attacks x 4 sets x (4 thresholds + AUROC)
    assert len(rows) == 2 * 2 * 4 * 5
    assert [row.nonmember_set for row in pick(rows, target="alpha-mini", attack="none", metric="auroc")] == [
        "real", "other-generators", "pooled", "beta-mini",
    ]  # fmt: skip
    assert {row.nonmember_set for row in pick(rows, target="beta-mini")} == {
        "real", "other-generators", "pooled", "alpha-mini",
    }  # fmt: skip


def test_a_row_says_what_it_is(rows: list[Row]) -> None:
    row = one(rows, target="alpha-mini", attack="jpeg50", nonmember_set="pooled", threshold_kind="matched")
    assert row.task == "tiny"
    assert row.task_version == 3
    assert (row.detector, row.detector_version, row.score_name) == ("quantloss", 2, "quantloss")
    assert (row.encoder, row.target_weights) == ("original", "weights-of-alpha-mini")
    assert (row.attack_version, row.attacked) == (1, "both")
    assert (row.n_members, row.n_nonmembers, row.n_calibration) == (120, 240, 240)
    assert row.n_groups == 120 + 30  # four crops of each photograph
    assert (row.fpr_nominal, row.seconds_per_image, row.reason) == (0.01, pytest.approx(0.004), None)
    assert row.low <= row.value <= row.high
    assert row.fpr_low <= row.fpr_achieved <= row.fpr_high
    assert type(row.detector_version) is int


def test_numbers_are_those_of_the_images(scores: pd.DataFrame, images: pd.DataFrame, rows: list[Row]) -> None:
    joined = scores[scores["target"].eq("alpha-mini") & scores["attack"].eq("jpeg50")].merge(images)
    clean = scores[scores["target"].eq("alpha-mini") & scores["attack"].eq("none")].merge(images)

    def of(frame: pd.DataFrame, source: str, split: str) -> np.ndarray:
        return frame["score"][frame["source"].eq(source) & frame["split"].eq(split)].to_numpy()

    members, nonmembers = of(joined, "alpha-mini", "test"), of(joined, "beta-mini", "test")
    at = {  # n = 120 at 1%: above the largest; the oracle lets one of 120 pass: not above the second largest
        "matched": np.sort(of(joined, "beta-mini", "calibration"))[-1],
        "transfer": np.sort(of(clean, "beta-mini", "calibration"))[-1],
        "oracle": np.sort(nonmembers)[-2],
    }
    for kind, threshold in at.items():
        row = one(rows, target="alpha-mini", attack="jpeg50", nonmember_set="beta-mini", threshold_kind=kind)
        assert row.threshold == threshold
        assert row.value == (members > threshold).mean()
        assert row.fpr_achieved == (nonmembers > threshold).mean()
        interval = clopper_pearson((nonmembers > threshold).sum(), 120)
        assert (row.fpr_low, row.fpr_high) == ((None, None) if kind == "oracle" else pytest.approx(interval))
        assert row.n_calibration == (0 if kind == "oracle" else 120)
    area = one(rows, target="alpha-mini", attack="jpeg50", nonmember_set="beta-mini", metric="auroc")
    assert area.value == pytest.approx((members[:, None] > nonmembers).mean())
    assert (area.threshold_kind, area.fpr_nominal, area.n_calibration) == (None, None, 0)


def test_a_guaranteed_threshold_needs_more_images_than_a_matched_one(images: pd.DataFrame) -> None:
    many = run_folder.index(400)
    found = compute_rows(run_folder.run(many, ("none",)), many, run_folder.task())
    where = {"target": "alpha-mini", "threshold_kind": "guaranteed"}
    row = one(found, nonmember_set="beta-mini", **where)
    matched = one(found, target="alpha-mini", nonmember_set="beta-mini", threshold_kind="matched")
    assert (row.interval, matched.interval) == ("at-threshold", "at-fpr")
    assert row.threshold > matched.threshold
    assert row.n_calibration == 400
    refused = one(found, nonmember_set="real", **where)  # 400 crops of 100 photographs
    assert (refused.value, refused.n_calibration) == (None, 100)
    assert refused.reason.endswith("needs 299 independent non-members, one a group; there are 100")


def test_clean_matched_and_transfer_are_one(rows: list[Row]) -> None:
    for name in ("real", "pooled"):
        found = {
            kind: one(rows, target="beta-mini", attack="none", nonmember_set=name, threshold_kind=kind)
            for kind in ("matched", "transfer")
        }
        assert found["matched"] == found["transfer"].model_copy(
            update={"threshold_kind": "matched", "primary": name == "pooled"}
        )


def test_order_of_files_and_rows_changes_nothing(scores: pd.DataFrame, images: pd.DataFrame, rows: list[Row]) -> None:
    shuffled = scores.sample(frac=1, random_state=0), images.sample(frac=1, random_state=1)
    assert compute_rows(*shuffled, run_folder.task()) == rows


def test_a_further_detector_changes_no_number(scores: pd.DataFrame, images: pd.DataFrame, rows: list[Row]) -> None:
    more = pd.concat([scores, run_folder.scores(images, "alpha-mini", name="encloss")])
    again = compute_rows(more, images, run_folder.task())
    assert pick(again, detector="quantloss") == rows
    assert len(again) == len(rows) + 20


def test_swapping_two_members_bytes_changes_the_result(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    """The score follows the bytes: with the index swapped, the old scores belong to nobody."""
    swapped = images.copy()
    first, second = swapped.index[swapped["source"].eq("alpha-mini") & swapped["split"].eq("test")][:2]
    swapped.loc[[first, second], "sha256"] = swapped.loc[[second, first], "sha256"].to_numpy()
    with pytest.raises(UserError, match="2 of 120 test images of alpha-mini have no score yet"):
        compute_rows(scores, swapped, run_folder.task())


def test_fingerprint_is_of_the_images_used(scores: pd.DataFrame, images: pd.DataFrame, rows: list[Row]) -> None:
    prints = {row.nonmember_set: row.images_fingerprint for row in pick(rows, target="alpha-mini")}
    assert len(set(prints.values())) == 3
    fewer = images.drop(images.index[images["source"].eq("photos")][-1])
    again = compute_rows(scores, fewer, run_folder.task())
    changed = {row.nonmember_set: row.images_fingerprint for row in pick(again, target="alpha-mini")}
    assert changed["beta-mini"] == prints["beta-mini"]
    assert changed["real"] != prints["real"]
    assert changed["pooled"] != prints["pooled"]


@pytest.mark.parametrize("attacked", ["members", "nonmembers"])
def test_one_sided_attacks(scores: pd.DataFrame, images: pd.DataFrame, rows: list[Row], attacked: str) -> None:
    found = compute_rows(scores, images, run_folder.task(attacked=attacked))
    where = {"target": "alpha-mini", "nonmember_set": "real", "threshold_kind": "matched"}
    row, clean = one(found, attack="jpeg50", **where), one(rows, attack="none", **where)
    both = one(rows, attack="jpeg50", **where)
    assert row.attacked == attacked
    if attacked == "members":  # calibration follows the non-members, which stayed clean
        assert (row.threshold, row.fpr_achieved) == (clean.threshold, clean.fpr_achieved)
    else:
        assert (row.threshold, row.fpr_achieved) == (both.threshold, both.fpr_achieved)


def test_what_cannot_be_had_is_null_with_a_reason(images: pd.DataFrame) -> None:
    only_attacked = run_folder.run(images, attacks=("jpeg50",))
    found = compute_rows(only_attacked, images, run_folder.task(fprs=(0.01, 0.001)))
    where = {"target": "alpha-mini", "nonmember_set": "real"}
    assert one(found, threshold_kind="matched", fpr_nominal=0.01, **where).value is not None
    transfer = one(found, threshold_kind="transfer", fpr_nominal=0.01, **where)
    assert (transfer.value, transfer.reason) == (None, "no scores under attack 'none'")
    refused = one(found, threshold_kind="matched", fpr_nominal=0.001, **where)
    nothing = ("threshold", "value", "low", "high", "fpr_achieved", "fpr_low", "fpr_high")
    assert all(getattr(refused, key) is None for key in nothing)
    assert (
        refused.reason == "FPR 0.1% needs 999 non-members in every set for a threshold; 120 allow no less than 0.826%"
    )
    json.dumps([row.model_dump() for row in found], allow_nan=False)


def test_a_missing_set_is_named_and_not_pooled_away(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    found = compute_rows(scores, images[images["source"] != "photos"], run_folder.task())
    for name in ("real", "pooled"):
        row = one(found, target="alpha-mini", attack="none", nonmember_set=name, metric="auroc")
        assert (row.value, row.reason) == (None, "no test images of photos")
    assert one(found, target="alpha-mini", attack="none", nonmember_set="beta-mini", metric="auroc").value > 0.9


def test_a_score_that_is_not_finite_voids_the_rows_that_need_it(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    broken = scores.copy()
    photo = broken["image_id"].eq("photos/test/0007") & broken["target"].eq("alpha-mini") & broken["attack"].eq("none")
    broken.loc[photo, "score"] = np.nan
    found = compute_rows(broken, images, run_folder.task())
    voided = [row for row in found if row.reason and row.threshold_kind != "guaranteed"]
    assert {row.reason for row in voided} == {"1 of 120 scores are not finite"}
    assert {(row.target, row.attack, row.nonmember_set) for row in voided} == {
        ("alpha-mini", "none", "real"), ("alpha-mini", "none", "pooled"),
    }  # fmt: skip


def test_an_unfinished_run_is_an_error(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    with pytest.raises(UserError, match=r"alpha-mini/none: 1 of 120 test images of alpha-mini .*; repeat the run"):
        compute_rows(scores[scores["image_id"] != "alpha-mini/test/0000"], images, run_folder.task())


def test_two_scores_for_one_image_are_an_error(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="image alpha-mini/calibration/0000 has two scores"):
        compute_rows(pd.concat([scores, scores.iloc[:1]]), images, run_folder.task())


def test_no_score_for_these_images_is_an_error(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="no score of task tiny belongs to its images"):
        compute_rows(scores, images.assign(sha256="other"), run_folder.task())


def test_a_photograph_on_both_sides_of_the_split_is_an_error(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    leaking = images.assign(group=images["group"].str.replace("calibration0", "test0"))
    with pytest.raises(UserError, match="group photos/test0 is in both calibration and test"):
        compute_rows(scores, leaking, run_folder.task())


def test_image_ids_must_be_unique(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="is in the index twice"):
        compute_rows(scores, pd.concat([images, images.iloc[:1]]), run_folder.task())


def test_a_single_target_keeps_the_other_generators_as_non_members(scores: pd.DataFrame, images: pd.DataFrame) -> None:
    task = run_folder.task(targets=("beta-mini",), metrics=("auroc",))
    found = compute_rows(scores, images, task)
    assert [(row.target, row.nonmember_set) for row in found] == [
        ("beta-mini", name) for _ in range(2) for name in ("real", "other-generators", "pooled", "alpha-mini")
    ]


def test_results_need_no_torch() -> None:
    code = (
        "import sys, iarbench.results.compute, iarbench.results.tables, iarbench.stats.attribution\n"
        "import iarbench.results.plots\n"
        "sys.exit(bool({'torch', 'datasets'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("change", [{"precision": "bfloat16"}, {"parameters": "steps=200"}])
def test_precisions_and_parameters_are_never_mixed(
    scores: pd.DataFrame, images: pd.DataFrame, rows: list[Row], change: dict[str, str]
) -> None:
    other = scores.assign(score=scores["score"] - 7, **change)
    both = compute_rows(pd.concat([scores, other], ignore_index=True), images, run_folder.task())
    assert len(both) == 2 * len(rows)
    assert [row for row in both if row not in rows] == pick(both, **change)
    assert len(lines_of(both)) == 2 * len(lines_of(rows))


def test_only_the_first_images_of_a_source_take_part_where_a_task_says_so(
    scores: pd.DataFrame, images: pd.DataFrame
) -> None:
    part = dataclasses.replace(run_folder.task(), most={"alpha-mini": (("beta-mini", 100), ("alpha-mini", 7))})
    found = pick(compute_rows(scores, images, part), target="alpha-mini")
    place = images.sort_values("image_id").groupby(["source", "split"]).cumcount()
    kept = place < images["source"].map({"beta-mini": 100, "alpha-mini": 7}).fillna(len(images))
    few = images[kept]
    alone = dataclasses.replace(run_folder.task(), targets=("alpha-mini",))
    assert found == compute_rows(scores[scores["image_id"].isin(few["image_id"])], few, alone)
    row = one(found, attack="none", nonmember_set="beta-mini", threshold_kind="matched")
    assert (row.n_members, row.n_nonmembers, row.n_calibration) == (7, 100, 100)
