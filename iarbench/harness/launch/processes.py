"""`--launch local`: one process a GPU, or on a CPU several of one thread each."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from iarbench.device import cores
from iarbench.errors import UserError
from iarbench.harness.children import end_with_parent
from iarbench.harness.launch.hands import Hand, Hands, WorkerDiedError


class Processes(Hands):
    """Processes of this machine. `device`: "cuda" and "auto" give every process a GPU of its own, where there is one.

    `count`: None takes one a GPU, or one a core.
    """

    def __init__(self, count: int | None, device: str) -> None:
        devices = _devices(device)
        super().__init__(count or (len(devices) if devices != ["cpu"] else cores()), self._spawn)
        self._devices = devices

    def _spawn(self, folder: Path, number: int, wanted: Callable[[], bool]) -> Hand:
        return _Process(folder, self._devices[number % len(self._devices)])


class _Process(Hand):
    def __init__(self, folder: Path, device: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(folder, device, theirs))
        self._process.start()
        theirs.close()

    def do(self, keys: Sequence[str]) -> None:
        try:
            self._pipe.send(list(keys))
            trouble = self._pipe.recv()
        except (EOFError, OSError):
            raise WorkerDiedError from None
        if trouble is not None:
            raise UserError(trouble)

    def dismiss(self, *, at_once: bool) -> None:
        self._pipe.close()
        if at_once:
            self._process.kill()
        self._process.join()


def _serve(folder: Path, device: str, pipe: Connection) -> None:
    """What such a process does: parts as they come, until the pipe is closed; what ends all goes back as a line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone decides
    end_with_parent()
    if device == "cpu":
        os.environ["OMP_NUM_THREADS"] = "1"
    from iarbench.harness.launch.worker import Worker, one_line

    worker: Worker | None = None
    while True:
        try:
            keys = pipe.recv()
        except (EOFError, OSError):
            break
        try:
            worker = worker or Worker(folder, device)
            worker.do(keys)
        except Exception as error:
            pipe.send(one_line(error))
            break
        pipe.send(None)
    if worker is not None:
        worker.close()


def _devices(device: str) -> list[str]:
    if device not in ("auto", "cuda"):
        return [device]
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [f"cuda:{number}" for number in range(count)] or ["cpu"]
