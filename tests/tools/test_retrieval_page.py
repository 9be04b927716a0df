"""The retrieval tables of docs/baselines.md are the stored measurements."""

from __future__ import annotations

import json

from tools import retrieval_page


def test_the_page_shows_the_stored_numbers() -> None:
    shown = retrieval_page.PART.read()
    found = [json.loads(line) for line in retrieval_page.STORED.read_text(encoding="utf-8").splitlines()]
    assert shown == "\n".join(retrieval_page.page(found))
    assert len(shown.splitlines()) > 30


def test_a_table_takes_the_six_generators_alone() -> None:
    one = {
        "what": "Retrieval", "fingerprint": "levels", "adapted": False, "attack": "none", "scope": "generators", "k": 1,
        "rank1": {"mean": 0.25, "low": 0.2, "high": 0.3}, "chance_rank1": 1 / 6,
    }  # fmt: skip
    every = [
        {**one, "fingerprint": kind, "adapted": adapted, "attack": attack, "k": k}
        for kind, adapted in retrieval_page.SHOWN
        for attack in ("none", "jpeg50")
        for k in retrieval_page.SIZES
    ]
    others = [{**one, "scope": "all", "rank1": {"mean": 0.9, "low": 0.8, "high": 1.0}} for one in every]
    lines = list(retrieval_page.ranks([*every, *others], "rank1"))
    assert lines[2] == "| levels | as pre-trained | none | 25.0 [20.0, 30.0] | 25.0 [20.0, 30.0] | 25.0 [20.0, 30.0] |"
    assert lines[-1] == "| *a random order* | | | 16.7 | 16.7 | 16.7 |"
    assert len(lines) == 2 + 8 + 1
