from __future__ import annotations

import io

import pytest

from iarbench import progress
from iarbench.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_plain_lines_come_now_and_then(clock: list[float]) -> None:
    stream = io.StringIO()
    with Progress("scoring", 1000, stream=stream) as bar:
        for _ in range(10):
            clock[0] += 1
            bar.advance(100)
    assert stream.getvalue().splitlines() == [
        "scoring 500/1000 images  100 images/s  5 s left",
        "scoring 1000/1000 images  100 images/s  0 s left",
    ]


def test_where_only_the_time_is_known(clock: list[float]) -> None:
    stream = io.StringIO()
    with Progress("training", None, unit="steps", stream=stream) as bar:
        for step in range(1, 5):
            clock[0] += 3
            bar.show(step, left=12.0 - clock[0], loss=0.5)
    assert stream.getvalue().splitlines() == [
        "training 2 steps  loss 0.5  0.33 steps/s  6 s left",
        "training 4 steps  loss 0.5  0.33 steps/s  0 s left",
    ]


def test_a_terminal_has_one_line_that_renews_itself(clock: list[float]) -> None:
    stream = Terminal()
    with Progress("scoring", 4000, stream=stream) as bar:
        for _ in range(4):
            clock[0] += 1
            bar.advance(1000)
    assert stream.getvalue().count("\r") == 4
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().split("\r")[1] == "scoring 1000/4000 images  1,000 images/s  3 s left"


def test_quiet_writes_nothing(clock: list[float]) -> None:
    with Progress("scoring", 1, stream=None) as bar:
        bar.advance(1)
    assert bar.done == 1


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")])
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text
