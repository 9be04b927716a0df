"""Lines of progress with the time left, on standard error."""

from __future__ import annotations

import sys
import time


class Progress:
    """Prints a line at most every ``interval`` seconds: step, numbers, time left."""

    def __init__(self, label: str, total: int, start: int = 0, interval: float = 10.0) -> None:
        self.label, self.total, self.start, self.interval = label, total, start, interval
        self.began = self.last = time.monotonic()

    def show(self, step: int, **numbers: float) -> None:
        """Report ``step`` of the total if the interval has passed or the work is done."""
        now = time.monotonic()
        if now - self.last < self.interval and step != self.total:
            return
        self.last = now
        rate = (step - self.start) / max(now - self.began, 1e-9)
        left = (self.total - step) / rate if rate else float("nan")
        values = "  ".join(f"{key} {value:.4g}" for key, value in numbers.items())
        print(f"{self.label} {step}/{self.total}  {values}  {left / 60:.1f} min left", file=sys.stderr, flush=True)
