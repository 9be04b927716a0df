"""The real-image table of docs/results.md from the run that `tools/real_images.py` describes.

    python tools/real_images_table.py RUN      stores benchmarks/results/real_images.json and writes the page

The rows are kept as numbers alone: the images may not be given on, so that nobody could compute the rows anew from the
repository, and they are no part of the leaderboard.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from marked_part import MarkedPart

from iarbench.files import write_text
from iarbench.results.rows import AUROC, POOLED, Row, read_rows

ROOT = Path(__file__).parents[1]
STORED = ROOT / "benchmarks/results/real_images.json"
SETS = {"imagenet-train": "ILSVRC train", "coco": "COCO", "flickr": "Flickr", POOLED: "pooled"}
PART = MarkedPart(ROOT / "docs/results.md", "real")


def numbers(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """A line for each target, detector and attack: TPR at 1 % FPR, the FPR it reached, and AUROC against each set."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        if row.score_name != row.detector or row.nonmember_set not in SETS or row.value is None:
            continue
        if row.metric != AUROC and (row.threshold_kind, row.fpr_nominal) != ("matched", 0.01):
            continue
        key = (row.target, row.detector, row.attack)
        line = found.setdefault(key, {"target": row.target, "detector": row.detector, "attack": row.attack, "sets": {}})
        cell = line["sets"].setdefault(row.nonmember_set, {})
        if row.metric == AUROC:
            cell["auroc"] = round(row.value, 4)
        else:
            cell |= {"tpr": round(row.value, 4), "fpr": round(row.fpr_achieved or 0.0, 4)}
    return [found[key] for key in sorted(found)]


def table(lines: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Markdown: TPR in %, FPR that was reached in %, AUROC."""
    yield f"| target | detector | attack | {' | '.join(SETS.values())} |"
    yield "|---|---|---" + "|---" * len(SETS) + "|"
    for line in lines:
        cells = [
            f"{100 * cell['tpr']:.0f}, FPR {100 * cell['fpr']:.1f}, {cell['auroc']:.3f}"
            for cell in (line["sets"][name] for name in SETS)
        ]
        yield f"| {line['target']} | {line['detector']} | {line['attack']} | {' | '.join(cells)} |"


def main(run: str) -> None:
    lines = numbers(read_rows(Path(run) / "results.jsonl"))
    write_text(STORED, json.dumps({"task": "real-images", "version": 1, "rows": lines}, indent=1) + "\n")
    PART.write("\n".join(table(lines)))
    print("\n".join(table(lines)))


if __name__ == "__main__":
    main(*sys.argv[1:])
