"""A board as a static Space on the Hugging Face Hub, which serves the folder as it is, for nothing."""

from __future__ import annotations

from pathlib import Path

import yaml

CARD = "README.md"
OWNED = ("assets/", "data/", "detectors/")
"""Folders of a board, in which nothing else is kept."""

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


def send(folder: Path, name: str, private: bool) -> str:
    """Make the Space `name` hold a built board; what is there already is not sent again. Returns its address.

    Raises:
        HubError: no login, no right to write, a Space that holds something else, no network, or the Hub fails.
    """
    from iarbench.hub_upload import Repository, upload

    return upload(Repository(name, "space", private), folder, OWNED).url
