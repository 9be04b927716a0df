"""How far a training is, by batches and by the clock, and that a stopped one resumes with the time that is left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from iarbench.errors import UserError
from iarbench.training import schedule
from iarbench.training.schedule import Phase, cosine


@dataclass(frozen=True)
class Numbers:
    """A recipe."""

    seed: int = 0


def test_the_learning_rate_rises_and_falls() -> None:
    assert cosine(0.0) == 0.01
    assert cosine(0.015) == 0.5
    assert cosine(0.03) == 1.0
    assert cosine(1.0) == pytest.approx(0.02)


def test_by_batches(tmp_path: Path) -> None:
    phase = Phase("x", Numbers(), tmp_path / "x.pt", about={}, steps=4, seconds=None)
    assert [(step, phase.fraction) for step in phase] == [(0, 0.0), (1, 0.25), (2, 0.5), (3, 0.75)]
    assert (phase.step, phase.fraction) == (4, 1.0)


def test_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(schedule.time, "monotonic", lambda: now[0])

    def run(stop_after: int | None = None) -> list[float]:
        found = []
        phase = Phase("x", Numbers(), tmp_path / "x.pt", about={}, steps=1, seconds=8.0, every=2)
        for _ in phase:
            found.append(phase.fraction)
            if len(found) == stop_after:
                break
            now[0] += 2.0
        return found

    assert run(stop_after=3) == [0.0, 0.25, 0.5]  # the checkpoint is that of the second batch
    now[0] += 1000.0  # time between two runs is not training
    assert run() == [0.5, 0.75]
    assert run() == []


def test_another_recipe_or_subject_is_refused(tmp_path: Path) -> None:
    assert len(list(Phase("x", Numbers(), tmp_path / "x.pt", about={"images": 8}, steps=3, seconds=None))) == 3
    with pytest.raises(UserError, match=r"differs in seed \(0, now 1\), images \(8, now 9\);"):
        Phase("x", Numbers(seed=1), tmp_path / "x.pt", about={"images": 9}, steps=3, seconds=None)
