"""Tables for other programs: every row as CSV, and the table of a report as LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

SPECIAL = {**{char: rf"\{char}" for char in "&%$#_{}"}, "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL |= {"\\": r"\textbackslash{}", "–": "--", "±": r"$\pm$"}


def as_csv(rows: Sequence[BaseModel]) -> str:
    """A header and a line per row, all fields in the unit that rows have them in; nothing stands for what is not there;
    several values in one field are separated by spaces."""
    file = io.StringIO()
    names = list(type(rows[0]).model_fields) if rows else []
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = (getattr(row, name) for name in names)
        writer.writerow([" ".join(map(str, value)) if isinstance(value, tuple) else value for value in values])
    return file.getvalue()


def records_as_csv(records: Sequence[Mapping[str, Any]]) -> str:
    """A header and a line per record, all of the same names; nothing stands for None."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()


def as_latex(markdown: str) -> str:
    """A Markdown table as a `tabular` with the rules of booktabs."""
    head, rule, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines())
    columns = "".join("r" if cell.endswith(":") else "l" for cell in rule)
    lines = [f"{' & '.join(map(_escaped, cells))} \\\\" for cells in (head, *body)]
    return "\n".join(
        [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", lines[0], "\\midrule", *lines[1:], "\\bottomrule",
         "\\end{tabular}"]
    )  # fmt: skip


def _escaped(text: str) -> str:
    return re.sub("|".join(map(re.escape, SPECIAL)), lambda found: SPECIAL[found.group()], text)
