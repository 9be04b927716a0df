from __future__ import annotations

from board_rows import auroc, row

from iarbench.board.gather import Batch
from iarbench.board.groups import groups_of


def test_versions_sides_and_tasks_never_meet() -> None:
    rows = (row(), row(task_version=2), row(attacked="members"), row(task="other"))
    groups = groups_of([Batch(rows)])
    assert [(group.task, group.version, group.attacked) for group in groups] == [
        ("other", 1, "both"), ("toys", 2, "both"), ("toys", 1, "both"), ("toys", 1, "members"),
    ]  # fmt: skip
    assert len({group.id for group in groups}) == 4


def test_numbers_of_older_metrics_are_a_group_of_their_own() -> None:
    rows = (row(metric_version=2), row(metric_version=1, value=0.9), row(task="old", metric_version=1))
    groups = groups_of([Batch(rows)])
    assert [(group.id, group.title) for group in groups] == [
        ("old-v1", "old, version 1"), ("toys-v1", "toys, version 1"),
        ("toys-v1-metrics1", "toys, version 1, metrics of version 1"),
    ]  # fmt: skip


def test_other_images_are_another_group_and_say_how_many_there_were() -> None:
    full = Batch((row(), row(target="b")))
    part = Batch((row(detector="mine", n_members=10, images_fingerprint="first ten"),))
    groups = groups_of([part, full])
    assert [[entry.label for entry in group.entries] for group in groups] == [["quantloss"], ["mine"]]
    assert [group.limit for group in groups] == [None, 10]
    assert groups[1].id == "toys-v1-first10"


def test_one_detector_on_two_image_sets_is_in_both_groups() -> None:
    groups = groups_of(
        [Batch((row(value=0.5),)), Batch((row(value=0.9, n_members=10, images_fingerprint="ten"),), True)]
    )
    assert [line.rows["matched"].value for group in groups for line in group.lines] == [0.5, 0.9]


def test_a_line_on_other_images_than_its_group_is_not_comparable() -> None:
    mine = (row(detector="mine", nonmember_set="real"), row(detector="mine", images_fingerprint="with its sibling"))
    (group,) = groups_of([Batch((row(), row(nonmember_set="real"))), Batch(mine)])
    found = {(line.entry[0], line.nonmember_set): line.comparable for line in group.lines}
    assert found == {
        ("quantloss", "pooled"): True, ("quantloss", "real"): True, ("mine", "real"): True, ("mine", "pooled"): False,
    }  # fmt: skip


def test_the_users_row_counts_where_two_are_about_the_same() -> None:
    own = Batch((row(value=0.7),), own=True)
    (group,) = groups_of([own, Batch((row(value=0.5),))])
    (line,) = group.lines
    assert line.rows["matched"].value == 0.7
    assert group.entries[0].batch is own


def test_an_entry_is_a_score_with_its_parameters_version_encoder_and_precision() -> None:
    rows = (row(), row(parameters="x=1"), row(detector_version=8), row(encoder="original"), row(precision="bfloat16"),
            row(score_name="greedy", primary=False))  # fmt: skip
    (group,) = groups_of([Batch(rows)])
    assert len(group.entries) == 6
    assert [entry.label for entry in group.entries if not entry.main] == ["quantloss:greedy"]


def test_a_rate_that_the_images_are_too_few_for_is_not_the_first() -> None:
    few = (row(value=None, reason="too few"), row(fpr_nominal=0.05, primary=False))
    assert groups_of([Batch(few)])[0].rates == (0.05, 0.01)
    assert groups_of([Batch((*few, row(attack="jpeg50")))])[0].rates == (0.01, 0.05)


def test_auroc_stands_at_every_rate() -> None:
    (group,) = groups_of([Batch((row(), row(fpr_nominal=0.05, primary=False), auroc()))])
    assert group.rates == (0.01, 0.05)
    assert [sorted(line.rows) for line in group.lines] == [["auroc", "matched"]] * 2
