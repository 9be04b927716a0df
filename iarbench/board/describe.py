"""What there is to say about a detector beside its numbers: from its class, nothing imported."""

from __future__ import annotations

import re
from dataclasses import dataclass

from iarbench.described import Described, described
from iarbench.registry import DETECTORS


@dataclass(frozen=True, slots=True)
class About:
    """The head of a detector's page."""

    name: str
    brief: str
    facts: tuple[tuple[str, str], ...]
    """name and text"""


def about(names: list[str]) -> list[About]:
    """Those of the detectors that have rows, by name; one from a user's file says only that it is."""
    known = {one.name: one for one in described(DETECTORS)}
    return [_about(name, known.get(name)) for name in sorted(names)]


def _about(name: str, found: Described | None) -> About:
    if found is None or found.broken:
        return About(name, "A detector of the user's own.", ())
    seconds, memory = found.value("seconds_per_image", "None"), found.value("mib_per_image", "None")
    facts = {
        "version": found.value("version", "1"),
        "parameters": ", ".join(found.parameters()),
        "reads": _words(found.value("reads", "")) or "tokenizer",
        "needs of the tokenizer": _words(found.value("requires", "")),
        "learns": "from images of the split fit" if found.has_method("fit") else "",
        "pretrained on": found.value("pretrained_on", "").strip("'\""),
        "declared cost": _cost(seconds, memory),
    }
    return About(name, found.brief, tuple((key, text) for key, text in facts.items() if text))


def _words(text: str) -> str:
    return ", ".join(re.findall(r"'(\w+)'", text))


def _cost(seconds: str, memory: str) -> str:
    parts = [f"{seconds} s"] * (seconds != "None") + [f"{memory} MiB"] * (memory != "None")
    return " and ".join(parts) + " an image on one core, at the dearest mini" if parts else ""
