"""A first look at few images: jobs that share their batches, and each with batches of its own.

    python benchmarks/bench_quick_look.py

On a CPU a batch is filled up to 16 images of 64 pixels, so that no score depends on what it is scored with.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from typing import Any

from common import keep

from iarbench.cli import main as iarbench
from iarbench.harness import execute
from iarbench.harness.joined import joined

LIMITS = (4, 20)
LINE = "run --detector quantloss,reconstruction --target var-mini,rar-mini --encoder inverse --device cpu --quiet"


def alone(jobs: Any, piece: int, threads: int) -> list[list[Any]]:
    """Every job for itself."""
    return [[job] for job in jobs]


def seconds(limit: int, grouping: Callable[..., list[list[Any]]]) -> float:
    """How long a run of the first `limit` images of each source and split takes: the better one of two."""
    execute.joined = grouping  # type: ignore[assignment]
    times = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as scratch:
            began = time.perf_counter()
            assert iarbench([*LINE.split(), "--limit", str(limit), "--out", f"{scratch}/out"]) == 0
            times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    """Measure and keep."""
    rows = []
    for limit in LIMITS:
        single, shared = seconds(limit, alone), seconds(limit, joined)
        row = {"limit": limit, "alone_s": round(single, 1), "shared_s": round(shared, 1)}
        rows.append({**row, "times_as_fast": round(single / shared, 2)})
        print(rows[-1], flush=True)
    keep("quick_look", {"command": f"iarbench {LINE}", "limits": rows})


if __name__ == "__main__":
    main()
