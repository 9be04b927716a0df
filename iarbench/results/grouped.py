"""Rows in a quarter of the space: what the rows of one group have in common is written once.

A line is a JSON object with the fields that all its rows share, and under `rows` the fields of each that differ. Fields
with their default are left out. `iarbench.results.rows.read_rows` reads such lines as well as single rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from pydantic import BaseModel

TOGETHER = (
    "submission",
    "detector",
    "score_name",
    "encoder",
    "target",
    "attack",
    "nonmember_set",
    "setting",
    "left_out",
)
"""Rows that follow each other and agree in these of their fields are one group."""

ALWAYS = ("schema_version", "kind")
"""Written although they have their default: by these a reader tells what it reads."""


def grouped_lines(rows: Iterable[BaseModel]) -> list[str]:
    """The rows as lines, without line ends."""
    return [_line(list(group)) for _, group in groupby(rows, key=_group)]


def ungrouped(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one line, in full but for defaults."""
    if not isinstance(found.get("rows"), list) or not all(isinstance(own, dict) for own in found["rows"]):
        return [found]
    shared = {name: value for name, value in found.items() if name != "rows"}
    return [{**shared, **own} for own in found["rows"]]


def _group(row: BaseModel) -> tuple[object, ...]:
    return tuple(getattr(row, name, None) for name in TOGETHER)


def _line(rows: Sequence[BaseModel]) -> str:
    told = [_told(row) for row in rows]
    first, *others = told
    shared = {
        name: value for name, value in first.items() if all(name in other and other[name] == value for other in others)
    }
    own = [{name: value for name, value in one.items() if name not in shared} for one in told]
    return json.dumps({**shared, "rows": own}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _told(row: BaseModel) -> dict[str, Any]:
    fields = type(row).model_fields
    usual = {name: list(f.default) if isinstance(f.default, tuple) else f.default for name, f in fields.items()}
    told = row.model_dump(mode="json").items()
    return {name: value for name, value in told if name in ALWAYS or fields[name].is_required() or value != usual[name]}
