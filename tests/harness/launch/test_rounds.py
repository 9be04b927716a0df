"""What the submitting process makes of what stands in the folder, whoever works there."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from iarbench.errors import UserError
from iarbench.harness.launch import journal, worker
from iarbench.harness.launch.engine import Engine
from iarbench.harness.launch.journal import Journal, read_journals
from iarbench.harness.launch.order import Order, WorkPart, read_order, read_parts
from iarbench.harness.launch.rounds import GONE, PartsFailedError, carry_out
from iarbench.harness.launch.status import read_status
from iarbench.harness.launch.worker import Work, Worker

PARTS = [WorkPart(name, 10, (f"{name}.txt",)) for name in "abc"]


class Here(Engine):
    """Does parts at once, in this process; `do` is told a part and the journal."""

    def __init__(self, place: Path, do: Callable[[str, Journal], None]) -> None:
        self.place, self.do, self.given, self.closed = place, do, [], False

    def start(self, folder: Path, keys: Sequence[str]) -> int:
        self.given.append(list(keys))
        with Journal(folder) as mine:
            for key in keys:
                self.do(key, mine)
        return len(keys)

    def busy(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True

    def finish(self, key: str, mine: Journal) -> None:
        mine.begin(key)
        (self.place / f"{key}.txt").write_text("done")


def order(place: Path) -> Order:
    return Order.here(place, "run", {"what": 1}, {}, "iarbench run")


def test_a_part_that_fails_is_tried_three_times_last_and_named(tmp_path: Path) -> None:
    def do(key: str, mine: Journal) -> None:
        if key == "a":
            mine.begin(key)
            mine.fail(key, "no such luck")
        else:
            engine.finish(key, mine)

    engine = Here(tmp_path, do)
    with pytest.raises(PartsFailedError, match=r"1 parts failed 3 times.*\n  1 of them, such as a.txt: no such luck"):
        carry_out(order(tmp_path), PARTS, engine, None)
    assert engine.given == [["a", "b", "c"], ["a"], ["a"]]
    assert engine.closed
    status = read_status(order(tmp_path).folder)
    assert (status.parts_done, status.images_done, status.images, status.running) == (2, 20, 30, ())
    (failed,) = status.failed
    assert (failed.reason, failed.parts, failed.first, failed.set_aside) == ("no such luck", 1, "a.txt", 1)
    assert PartsFailedError.status == 1


def test_what_was_begun_and_never_done_goes_last(tmp_path: Path) -> None:
    def do(key: str, mine: Journal) -> None:
        if dead:
            return
        mine.begin(key)
        if key == "a" and len(engine.given) < 3:
            dead.append(key)  # and says no more: its process is gone, and with it the rest of what it was given
            return
        (tmp_path / f"{key}.txt").write_text("done")

    dead: list[str] = []

    class Dying(Here):
        def start(self, folder: Path, keys: Sequence[str]) -> int:
            dead.clear()
            return super().start(folder, keys)

    engine = Dying(tmp_path, do)
    carry_out(order(tmp_path), PARTS, engine, None)
    assert engine.given == [["a", "b", "c"], ["b", "c", "a"], ["a"]]


def test_a_part_whose_process_dies_every_time_is_set_aside(tmp_path: Path) -> None:
    engine = Here(tmp_path, lambda key, mine: mine.begin(key))
    with pytest.raises(PartsFailedError, match=f"3 of them, such as a.txt: {GONE}"):
        carry_out(order(tmp_path), PARTS, engine, None)
    assert len(engine.given) == 3


def test_processes_that_never_begin_are_not_started_for_ever(tmp_path: Path) -> None:
    engine = Here(tmp_path, lambda key, mine: None)
    with pytest.raises(UserError, match="no process began any part"):
        carry_out(order(tmp_path), PARTS, engine, None)
    assert len(engine.given) == 1


def test_a_full_disk_ends_all_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(Work):
        def do(self, key: str) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/shared/part.parquet")

    monkeypatch.setattr(worker, "open_here", lambda order, device, note: Full())

    def do(key: str, mine: Journal) -> None:
        one = Worker(order(tmp_path).folder)
        with pytest.raises(OSError, match="No space"):
            one.do([key])
        one.close()

    engine = Here(tmp_path, do)
    with pytest.raises(UserError, match=r"^/shared/part.parquet: No space left on device$"):
        carry_out(order(tmp_path), PARTS, engine, None)
    assert engine.closed


def test_what_is_there_is_not_given_out(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("done")
    engine = Here(tmp_path, lambda key, mine: engine.finish(key, mine))
    carry_out(order(tmp_path), PARTS, engine, None)
    assert engine.given == [["a", "c"]]


def test_an_order_is_read_back_and_another_version_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IARBENCH_CACHE", "/somewhere")
    monkeypatch.setenv("HF_TOKEN", "secret")
    made = order(tmp_path)
    made.write(PARTS)
    assert read_order(made.folder) == made
    assert list(read_parts(made.folder)) == PARTS
    assert made.environment["IARBENCH_CACHE"] == "/somewhere"
    assert "secret" not in (made.folder / "order.json").read_text()
    monkeypatch.setattr("iarbench.harness.launch.order.__version__", "99.0")
    with pytest.raises(UserError, match=r"asked for by iarbench .*, and this machine has 99.0; install one"):
        read_order(made.folder)


def test_half_a_line_is_nothing_and_a_silent_process_is_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Journal(tmp_path)
    mine.begin("a")
    with mine.path.open("a") as file:
        file.write('{"part": "b", "fai')
    assert read_journals(tmp_path).running == {mine.name: "a"}
    old = time.time() - journal.SILENCE - 1
    os.utime(mine.path, (old, old))
    assert read_journals(tmp_path).running == {}
    assert read_journals(tmp_path).begun == {"a": 1}
