from __future__ import annotations

import pytest

from iarbench.errors import UserError
from iarbench.specs import parse_task
from iarbench.task import Task

TEXT = """\
name: three
version: 1
targets: [a, b]
images: x
real: [photos]
attacks: [none, jpeg50]
detectors: [quantloss]
"""


def task(**changes: object) -> Task:
    spec = parse_task(TEXT, "three.yaml")
    return Task(spec, TEXT, spec.targets).narrowed(**changes)  # type: ignore[arg-type]


def needed(task: Task, target: str, attack: str) -> set[str]:
    pairs = [(source, split) for source in ("a", "b", "photos", "cats") for split in ("test", "calibration", "train")]
    return {f"{source}/{split}" for source, split in pairs if task.needs(target, source, split, attack)}


OTHERS = {"b/test", "b/calibration", "photos/test", "photos/calibration"}


def test_both_sides_are_needed_under_every_attack() -> None:
    assert needed(task(), "a", "none") == needed(task(), "a", "jpeg50") == {"a/test", *OTHERS}


def test_the_other_generators_count_even_when_only_one_is_under_test() -> None:
    assert needed(task(targets=["a"]), "a", "none") == {"a/test", *OTHERS}


def test_only_the_attacked_side_is_needed_under_an_attack() -> None:
    members = task(attacked="members")
    assert needed(members, "a", "jpeg50") == {"a/test"}
    assert needed(members, "a", "none") == {"a/test", *OTHERS}
    assert needed(task(attacked="nonmembers"), "a", "jpeg50") == OTHERS


def test_clean_scores_are_added_where_one_side_stays_clean() -> None:
    assert task(attacked="members").attacks_for(["jpeg50"]) == ["none", "jpeg50"]
    assert task().attacks_for(["jpeg50", "jpeg50"]) == ["jpeg50"]


def test_a_value_from_the_command_line_is_checked_like_the_file() -> None:
    with pytest.raises(UserError, match="command line: unknown encoder 'reverse': did you mean 'inverse'"):
        task(encoders=["reverse"])
    assert task(detectors=[]).spec.detectors == ("quantloss",)


def test_a_task_comes_back_from_its_manifest() -> None:
    narrowed = task(targets=["a"], attacks=["jpeg60"])
    back = Task.restore(narrowed.record())
    assert back == narrowed
    assert back.sha256 == task().sha256


def test_results_know_all_sets() -> None:
    found = task(targets=["a"]).result_task()
    assert list(found.nonmember_sets("a")) == ["photos", "other-generators", "pooled", "b"]


def test_generators_with_one_tokenizer_are_a_set_of_their_own_but_not_pooled() -> None:
    found = task(targets=["var-d16", "var-d20", "rar-b"])
    assert found.siblings == {"var-d16": ("var-d20",), "var-d20": ("var-d16",)}
    sets = found.result_task().nonmember_sets("var-d16")
    assert {"photos", "var-d20", "rar-b"} <= sets.keys()
    assert sets["other-generators"] == (("a", "b", "rar-b"),)
    assert sets["pooled"] == (("photos",), ("a", "b", "rar-b"))
    assert Task.restore(found.record()).siblings == found.siblings


def test_photographs_weigh_as_much_as_all_other_generators_together() -> None:
    sets = task(targets=["llamagen-b-256", "rar-b", "taming-cin"]).result_task().nonmember_sets("rar-b")
    assert sets["pooled"] == (("photos",), ("a", "b", "llamagen-b-256", "taming-cin"))
