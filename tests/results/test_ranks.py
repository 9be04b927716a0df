from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import run_folder

from iarbench.errors import UserError
from iarbench.results.compute import Cell, cells_of, compute_rows
from iarbench.results.detections import Detections, detections, usual_rate
from iarbench.results.ranks import NOT_ALL, ranking
from iarbench.results.standing_tables import of_ranks

TASK = run_folder.task(fprs=(0.01, 0.05))
SHIFTS = {"good": 4.0, "fair": 2.6, "bad": 1.0}


@pytest.fixture(scope="module")
def images() -> pd.DataFrame:
    return run_folder.index(400)


def cells(images: pd.DataFrame, attacks: dict[str, tuple[str, ...]] | None = None) -> list[Cell]:
    found = []
    for seed, (name, shift) in enumerate(SHIFTS.items()):
        under = (attacks or {}).get(name, ("none", "jpeg50"))
        scores = run_folder.run(images, under, shift=shift, seed=seed)
        named = scores.assign(detector=name, score_name=name, main_score=name)
        found += list(cells_of(named, images, TASK))
    return found


@pytest.fixture(scope="module")
def found(images: pd.DataFrame) -> Detections:
    there, refused = detections(cells(images), 0.05)
    assert refused == {}
    return there


def test_values_are_those_of_the_rows(images: pd.DataFrame, found: Detections) -> None:
    rows = compute_rows(run_folder.run(images, shift=4.0, seed=0), images, TASK)
    for row in rows:
        if (row.nonmember_set, row.threshold_kind, row.fpr_nominal) == ("pooled", "matched", 0.05):
            (one,) = (
                x for (key, place), x in found.items() if key[0] == "good" and place[1:] == (row.attack, row.target)
            )
            assert (one.value, one.fingerprint) == (row.value, row.images_fingerprint)
            assert one.draws is not None
            assert np.quantile(one.draws, 0.01) <= one.value <= np.quantile(one.draws, 0.99)


def test_detectors_far_apart_have_their_ranks_and_narrow_intervals(found: Detections) -> None:
    ranked = ranking(found)
    assert [key[0] for key in ranked.standings] == ["good", "fair", "bad"]
    assert ranked.places == tuple(
        ("tiny", attack, target) for attack in ("none", "jpeg50") for target in run_folder.GENERATORS
    )
    for number, one in enumerate(ranked.standings.values(), start=1):
        assert (one.rank, one.low, one.high) == (number, number, number)
    table = of_ranks(ranked, 0.05)
    assert table.grid[0] == ["detector", "encoder", "mean rank", "mean TPR@5%"]
    assert table.grid[1][:3] == ["good", "original", "1.00 [1.0, 1.0]"]
    assert [record["cells"] for record in table.records] == [4, 4, 4]
    assert table.notes[0].startswith("Mean rank among 3 (1 = best, equal TPRs share a rank) over 4 cells: tiny; none, ")


def test_who_lacks_what_most_have_is_not_ranked_and_a_rare_attack_does_not_count(images: pd.DataFrame) -> None:
    attacks = {"good": ("none", "jpeg50", "jpeg10"), "bad": ("none",)}
    ranked = ranking(detections(cells(images, attacks), 0.05)[0])
    assert {place[1] for place in ranked.places} == {"none", "jpeg50"}
    good, fair, bad = (ranked.standings[key] for key in sorted(ranked.standings, key=lambda key: -SHIFTS[key[0]]))
    assert (good.rank, fair.rank) == (1.0, 2.0)
    assert (bad.rank, bad.reason) == (None, NOT_ALL)


def test_other_images_are_not_ranked_beside(images: pd.DataFrame) -> None:
    part = images[images["image_id"].str[-4:].astype(int) < 200]
    scores = run_folder.run(part, seed=5).assign(detector="part", score_name="part", main_score="part")
    other = list(cells_of(scores, part, TASK))
    ranked = ranking(detections([*cells(images), *other], 0.05)[0])
    by_name = {key[0]: one for key, one in ranked.standings.items()}
    assert by_name["part"].reason == "stands on other images"
    assert by_name["good"].rank == 1.0


def test_too_few_images_for_resamples_leave_the_rank_without_interval() -> None:
    small = run_folder.index(40)  # 10 photographs
    ranked = ranking(detections(cells(small), 0.05)[0])
    assert sum(one.rank or 0.0 for one in ranked.standings.values()) == 6
    assert {one.low for one in ranked.standings.values()} == {None}
    assert (
        "too few independent calibration images to draw a threshold at FPR 5% anew" in of_ranks(ranked, 0.05).notes[-1]
    )


def test_the_rate_is_one_that_every_task_has(images: pd.DataFrame) -> None:
    every = cells(images)
    assert usual_rate(every) == 0.01
    assert usual_rate(every, 0.05) == 0.05
    with pytest.raises(UserError, match=r"no results at FPR 0\.1; there are: 0\.01, 0\.05"):
        usual_rate(every, 0.1)
    few = run_folder.index(60)
    assert usual_rate(list(cells_of(run_folder.run(few), few, TASK))) == 0.05  # 1% takes 99 images
    for cell in every:
        if cell.target == "beta-mini" and cell.identity["detector"] == "bad":
            first = cell
    assert detections([first, first], 0.05)[0].keys() == detections([first], 0.05)[0].keys()
