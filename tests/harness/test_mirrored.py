"""The set `mirrored`: the target's own images, mirrored when they are scored, as non-members."""

from __future__ import annotations

from pathlib import Path

import pytest
from toys import Toys, run

from iarbench.cli import main
from iarbench.results.rows import read_rows
from iarbench.results.scores import load_scores
from iarbench.stats.metrics import auroc
from iarbench.stats.thresholds import Scores

ARGS = ("--detector", "quantloss", "--encoder", "original", "--target", "toy-a")


@pytest.fixture
def mirrored(toy_family: Toys, tmp_path: Path) -> Toys:
    toys = Toys(tmp_path)
    toys.task.write_text(toy_family.task.read_text() + "mirrored: true\n")
    return toys


def test_mirrored_copies_are_a_set_that_is_not_pooled(mirrored: Toys, tmp_path: Path) -> None:
    run(mirrored, tmp_path / "o", *ARGS, "--attack", "none,jpeg50")
    rows = [row for row in read_rows(tmp_path / "o" / "results.jsonl") if row.metric == "auroc"]
    assert {row.attack for row in rows} == {"none", "jpeg50"}
    found = {(row.attack, row.nonmember_set): row for row in rows}
    assert found["none", "pooled"].pools == ("noise", "other-generators")
    scores = load_scores(tmp_path / "o")
    for attack, other in (("none", "flip"), ("jpeg50", "flip+jpeg50")):
        row = found[attack, "mirrored"]
        assert (row.n_members, row.n_nonmembers) == (25, 25)
        own = scores[scores["image_id"].str.startswith("toy-a/test/")].set_index("attack")["score"]
        assert row.value == auroc(Scores.of(own[attack]), Scores.of(own[other])).value
    flipped = scores[scores["attack"].str.startswith("flip")]
    assert set(flipped["image_id"].str.split("/").str[:2].str.join("/")) == {"toy-a/test", "toy-a/calibration"}


def test_thresholds_against_mirrored_copies_come_from_mirrored_calibration_images(
    mirrored: Toys, tmp_path: Path
) -> None:
    run(mirrored, tmp_path / "o", *ARGS, "--attack", "none")
    (row,) = (
        row
        for row in read_rows(tmp_path / "o" / "results.jsonl")
        if row.nonmember_set == "mirrored" and row.threshold_kind == "matched"
    )
    scores = load_scores(tmp_path / "o").set_index("attack").loc["flip"]
    assert row.threshold == scores[scores["image_id"].str.startswith("toy-a/calibration/")]["score"].max()


def test_flip_as_an_attack_stays_one(mirrored: Toys, tmp_path: Path) -> None:
    run(mirrored, tmp_path / "o", *ARGS, "--attack", "none,flip")
    rows = read_rows(tmp_path / "o" / "results.jsonl")
    assert {row.attack for row in rows} == {"none", "flip"}
    assert all(
        row.reason is None for row in rows if row.nonmember_set == "noise" and row.threshold_kind != "guaranteed"
    )


def test_report_gives_the_same_rows(mirrored: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(mirrored, tmp_path / "o", *ARGS, "--attack", "none")
    capsys.readouterr()
    assert main(["report", str(tmp_path / "o"), "--all-sets"]) == 0
    assert "mirrored" in capsys.readouterr().out
