from __future__ import annotations

import io

import pytest

from iarbench import progress
from iarbench.progress import Progress, counted, duration, shown_on


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress, "EVERY", 5.0)  # elsewhere tests see no lines between
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


def work(clock: list[float], seconds: float, count: int = 4) -> list[int]:
    done = []
    for item in counted(range(count), "hashing", count, "files"):
        clock[0] += seconds
        done.append(item)
    return done


def test_long_work_is_counted_where_a_command_shows_it(clock: list[float]) -> None:
    stream = io.StringIO()
    assert work(clock, 3) == [0, 1, 2, 3]
    with shown_on(stream):
        assert work(clock, 1) == [0, 1, 2, 3]  # soon over
        assert stream.getvalue() == ""
        work(clock, 3)
    work(clock, 3)
    assert stream.getvalue().splitlines() == [
        "hashing 2/4 files  0.33 files/s  6 s left",
        "hashing 4/4 files  0.33 files/s  0 s left",
    ]


def test_work_within_work_is_a_sign_of_life(clock: list[float]) -> None:
    stream = io.StringIO()
    with shown_on(stream):
        for _ in counted(range(2), "learning", 2, "detectors"):
            work(clock, 3)
        work(clock, 6, 1)
    assert stream.getvalue().splitlines() == [
        "learning 0/2 detectors  0 detectors/s  unknown left",
        "learning 0/2 detectors  0 detectors/s  unknown left",
        "learning 1/2 detectors  0.056 detectors/s  18 s left",
        "learning 1/2 detectors  0.042 detectors/s  24 s left",
        "learning 2/2 detectors  0.083 detectors/s  0 s left",
        "hashing 1/1 files  0.17 files/s  0 s left",
    ]


def test_what_breaks_off_is_no_longer_under_way(clock: list[float]) -> None:
    stream = io.StringIO()
    with shown_on(stream):
        for _ in counted(range(2), "learning", 2, "detectors"):
            break
        work(clock, 6, 1)
    assert stream.getvalue().splitlines() == ["hashing 1/1 files  0.17 files/s  0 s left"]
