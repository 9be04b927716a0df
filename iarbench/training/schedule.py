"""The loop that all trainings share: how far one is, its learning rate, its progress line and its checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from iarbench.progress import Progress
from iarbench.training.checkpoint import resume, save_atomically, snapshot

#: fraction of a training in which its learning rate rises
WARM_UP = 0.03


def cosine(fraction: float) -> float:
    """Factor on the learning rate after a ``fraction`` of the training: linear warm-up, then half a cosine to 2 %."""
    if fraction < WARM_UP:
        return max(fraction / WARM_UP, 0.01)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (fraction - WARM_UP) / (1 - WARM_UP)))


class Phase:
    """One phase of a training, iterated over once a batch; the same phase continues from the checkpoint ``state``.

    It ends after ``steps`` batches or, where ``seconds`` is given, when so much time has been spent on it, all runs
    together: what a schedule says is then said of the time.

    Args:
        name: what the progress line calls it.
        recipe: dataclass with its numbers.
        about: what it is trained on, by name: a checkpoint of another recipe or other things is refused.
        parts: what is trained and remembered: modules, optimizers, and dicts of plain values, which are updated.
        every: batches between two checkpoints.
    """

    def __init__(
        self,
        name: str,
        recipe: Any,
        state: Path,
        *parts: Any,
        about: Mapping[str, Any],
        steps: int,
        seconds: float | None,
        every: int = 200,
    ) -> None:
        self.step = 0
        self._identity, self._state, self._parts, self._every = {**asdict(recipe), **about}, state, parts, every
        self._steps, self._seconds = steps, seconds
        self._spent = {"seconds": 0.0}
        self.step = resume(state, self._identity, self._spent, *parts)
        self._progress = Progress(name, None if seconds else steps, self.step, unit="steps")
        self._numbers: dict[str, float] = {}

    @property
    def fraction(self) -> float:
        """How much of the phase is over, 0 to 1."""
        done = self._spent["seconds"] / self._seconds if self._seconds else self.step / max(self._steps, 1)
        return min(done, 1.0)

    def report(self, **numbers: float) -> None:
        """Numbers of this batch for the progress line."""
        self._numbers = numbers

    def __iter__(self) -> Iterator[int]:
        """Number of each batch that is left, from 0."""
        began = time.monotonic() - self._spent["seconds"]
        while self.fraction < 1:
            yield self.step
            self.step += 1
            self._spent["seconds"] = time.monotonic() - began
            left = max(self._seconds - self._spent["seconds"], 0.0) if self._seconds else None
            self._progress.show(self.step, left=left, **self._numbers)
            if self.step % self._every == 0 or self.fraction >= 1:
                save_atomically(snapshot(self.step, self._identity, self._spent, *self._parts), self._state)
