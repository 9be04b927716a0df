"""`--launch ray`: actors of a Ray cluster (extra `iarbench[ray]`); each keeps its models and takes many parts.

Ray Core alone: Ray Data would move every image through its object store. A lost node costs the parts it held; another
actor takes them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from iarbench.errors import UserError
from iarbench.extras import optional
from iarbench.harness.launch.hands import Hand, Hands, WorkerDiedError

WAIT = 1.0
"""Seconds between two looks whether an actor has found a place, or is still wanted."""


class RayActors(Hands):
    """Actors on the cluster at `address`, "auto" for the one that this machine belongs to.

    `count`: None takes one a GPU of the cluster, or one a core where it has none. `device`: "cpu" leaves GPUs alone.
    """

    def __init__(self, count: int | None, address: str, device: str) -> None:
        ray = optional("ray", "--launch ray")
        self._ray: Any = ray
        try:
            ray.init(address, ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"--launch ray: no cluster at {address!r} ({reason}); `ray start --head` begins one"
            ) from None
        there = ray.cluster_resources()
        gpus = 0 if device == "cpu" else int(there.get("GPU", 0))
        super().__init__(count or gpus or int(there.get("CPU", 1)), self._hire_actor)
        self._kind: Any = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0)(_Actor)

    def close(self) -> None:
        super().close()
        self._ray.shutdown()

    def _hire_actor(self, folder: Path, number: int, wanted: Callable[[], bool]) -> Hand | None:
        ray: Any = self._ray
        actor: Any = self._kind.remote()
        opened = actor.open.remote(str(folder))
        while not ray.wait([opened], timeout=WAIT)[0]:
            if not wanted():
                ray.kill(actor)
                return None
        hand = _Hired(ray, actor)
        hand.answer(opened)
        return hand


class _Hired(Hand):
    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor

    def do(self, keys: Sequence[str]) -> None:
        self.answer(self._actor.do.remote(list(keys)))

    def answer(self, asked: Any) -> None:
        """Wait for what the actor was asked; raises as `do`."""
        try:
            trouble = self._ray.get(asked)
        except self._ray.exceptions.RayError:
            raise WorkerDiedError from None
        if trouble is not None:
            raise UserError(trouble)

    def dismiss(self, *, at_once: bool) -> None:
        if not at_once:
            with suppress(self._ray.exceptions.RayError):
                self._ray.get(self._actor.close.remote(), timeout=10)
        self._ray.kill(self._actor)


class _Actor:
    """What runs on the cluster; what goes wrong comes back as a line."""

    def open(self, folder: str) -> str | None:
        from iarbench.harness.launch.worker import Worker, one_line

        try:
            self._worker = Worker(Path(folder))
        except Exception as error:
            return one_line(error)
        return None

    def do(self, keys: Sequence[str]) -> str | None:
        from iarbench.harness.launch.worker import one_line

        try:
            self._worker.do(keys)
        except Exception as error:
            return one_line(error)
        return None

    def close(self) -> None:
        self._worker.close()
