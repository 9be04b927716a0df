"""An image set that lacks some sets of a task: the others are reported, and what is missing is said before scoring."""

from __future__ import annotations

import pytest
from toys import Toys

from iarbench.errors import UserError
from iarbench.harness.missing_sets import leave_out_missing
from iarbench.images.image_set import ImageSet
from iarbench.task import Task


@pytest.fixture(scope="module")
def images(toys: Toys) -> ImageSet:
    return ImageSet.open(toys.images)


@pytest.fixture(scope="module")
def whole(toys: Toys) -> Task:
    return Task.load(str(toys.task))


def test_nothing_is_left_out_of_a_whole_set(whole: Task, images: ImageSet) -> None:
    task, notes = leave_out_missing(whole, images)
    assert notes == []
    assert task.result_task().nonmember_sets("toy-a") == whole.result_task().nonmember_sets("toy-a")


def test_without_real_images_the_other_generators_are_left(whole: Task, images: ImageSet) -> None:
    task, notes = leave_out_missing(whole, images.filter(source=["toy-a", "toy-b"]))
    assert notes == [f"{whole.spec.images} has no test and no calibration images of noise: no results against them"]
    assert task.result_task().nonmember_sets("toy-a") == {
        "other-generators": (("toy-b",),), "pooled": (("toy-b",),), "toy-b": (("toy-b",),)
    }  # fmt: skip


def test_without_the_other_generators_the_real_images_are_left(whole: Task, images: ImageSet) -> None:
    task, notes = leave_out_missing(whole.narrowed(targets=["toy-a"]), images.filter(source=["toy-a", "noise"]))
    assert notes == [f"{whole.spec.images} has no test and no calibration images of toy-b: no results against them"]
    assert task.result_task().nonmember_sets("toy-a") == {"noise": (("noise",),), "pooled": (("noise",),)}


def test_a_target_without_members_is_no_target(whole: Task, images: ImageSet) -> None:
    task, notes = leave_out_missing(whole, images.filter(source=["toy-a", "noise"]))
    assert task.spec.targets == ("toy-a",)
    assert notes[0] == f"{whole.spec.images} has no images of toy-b: it is no target here"


def test_without_calibration_images_a_set_is_not_pooled(whole: Task, images: ImageSet) -> None:
    ids = images.index().query("source != 'noise' or split == 'test'")["image_id"]
    task, notes = leave_out_missing(whole, images.filter(image_id=list(ids)))
    only = "only AUROC and the oracle threshold against them"
    assert notes == [f"{whole.spec.images} has no calibration images of noise: {only}"]
    assert task.result_task().nonmember_sets("toy-a")["noise"] == (("noise",),)
    assert task.result_task().nonmember_sets("toy-a")["pooled"] == (("toy-b",),)


def test_a_rate_that_few_images_can_promise_is_added(whole: Task, images: ImageSet) -> None:
    task, notes = leave_out_missing(whole, images, limit=8)
    assert notes == ["so few calibration images allow no FPR below 11 %: results are at 20 % as well"]
    assert task.spec.fpr == (0.05, 0.2)


def test_no_member_at_all_is_an_error_that_says_what_is_there(whole: Task, images: ImageSet) -> None:
    with pytest.raises(
        UserError, match=r"no members for task toys: it needs images of toy-a, toy-b in split 'test'; it has: noise/cal"
    ):
        leave_out_missing(whole, images.filter(source="noise"))
    with pytest.raises(UserError, match=r"no non-members for toy-a: it needs some of noise, toy-b; it has: toy-a/cal"):
        leave_out_missing(whole, images.filter(source="toy-a"))
