"""Several workers that are handed a few parts at a time, so that none waits long for another at the end."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from iarbench.harness.launch.engine import ATTEMPTS, Engine
from iarbench.harness.launch.journal import read_journals

AT_MOST = 20
"""Parts that are handed over at once; all of them may have to be handed over again when a worker dies."""

PATIENCE = 15.0
"""Seconds that closing waits for the threads; longer than any of them takes once it knows."""


class WorkerDiedError(Exception):
    """A worker process is gone, and with it whatever it was doing."""


class Hand(ABC):
    """One worker, wherever it is."""

    @abstractmethod
    def do(self, keys: Sequence[str]) -> None:
        """Have parts done. Raises WorkerDiedError, or UserError when nobody can go on."""

    @abstractmethod
    def dismiss(self, *, at_once: bool) -> None:
        """End it, in the middle of a part if `at_once`."""


Hire = Callable[[Path, int, Callable[[], bool]], Hand | None]
"""From a folder, the worker's number, and whether it is still wanted: a worker, or None when it came too late."""


class Hands(Engine):
    """Workers that `hire` gives, one thread of ours waiting for each."""

    def __init__(self, count: int, hire: Hire) -> None:
        self.count, self._hire = count, hire
        self._queue: deque[list[str]] = deque()
        self._threads: list[threading.Thread] = []
        self._hands: set[Hand] = set()
        self._error: BaseException | None = None
        self._closed = False
        self._since = time.time()

    def start(self, folder: Path, keys: Sequence[str]) -> int:
        size = max(1, min(AT_MOST, len(keys) // (4 * self.count)))
        self._queue.extend(list(keys[start : start + size]) for start in range(0, len(keys), size))
        count = min(self.count, len(self._queue))
        self._threads = [threading.Thread(target=self._serve, args=(folder, n), daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()
        return len(keys)

    def busy(self) -> bool:
        if self._error is not None:
            raise self._error
        return any(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        self._closed = True
        self._queue.clear()
        for hand in list(self._hands):
            hand.dismiss(at_once=True)
        # A thread may still look for a place for its worker: it must not ask an engine that is shut down meanwhile.
        last = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, last - time.monotonic()))

    def _serve(self, folder: Path, number: int) -> None:
        hand: Hand | None = None
        lost = 0
        try:
            while self._queue and not self._closed and lost < ATTEMPTS:
                keys: list[str] = []
                try:
                    hand = hand or self._hire(folder, number, lambda: bool(self._queue) and not self._closed)
                    if hand is None:
                        return
                    self._hands.add(hand)
                    keys = self._queue.popleft()
                    hand.do(keys)
                except WorkerDiedError:
                    lost += not keys  # it died before it took anything
                    self._hands.discard(hand)
                    hand = None
                    self._put_back(folder, keys)
        except IndexError:  # another one took the last
            pass
        except BaseException as error:
            self._error = error
            self._queue.clear()
        finally:
            if hand is not None:
                self._hands.discard(hand)
                hand.dismiss(at_once=self._closed)

    def _put_back(self, folder: Path, keys: Sequence[str]) -> None:
        """Hand over again what a dead worker had, one by one and last what it had begun: that may be what killed it."""
        if self._closed:
            return
        begun = read_journals(folder, self._since).begun
        ours = [key for key in keys if begun.get(key, 0) < ATTEMPTS]
        self._queue.extend([key] for key in sorted(ours, key=lambda key: begun.get(key, 0)))
