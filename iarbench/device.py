"""Where the models compute and with how many bits: --device and --precision of every command."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from iarbench.errors import UserError

Precision = Literal["float32", "bfloat16"]
"""Of encoder and decoder; the quantiser and everything that detectors compute stay in float32."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def check_device(name: str) -> None:
    """See that a device is there; torch is imported only for one that may be missing.

    Raises:
        UserError: it is none of auto, cpu, cuda, cuda:N and mps, or this machine has no such device.
    """
    if name in ("auto", "cpu"):
        return
    kind, _, number = name.partition(":")
    if kind not in ("cuda", "mps") or (":" in name and (kind == "mps" or not (number.isascii() and number.isdigit()))):
        raise UserError(f"--device {name}: unknown device; choose auto, cpu, cuda, cuda:N or mps")
    import torch

    if kind == "mps":
        if not torch.backends.mps.is_available():
            raise UserError("--device mps: torch finds no Apple GPU here; choose auto or cpu")
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise UserError(f"--device {name}: torch finds no CUDA device here; choose auto or cpu")
    if int(number or 0) >= count:
        raise UserError(f"--device {name}: torch finds {count} CUDA device(s) here, the last is cuda:{count - 1}")


@contextmanager
def enough_memory(advice: str) -> Iterator[None]:
    """A GPU whose memory runs out meanwhile is a UserError that ends with ``advice``."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError:
        raise UserError(f"the GPU has too little memory {advice}") from None


class AtOnce:
    """How many images go through a model at once; where a GPU has too little memory for them, half as many, once.

    `size`: at first. `option`: of the command, that sets it.
    """

    def __init__(self, size: int, option: str | None = "--batch-size") -> None:
        self.size, self._option, self._halved = size, option, False

    def halve(self, note: Callable[[str], object]) -> None:
        """After the GPU's memory ran out; `note` is told.

        Raises:
            UserError: it was halved before, or it is one image.
        """
        import torch

        lack = f"the GPU has too little memory for {f'batches of {self.size}' if self.size > 1 else 'one image'}"
        if self._halved or self.size == 1:
            advice = f"; repeat with {self._option} {self.size // 4 or 1}" if self._option and self.size > 1 else ""
            raise UserError(lack + advice)
        self.size, self._halved = self.size // 2, True
        torch.cuda.empty_cache()
        note(f"{lack}; going on with {self.size}")


def resolve_device(name: str) -> str:
    """The device a name stands for: auto is the first CUDA device, or the CPU where there is none.

    An Apple GPU is used only when asked for: it has no float64, which the token search needs.

    Raises:
        UserError: as `check_device`.
    """
    check_device(name)
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
