"""The card by which a board is a static Space on the Hugging Face Hub: it serves the folder as it is, for nothing."""

from __future__ import annotations

import yaml

CARD = "README.md"

FRONT = {
    "title": "iarbench board",
    "sdk": "static",
    "app_file": "index.html",
    "fullWidth": True,
    "license": "apache-2.0",
    "tags": ["iarbench", "leaderboard"],
    "short_description": "Provenance of images made by image AR models",
}
"""Front matter; the short description may have 60 characters."""

TEXT = """
# iarbench board

Was this image made by *that* image auto-regressive model, and is the answer still right after JPEG, crops or noise?
Open `index.html`: the page needs no server and asks no other host for anything. The rows that it shows are in
`data/rows.jsonl.gz`, what to cite in `CITATIONS.bib`.
"""


def card() -> str:
    """README.md of a board; the folder can be pushed as a Space as it is."""
    return f"---\n{yaml.safe_dump(FRONT, sort_keys=False)}---\n{TEXT}"
