"""The code that pages of documentation hold, for tests that it works as it is written."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of one language; the page by its path in the repository, such as "docs/images.md"."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def cells(line: str) -> list[str]:
    """Of a line of a Markdown table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def commands(page: str) -> list[str]:
    """Every line of shell that calls iarbench, in the order of the page, without the comment behind it."""
    lines = "".join(blocks(page, "bash")).splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.startswith("iarbench ")]
