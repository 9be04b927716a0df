"""Stores the rows of a run for the leaderboard.

    python tools/store_rows.py runs/mini leaderboard/rows/mini.jsonl

Rows against one generator alone are left out, unless it shares the target's tokenizer: `iarbench report --all-sets`
computes them, and they are a third of all. The times of a run that took its scores from another are those of the other.
"""

from __future__ import annotations

import sys
from pathlib import Path

from iarbench.harness import manifest
from iarbench.results.rows import Row, read_rows, write_rows


def main(run: Path, stored: Path) -> None:
    """Write those rows of the finished run that the leaderboard keeps."""
    found = manifest.read(run)
    if found is None or found.status != "finished":
        raise SystemExit(f"{run} is no finished run")
    generators, siblings = found.task.generators, found.task.siblings

    def is_kept(row: Row) -> bool:
        return row.nonmember_set not in generators or row.nonmember_set in siblings.get(row.target, ())

    kept: list[Row] = list(filter(is_kept, read_rows(run / "results.jsonl")))
    write_rows(kept, stored)
    print(f"{len(kept)} rows in {stored}, {stored.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
