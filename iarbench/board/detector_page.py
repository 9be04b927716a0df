"""The tables of a detector's page: all that the groups hold about it, against every set, at every rate."""

from __future__ import annotations

from typing import Any

from iarbench.board.command_line import ATTACK, TARGET
from iarbench.board.data import Json


def parts_of(groups: list[Json], page: str) -> list[Json]:
    """The groups that know the detector of a page, each with its tables: {title, about, parts}.

    A part is {title, origin, command, head, texts, rows}: so many columns are texts; a row is {texts, cells, why}.
    """
    found = [(_provenance if group["kind"] == "provenance" else _attribution)(group, page) for group in groups]
    return [
        {"title": group["title"], "about": group["about"], "parts": parts}
        for group, parts in zip(groups, found, strict=True)
        if parts
    ]


def _provenance(group: Json, page: str) -> list[Json]:
    parts = []
    for place, entry in enumerate(group["entries"]):
        if entry["page"] != page:
            continue
        lines = [line for line in group["lines"] if line[0] == place]
        rows = [_row(group, line) for line in sorted(lines, key=lambda line: line[1:5])]
        everything = f"--target {','.join(group['targets'])} --attack {','.join(group['attacks'])}"
        parts.append(
            {
                "title": _title(entry),
                "origin": _origin(entry),
                "command": entry["command"].replace(f"--target {TARGET} --attack {ATTACK}", everything),
                "head": ["target", "attack", "against", "at", *group["columns"]],
                "texts": 4,
                "rows": rows,
            }
        )
    return sorted(parts, key=lambda part: part["title"])


def _row(group: Json, line: list[Any]) -> Json:
    target, attack, rate = group["targets"][line[1]], group["attacks"][line[2]], group["rates"][line[4]]
    return {"texts": [target, attack, group["sets"][line[3]]["text"], rate or "–"], "cells": line[5], "why": line[7]}


def _attribution(group: Json, page: str) -> list[Json]:
    parts: dict[str, Json] = {}
    for line in group["lines"]:
        if line["entry"]["page"] != page:
            continue
        title = _title(line["entry"])
        one, every = (f"--attack {names}" for names in (group["attacks"][line["attack"]], ",".join(group["attacks"])))
        part = parts.setdefault(
            title,
            {
                "title": title,
                "origin": _origin(line["entry"]),
                "command": line["command"].replace(one, every),
                "head": ["tell apart", "attack", "at", *group["columns"]],
                "texts": 3,
                "rows": [],
            },
        )
        texts = [group["levels"][line["level"]], group["attacks"][line["attack"]], group["rates"][line["rate"]] or "–"]
        part["rows"].append({"texts": texts, "cells": line["cells"], "why": line["why"]})
    return list(parts.values())


def _title(entry: Json) -> str:
    own = ", yours" if entry["own"] else ""
    return f"{entry['name']}, encoder {entry['encoder']}, version {entry['version']}{own}"


def _origin(entry: Json) -> str:
    """Which submissions the rows are part of, and where code that is not iarbench's own is; "" where none is known."""
    code = f"Code: {entry['source']}. " if entry["source"] else ""
    names = entry["submissions"]
    if not names:
        return code
    return f"{code}Submitted as {', '.join(names)}: `iarbench verify {' '.join(names)}` recomputes it from its scores."
