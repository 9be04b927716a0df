"""Keeping freed memory for the next batch.

A convolution on a CPU asks for tens of megabytes and gives them back, batch after batch. glibc hands such blocks to the
system each time, which then clears every page anew: on two cores that took a third of the time of a pass.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # parameters of glibc's mallopt(3)


def keep_freed_memory() -> None:
    """Let this process hold on to freed memory; without effect where the C library knows no mallopt."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 2**26)
