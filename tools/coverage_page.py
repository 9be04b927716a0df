"""Writes the table of simulated coverage into docs/statistics.md, from benchmarks/results/coverage.json.

python tools/coverage_page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from marked_part import MarkedPart

from iarbench.text_table import markdown_table

ROOT = Path(__file__).parents[1]
STORED = ROOT / "benchmarks" / "results" / "coverage.json"
PART = MarkedPart(ROOT / "docs" / "statistics.md", "coverage")
NAMES = {"tpr": "TPR at an FPR", "auroc": "AUROC", "fpr": "achieved FPR", "paired": "difference of two detectors"}
NAMES |= {"ranks": "mean rank of four, TPR at an FPR", "areas": "area under a strength curve, TPR at an FPR"}


def table() -> str:
    """A line per kind of number, score shape and size of the sample: the worst and the best of its cells."""
    parts = json.loads(STORED.read_text())["parts"]
    body = []
    for name, part in parts.items():
        groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for cell in part["cells"]:
            rate = f" of {100 * cell['fpr']:g}%" if "fpr" in cell else ""
            what = f"{NAMES[name]}{rate}" if name != "paired" else f"{NAMES[name]}, {cell['number']}"
            groups.setdefault((what, cell.get("shape", "normal"), str(cell["n"])), []).append(cell)
        body += [[*key, *_numbers(cells)] for key, cells in groups.items()]
    head = ["interval of", "scores", "n", "coverage", "mean width", "offered"]
    return markdown_table(head, body, 2)


def _numbers(cells: list[dict[str, Any]]) -> list[str]:
    held = [100 * cell["coverage"] for cell in cells if cell.get("coverage") is not None]
    unit = 1 if "percentiles" in cells[0] else 100  # ranks are no rates
    widths = [unit * cell["mean_width"] for cell in cells if cell.get("mean_width") is not None]
    offered = sum(cell["offered"] for cell in cells) / len(cells)
    if not held:
        return ["–", "–", "no"]
    return [_range(held), _range(widths), "yes" if offered > 0.999 else f"{100 * offered:.0f}%"]


def _range(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.1f}" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f}"


def main() -> None:
    """Put the table between its marks."""
    PART.write(table())


if __name__ == "__main__":
    main()
