"""Which rows a board keeps."""

from __future__ import annotations

from board_rows import row
from stored_board import ROWS

from iarbench.results.attribution.rows import AttributionRow
from iarbench.results.rows import read_rows
from iarbench.submit.keep import kept
from iarbench.task import Task


def test_attacks_beyond_the_tasks_own_keep_the_main_score_against_all_pooled() -> None:
    told = {"detector": "combined", "target": "var-mini"}
    rows = [
        row(**told, attack=attack, nonmember_set=others, score_name=score, primary=score == "combined")
        for attack in ("jpeg50", "jpeg30")
        for others in ("pooled", "flickr", "rar-mini", "var-mini-s")
        for score in ("combined", "combined:greedy")
    ]
    found = kept(rows, Task.load("mini"), lambda row: "where", "mini-1")
    assert [(one.attack, one.nonmember_set, one.score_name) for one in found] == [
        ("jpeg50", "pooled", "combined"),
        ("jpeg50", "pooled", "combined:greedy"),
        ("jpeg50", "flickr", "combined"),
        ("jpeg50", "var-mini-s", "combined"),  # a sibling: one tokenizer
        ("jpeg30", "pooled", "combined"),
    ]
    assert {(one.submission, one.source) for one in found} == {("mini-1", "where")}


def test_of_attribution_too_they_keep_the_main_score() -> None:
    first = read_rows(ROWS / "attribution-mini.jsonl", AttributionRow)[0]
    rows = [
        first.model_copy(update={"attack": attack, "main": main})
        for attack in ("jpeg50", "jpeg30")
        for main in (True, False)
    ]
    found = kept(rows, Task.load("attribution-mini"), lambda row: None, "attribution-mini-1")
    assert [(one.attack, one.main) for one in found] == [("jpeg50", True), ("jpeg50", False), ("jpeg30", True)]


def test_a_guaranteed_threshold_that_images_are_too_few_for_is_no_row() -> None:
    rows = [row(target="var-mini", threshold_kind=kind, value=None) for kind in ("matched", "guaranteed")]
    (one,) = kept(rows, Task.load("mini"), lambda row: None, "mini-1")
    assert one.threshold_kind == "matched"
