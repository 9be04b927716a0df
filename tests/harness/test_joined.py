from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toys import Toys, run

from iarbench.harness import scoring
from iarbench.harness.batches import pieces
from iarbench.harness.joined import asks, images, joined
from iarbench.harness.plan import Job, Settings
from iarbench.harness.run import prepare
from iarbench.task import Task


@pytest.fixture
def jobs(toy_family: Toys) -> list[Job]:
    """Three images of each source and split, at two targets, under two attacks."""
    return list(prepare(Task.load(str(toy_family.task)), Settings(limit=3)).jobs)


def test_jobs_that_ask_the_same_share_batches_and_none_is_lost(jobs: list[Job]) -> None:
    groups = joined(jobs, piece=16, threads=1)
    assert sorted(map(id, jobs)) == sorted(id(job) for group in groups for job in group)
    assert len(groups) < len(jobs)
    for group in groups:
        assert len({job.attack for job in group}) == 1
        assert len({tuple(map(asks, job.cells)) for job in group}) == 1
        assert images(group) <= max(16, sum(len(job.chunk) for job in jobs) // 2)


def test_large_jobs_stay_alone_and_every_thread_gets_some(jobs: list[Job]) -> None:
    assert [len(group) for group in joined(jobs, piece=1, threads=1000)] == [1] * len(jobs)
    most = max(map(images, joined(jobs, piece=8, threads=2)))
    assert 3 < most <= max(8, sum(len(job.chunk) for job in jobs) // 4)


def test_a_quick_look_fills_its_batches_and_scores_as_ever(
    toy_family: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ("--limit", "3", "--detector", "quantloss,encloss")
    alone = run(toy_family, tmp_path / "alone", *args, "--workers", "1")
    counts: list[int] = []

    def noted(*given: Any) -> Iterator[tuple[np.ndarray, int]]:
        for piece, count in pieces(*given):
            counts.append(count)
            yield piece, count

    monkeypatch.setattr(scoring, "pieces", noted)
    pd.testing.assert_series_equal(run(toy_family, tmp_path / "together", *args), alone, check_exact=True)
    assert sum(counts) == 36  # three of each of three sources and two splits, under two attacks
    assert max(counts) > 3
    assert len(counts) < 12
