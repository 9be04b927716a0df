"""Rows in a seventh of the space: what the rows of one group have in common is written once.

A line is a JSON object with the fields that all its rows share, and under `columns` the fields that differ: each a list
of one value per row or, where that is shorter, `{"values": [...], "rows": [...]}`, the different values and for every
row the place of its own among them, from 0. Where these places are those of another column, its name stands for them:
`"rows": "attack"`. Different values that are objects may be written as `{"keys": {...}, "order": [...]}`, a list as
these for each of their keys and one of the keys that each object has. Fields with their default in all rows are left
out.
`iarbench.results.rows.read_rows` reads such lines as well as single rows.
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
)
"""Rows that follow each other and agree in these of their fields are one group."""

ALWAYS = ("schema_version", "kind")
"""Written although they have their default: by these a reader tells what it reads."""


def grouped_lines(rows: Iterable[BaseModel]) -> list[str]:
    """The rows as lines, without line ends."""
    return [line for _, group in groupby(rows, key=_group) for line in _lines(list(group))]


def ungrouped(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one line, in full but for defaults."""
    told = found.get("columns")
    if not isinstance(told, dict):
        return [found]
    columns = {name: column for name in told if (column := _column(_placed(name, told))) is not None}
    if len(columns) < len(told) or len({len(values) for values in columns.values()}) != 1:
        return [found]  # damaged, as whoever makes a row of it will say
    shared = {name: value for name, value in found.items() if name != "columns"}
    each = zip(*columns.values(), strict=True)
    return [{**shared, **dict(zip(columns, values, strict=True))} for values in each]


def _group(row: BaseModel) -> tuple[object, ...]:
    return tuple(getattr(row, name, None) for name in TOGETHER)


def _lines(rows: Sequence[BaseModel]) -> list[str]:
    """One line for rows that differ in something, else a line each."""
    usual = _defaults(type(rows[0]))
    told = [row.model_dump(mode="json") for row in rows]
    columns = {name: [one[name] for one in told] for name in told[0]}
    own = {name: values for name, values in columns.items() if any(value != values[0] for value in values)}
    shared = {
        name: values[0]
        for name, values in columns.items()
        if name not in own and (name in ALWAYS or name not in usual or values[0] != usual[name])
    }
    if not own:
        return [_text(shared)] * len(rows)
    return [_text({**shared, "columns": _places_once({name: _shorter(values) for name, values in own.items()})})]


def _shorter(column: list[Any]) -> Any:
    """A column as it is written: itself, or its different values and which of them every row has, or key by key."""
    texts = [_text(value) for value in column]
    different = dict(zip(texts, column, strict=True))
    ways: list[Any] = [column]
    if len(different) < len(column):
        places = {text: place for place, text in enumerate(different)}
        ways.append({"values": _shorter(list(different.values())), "rows": [places[text] for text in texts]})
    elif any(column) and all(isinstance(value, dict) for value in column):
        keys = dict.fromkeys(key for value in column for key in value)
        by_key = {key: _shorter([value.get(key) for value in column]) for key in keys}
        ways.append({"keys": by_key, "order": _shorter([list(value) for value in column])})
    return min(ways, key=lambda told: len(_text(told)))


def _places_once(columns: dict[str, Any]) -> dict[str, Any]:
    """Columns as they are written, with the name of the first one that has the same places in place of its list."""
    first: dict[tuple[int, ...], str] = {}
    written: dict[str, Any] = {}
    for name, told in columns.items():
        same = first.setdefault(tuple(told["rows"]), name) if isinstance(told, dict) and "rows" in told else name
        written[name] = told if same == name else {**told, "rows": same}
    return written


def _placed(name: str, columns: dict[str, Any]) -> Any:
    """One column as it is written, with its own list of places."""
    match columns[name]:
        case {"values": values, "rows": str(other)}:
            match columns.get(other):
                case {"rows": list(rows)}:
                    return {"values": values, "rows": rows}
    return columns[name]


def _column(told: Any) -> list[Any] | None:
    """One value per row of a column as it is written; None where that is damaged."""
    match told:
        case list():
            return told
        case {"values": folded, "rows": list(rows)} if (values := _column(folded)) is not None:
            if all(isinstance(row, int) and 0 <= row < len(values) for row in rows):
                return [values[row] for row in rows]
        case {"keys": dict(keys), "order": folded} if (orders := _column(folded)) is not None:
            columns = {key: column for key, one in keys.items() if (column := _column(one)) is not None}
            if all(len(column) == len(orders) for column in columns.values()) and all(
                isinstance(order, list) and columns.keys() >= set(order) for order in orders
            ):
                return [{key: columns[key][place] for key in order} for place, order in enumerate(orders)]
    return None


def _text(told: Any) -> str:
    return json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _defaults(kind: type[BaseModel]) -> dict[str, Any]:
    """What fields are where nothing is said, as JSON has it."""
    fields = {name: field.default for name, field in kind.model_fields.items() if not field.is_required()}
    return {name: list(usual) if isinstance(usual, tuple) else usual for name, usual in fields.items()}
