"""Threads that wait for workers are over before their engine is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from iarbench.harness.launch.hands import Hand, Hands


def test_closing_waits_for_who_still_looks_for_a_place(tmp_path: Path) -> None:
    """As on a cluster without room: a worker is asked for, and whether it is still wanted is looked at now and then."""
    asked, ended = threading.Event(), threading.Event()

    def hire(folder: Path, number: int, wanted: Callable[[], bool]) -> Hand | None:
        asked.set()
        while wanted():
            time.sleep(0.05)
        time.sleep(0.3)  # one more question to the engine
        ended.set()
        return None

    hands = Hands(1, hire)
    hands.start(tmp_path, ["a", "b"])
    assert asked.wait(10)
    hands.close()
    assert ended.is_set()
    assert not hands.busy()
