"""Stores the picture of a submitted attribution run, and the table of its rows, in docs/attribution.md.

python tools/attribution_page.py runs/attribution
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from marked_part import MarkedPart

from iarbench.results.attribution.rows import AttributionRow
from iarbench.results.attribution.tables import markdown
from iarbench.results.rows import read_rows
from iarbench.results.view import View
from iarbench.task import Task

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "leaderboard" / "rows" / "attribution-mini.jsonl"
PAGE = ROOT / "docs" / "attribution.md"
PART = MarkedPart(PAGE, "table")


def table() -> str:
    """The table of the stored rows under the task's own attacks, as the page has it."""
    own = Task.load("attribution-mini").spec.attacks
    rows = [row for row in read_rows(ROWS, AttributionRow) if row.attack in own]
    return markdown(rows, View(all_encoders=True))


def main(run: Path) -> None:
    """Copy the picture of the submitted run, and write the table of the stored rows into the page."""
    shutil.copyfile(run / "results.png", PAGE.with_suffix(".png"))
    PART.write(table())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
