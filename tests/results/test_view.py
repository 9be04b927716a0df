from __future__ import annotations

import pandas as pd
import pytest
import run_folder

from iarbench.errors import UserError
from iarbench.results.compute import compute_rows
from iarbench.results.rows import Row
from iarbench.results.view import View, chosen_fpr, lines_of, primary_metric


@pytest.fixture(scope="module")
def images() -> pd.DataFrame:
    return run_folder.index(110)


@pytest.fixture(scope="module")
def rows(images: pd.DataFrame) -> list[Row]:
    return compute_rows(run_folder.run(images, shift=20), images, run_folder.task(fprs=(0.01, 0.001)))


def test_one_line_per_target_detector_encoder_and_attack(rows: list[Row]) -> None:
    lines = lines_of(rows)
    assert [(line.target, line.detector, line.encoder, line.attack) for line in lines] == [
        (target, "quantloss", "original", attack) for target in run_folder.GENERATORS for attack in ("none", "jpeg50")
    ]
    assert {line.nonmember_set for line in lines} == {"pooled"}
    assert len(lines_of(rows, View(all_sets=True))) == 4 * len(lines)


def test_the_main_score_and_the_best_encoder_unless_asked(images: pd.DataFrame) -> None:
    scores = run_folder.run(images)
    other = scores.assign(score_name="ratio", score=0.0)
    inverse = scores.assign(encoder="inverse")
    rows = compute_rows(pd.concat([scores, other, inverse], ignore_index=True), images, run_folder.task())
    assert {(line.detector, line.encoder) for line in lines_of(rows)} == {("quantloss", "inverse")}
    everything = lines_of(rows, View(all_scores=True, all_encoders=True))
    assert {(line.detector, line.encoder) for line in everything} == {
        ("quantloss", "original"), ("quantloss", "inverse"), ("quantloss:ratio", "original"),
    }  # fmt: skip


def test_one_number_per_detector_is_primary(images: pd.DataFrame) -> None:
    scores = run_folder.run(images, attacks=("none",))
    rows = compute_rows(scores, images, run_folder.task(fprs=(0.01, 0.05)))
    primary = [row for row in rows if row.primary]
    assert [(row.target, row.metric, row.fpr_nominal, row.threshold_kind, row.nonmember_set) for row in primary] == [
        (target, "tpr_at_fpr", 0.01, "matched", "pooled") for target in run_folder.GENERATORS
    ]
    assert all(row.pools == ("real", "other-generators") for row in primary)
    by_area = compute_rows(scores, images, run_folder.task(primary="auroc"))
    assert {row.metric for row in by_area if row.primary} == {primary_metric(by_area)} == {"auroc"}


def test_without_a_score_called_like_the_detector_the_first_one_is_main(images: pd.DataFrame) -> None:
    scores = run_folder.run(images).assign(score_name="energy", main_score="energy")
    rows = compute_rows(pd.concat([scores, scores.assign(score_name="a")]), images, run_folder.task())
    assert {line.detector for line in lines_of(rows)} == {"quantloss:energy"}


def test_the_best_detector_comes_first(images: pd.DataFrame) -> None:
    weak = run_folder.run(images, shift=0).assign(detector="aaa", score_name="aaa", main_score="aaa")
    strong = run_folder.run(images, shift=9)
    rows = compute_rows(pd.concat([weak, strong], ignore_index=True), images, run_folder.task())
    assert list(dict.fromkeys(line.detector for line in lines_of(rows))) == ["quantloss", "aaa"]


def test_a_target_without_pooled_rows_shows_its_sets(rows: list[Row]) -> None:
    kept = [row for row in rows if row.nonmember_set != "pooled" or row.target != "alpha-mini"]
    sets = {(line.target, line.nonmember_set) for line in lines_of(kept)}
    assert sets == {
        ("alpha-mini", "real"), ("alpha-mini", "other-generators"), ("alpha-mini", "beta-mini"), ("beta-mini", "pooled")
    }  # fmt: skip


def test_the_rate_shown_is_one_that_has_numbers(images: pd.DataFrame, rows: list[Row]) -> None:
    assert chosen_fpr(rows, None) == 0.01  # 0.001 is refused for want of images
    few = run_folder.index(12)
    small = compute_rows(run_folder.run(few), few, run_folder.task(fprs=(0.01, 0.1)))
    assert chosen_fpr(small, None) == 0.1
    kept = [row for row in rows if row.nonmember_set != "pooled" or row.fpr_nominal != 0.01]
    assert chosen_fpr([*kept, *small], None) == 0.1
    refused = compute_rows(run_folder.run(few), few, run_folder.task(fprs=(0.01, 0.02)))
    assert chosen_fpr(refused, None) == 0.01
    assert chosen_fpr([row for row in rows if row.metric == "auroc"], None) is None
    with pytest.raises(UserError, match=r"no results at FPR 0.05; there are: 0.001, 0.01"):
        chosen_fpr(rows, 0.05)
    with pytest.raises(UserError, match="no results to show"):
        chosen_fpr([], None)
