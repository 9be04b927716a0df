"""One process at work on an order: it opens it once, keeps its models, and does parts by key."""

from __future__ import annotations

import errno
import importlib
import os
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from iarbench.errors import UserError
from iarbench.harness.launch.journal import Journal
from iarbench.harness.launch.order import Order, read_order

KINDS = {
    "run": "iarbench.harness.launch.run_work:open_work",
    "generate": "iarbench.harness.launch.generate_work:open_work",
    "finetune": "iarbench.harness.launch.finetune_work:open_work",
    "trace": "iarbench.harness.launch.trace_work:open_work",
    "attack": "iarbench.harness.launch.attack_work:open_work",
    "import": "iarbench.harness.launch.import_work:open_work",
}
"""Kind of an order -> what opens it in a process."""

NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What the machine says of a shared folder that takes nothing more: no part could be stored."""


class Work(ABC):
    """An order opened: models loaded, images at hand."""

    advance: Callable[[int], object] = staticmethod(lambda images: None)
    """Is told how many more images of a part are done, for a line of progress."""

    @abstractmethod
    def do(self, key: str) -> None:
        """Do one part, unless it is there. Raises whatever went wrong; UserError where that is one line."""


Opener = Callable[[Order, str | None, Callable[[str], None]], Work]
"""From an order, a device in place of the one asked for, and what takes notes for the user."""


class Worker:
    """Does parts of one order in this process."""

    def __init__(self, folder: Path, device: str | None = None) -> None:
        """`device`: in place of the one that was asked for, where this process has its own.

        Raises:
            UserError: the order cannot be read or opened.
        """
        self.order = read_order(folder)
        os.environ.update(self.order.environment)
        os.chdir(self.order.directory)
        self.journal = Journal(folder)
        try:
            self.work = open_here(self.order, device, self.journal.note)
        except Exception as error:
            self.journal.stop(one_line(error))
            raise

    def do(self, keys: Sequence[str]) -> None:
        """Do every part; one that fails is written down, and the others go on.

        Raises:
            OSError: nothing can be written any more.
        """
        for key in keys:
            self.journal.begin(key)
            try:
                self.work.do(key)
            except Exception as error:
                if isinstance(error, OSError) and error.errno in NOT_WRITABLE:
                    self.journal.stop(one_line(error))
                    raise
                if not isinstance(error, UserError):
                    traceback.print_exc()
                self.journal.fail(key, one_line(error))

    def close(self) -> None:
        """Say that this process ends."""
        self.journal.__exit__()


def open_here(order: Order, device: str | None, note: Callable[[str], None]) -> Work:
    """An order opened in this process. Raises whatever goes wrong."""
    module, _, name = KINDS[order.kind].partition(":")
    opener: Opener = getattr(importlib.import_module(module), name)
    return opener(order, device, note)


def one_line(error: BaseException) -> str:
    """What went wrong, as a line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'system'}: {error.strerror}"
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"


def work(folder: str, keys: Sequence[str]) -> None:
    """Do these parts of the order in a folder, in this process, from beginning to end."""
    worker = Worker(Path(folder))
    try:
        worker.do(keys)
    finally:
        worker.close()
