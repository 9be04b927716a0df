from __future__ import annotations

import pytest
from board_rows import row

from iarbench.board.gather import Batch
from iarbench.board.groups import groups_of
from iarbench.board.ranking import families, places
from iarbench.results.curves import curves


def table(values: dict[str, tuple[float | None, ...]], **changes: object) -> list[tuple[str, int | None, float | None]]:
    rows = [
        row(detector=name, target=target, value=value, reason=None if value is not None else "too few", **changes)
        for name, found in values.items()
        for target, value in zip("ab", found, strict=False)
    ]
    (group,) = groups_of([Batch(tuple(rows))])
    return [(place.entry.label, place.rank, place.mean) for place in places(group, "none", "pooled", 0.01)]


def test_ranks_are_by_the_mean_and_equal_means_share_one() -> None:
    found = table({"one": (0.5, 0.7), "two": (1.0, 0.8), "three": (0.7, 0.5), "four": (0.0, 0.2)})
    assert [(name, rank) for name, rank, _ in found] == [("two", 1), ("one", 2), ("three", 2), ("four", 4)]
    assert [mean for _, _, mean in found] == [pytest.approx(x) for x in (0.9, 0.6, 0.6, 0.1)]


def test_a_missing_or_refused_number_leaves_no_rank_and_moves_nobody() -> None:
    found = table({"short": (1.0,), "refused": (1.0, None), "whole": (0.1, 0.2)})
    assert found == [("whole", 1, pytest.approx(0.15)), ("refused", None, None), ("short", None, None)]


def test_the_worst_target_is_named() -> None:
    (group,) = groups_of([Batch((row(value=0.9), row(target="b", value=0.3)))])
    (place,) = places(group, "none", "pooled", 0.01)
    assert place.worst == "b"
    assert place.mean_over(["a", "b"]) == pytest.approx(0.6)


def test_numbers_on_other_images_are_shown_without_a_rank() -> None:
    mine = (row(detector="mine", nonmember_set="real"), row(detector="mine", value=0.99, images_fingerprint="others"))
    (group,) = groups_of([Batch((row(), row(nonmember_set="real"))), Batch(mine, own=True)])
    assert [(place.entry.label, place.rank) for place in places(group, "none", "pooled", 0.01)] == [
        ("quantloss", 1), ("mine", None),
    ]  # fmt: skip
    assert {place.rank for place in places(group, "none", "real", 0.01)} == {1}


def test_only_main_scores_are_ranked() -> None:
    (group,) = groups_of([Batch((row(value=0.2), row(score_name="greedy", primary=False, value=0.9)))])
    assert [(place.entry.label, place.rank) for place in places(group, "none", "pooled", 0.01)] == [
        ("quantloss", 1), ("quantloss:greedy", None),
    ]  # fmt: skip


def test_families_are_those_of_the_descriptions() -> None:
    assert families(["var-mini", "mine", "rar-mini", "var-mini-s"]) == {
        "var": ["var-mini", "var-mini-s"], "mine": ["mine"], "rar": ["rar-mini"],
    }  # fmt: skip


def test_curves_go_from_weak_to_strong() -> None:
    names = ["jpeg50", "none", "jpeg90", "crop0.8", "crop0.9", "noise0.1", "noise0.05", "brightness2", "brightness0.5",
             "brightness1.5", "jpeg50+crop0.8", "flip", "./mine.py:Mine=3"]  # fmt: skip
    assert curves(names, {}) == {
        "brightness down": ["brightness0.5"],
        "brightness up": ["brightness1.5", "brightness2"],
        "crop": ["crop0.9", "crop0.8"],
        "jpeg": ["jpeg90", "jpeg50"],
        "noise": ["noise0.05", "noise0.1"],
    }
    assert curves(["crop0.9", "crop0.8"], {"crop0.8": 30.0, "crop0.9": 20.0}) == {"crop": ["crop0.8", "crop0.9"]}
