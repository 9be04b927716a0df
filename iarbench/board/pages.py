"""Plain values to HTML, by the templates beside this file; every name from outside is escaped."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from iarbench import __version__
from iarbench.board.data import Json
from iarbench.board.describe import about
from iarbench.board.detector_page import parts_of
from iarbench.board.first_view import first_view
from iarbench.board.reported import Reported

TEMPLATES = Path(__file__).parent / "templates"


def render(groups: list[Json], reported: Reported | None, n_rows: int, rows_digest: str) -> dict[str, str]:
    """Address below the board -> HTML: index.html and a page per detector.

    `groups`: as `data.group_data` and `attribution.attribution_data` make them; `reported`: papers' own numbers.
    """
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    facts = {"version": __version__, "n_rows": n_rows, "rows_digest": rows_digest}
    shown = [group | {"first": first_view(group)} for group in groups]
    index = environment.get_template("index.html.jinja")
    pages = {"index.html": index.render(root="", groups=shown, reported=reported, data=inline_json(groups), **facts)}
    detector = environment.get_template("detector.html.jinja")
    found = detectors_of(groups)
    for one in about(sorted(found)):
        pages[found[one.name]] = detector.render(
            root="../", detector=one, groups=parts_of(groups, found[one.name]), **facts
        )
    return pages


def inline_json(value: object) -> str:
    """JSON that may stand inside a <script> of a page, whatever its texts hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def detectors_of(groups: list[Json]) -> dict[str, str]:
    """Detector -> address of its page."""
    entries = [
        entry
        for group in groups
        for entry in (group["entries"] if "entries" in group else (line["entry"] for line in group["lines"]))
    ]
    return {entry["detector"]: entry["page"] for entry in entries}
