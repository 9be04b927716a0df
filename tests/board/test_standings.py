"""Mean ranks of the page are those of `iarbench report --ranks`, from the scores behind the stored rows."""

from __future__ import annotations

import dataclasses

import pytest
import run_folder
from board_rows import row

from iarbench.board.data import group_data
from iarbench.board.gather import Batch
from iarbench.board.groups import groups_of
from iarbench.board.overall import overall_data
from iarbench.board.standings import Standings, standings_of
from iarbench.results.compute import Cell, cells_of
from iarbench.results.detections import detections
from iarbench.results.ranks import ranking
from iarbench.results.standing_tables import rank_text

TASK = run_folder.task(fprs=(0.05,))


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    images = run_folder.index(400)
    return [
        cell
        for seed, (name, shift) in enumerate({"good": 4.0, "fair": 2.6}.items())
        for cell in cells_of(run_folder.run(images, shift=shift, seed=seed, name=name), images, TASK)
    ]


@pytest.fixture(scope="module")
def stored(cells: list[Cell]) -> Batch:
    return Batch(tuple(row for cell in cells for row in cell.rows()), cells=lambda: cells)


def standings(*batches: Batch) -> list[Standings]:
    return standings_of(groups_of(batches), batches)


def test_they_are_those_of_the_report(stored: Batch, cells: list[Cell]) -> None:
    (found,) = standings(stored)
    report = ranking(detections(cells, 0.05)[0]).standings
    assert found.overall("pooled", 0.05) == report
    assert [(one.rank, one.low, one.high) for one in report.values()] == [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0)]
    clean = ranking({where: one for where, one in detections(cells, 0.05)[0].items() if where[1][1] == "none"})
    assert found.under("none", "pooled", 0.05) == clean.standings
    data = group_data(found)
    names = [entry["detector"] for entry in data["entries"]]
    shown = {names[line[0]]: line[6][0] for line in data["ranking"]["0/0/0"]}
    assert shown == {key[0]: rank_text(one) for key, one in clean.standings.items()}
    assert [names[line[0]] for line in data["overall"]["0/0"]] == ["good", "fair"]


def test_changed_rows_and_rows_alone_have_ranks_without_intervals(stored: Batch) -> None:
    first = next(n for n, one in enumerate(stored.rows) if one.primary)
    changed = (*stored.rows[:first], stored.rows[first].model_copy(update={"value": 0.5}), *stored.rows[first + 1 :])
    for batch in (dataclasses.replace(stored, rows=changed), dataclasses.replace(stored, cells=None)):
        (found,) = standings(batch)
        ranks = found.overall("pooled", 0.05)
        assert {one.low for one in ranks.values()} == {None}
        assert sum(one.rank for one in ranks.values() if one.rank) == pytest.approx(3)
    (found,) = standings(stored)
    assert {one.low for one in found.overall("real", 0.05).values()} == {None}  # only pooled is resampled


def test_areas_stand_for_kinds_at_several_strengths() -> None:
    values = {"none": 1.0, "jpeg75": 0.8, "jpeg50": 0.2, "noise0.1": 0.5}
    rows = tuple(
        row(attack=attack, target=target, value=value - less)
        for attack, value in values.items() for target, less in (("a", 0.0), ("b", 0.1))
    )  # fmt: skip
    (found,) = standings(Batch(rows))
    data = overall_data(found, {found.group.entries[0].key: 0})
    assert data["swept"] == ["jpeg"]
    ((entry, rank, mean, ((worst, target, average),)),) = data["overall"]["0/0"]
    assert (entry, rank[0], mean[0]) == (0, "1.00", "57.5")
    assert (worst[0], target, average[1]) == ("60.0 [50.0, 70.0]", "b", 65.0)


def test_an_auroc_task_is_ranked_by_its_values() -> None:
    fixed = {"metric": "auroc", "fpr_nominal": None, "threshold_kind": None, "threshold": None}
    (found,) = standings(Batch((row(value=0.9, **fixed), row(value=0.8, detector="b", **fixed))))
    assert [one.rank for one in found.overall("pooled", None).values()] == [1.0, 2.0]
