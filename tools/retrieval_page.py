"""The retrieval tables of docs/baselines.md from what `iarbench gallery evaluate ... --out FILE` measured.

python tools/retrieval_page.py FILE...    stores the files as one and writes the page
python tools/retrieval_page.py            writes the page from what is stored
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from marked_part import MarkedPart

from iarbench.files import write_text
from iarbench.retrieval.source import KINDS

ROOT = Path(__file__).parents[1]
STORED = ROOT / "benchmarks/results/retrieval.jsonl"
PART = MarkedPart(ROOT / "docs/baselines.md", "retrieval")
SIZES = (1, 5, 10)
ENCODERS = {False: "as pre-trained", True: "adapted"}
SHOWN = (("levels", False), ("levels", True), ("binary", False), ("planes", False))
"""Fingerprint, and whether the encoder was adapted to every gallery."""

Found = dict[str, Any]


def page(found: list[Found]) -> Iterator[str]:
    """The lines between the marks."""
    kinds = list(dict.fromkeys(kind for kind, _ in SHOWN))
    retrieval = [one for one in found if one["what"] == "Retrieval"]
    yield "**Which of the six generators?** No real image is among gallery or queries. Rank-1 in %:"
    yield ""
    yield from ranks(retrieval, "rank1")
    yield ""
    yield "mAP in %, which falls with k whatever the method:"
    yield ""
    yield from ranks(retrieval, "mean_average_precision")
    yield ""
    with_real = [one for one in retrieval if one["scope"] == "all" and one["attack"] == "none" and not one["adapted"]]
    chance = [one["chance_mean_average_precision"] for one in with_real if one["fingerprint"] == kinds[0]]
    by_kind = (
        f"`{kind}` {' / '.join(percent(one['rank1']['mean']) for one in with_real if one['fingerprint'] == kind)}"
        for kind in kinds
    )
    yield (
        f"**With photographs as a seventh class** (a random order: Rank-1 {percent(with_real[0]['chance_rank1'])}, mAP "
        f"{' / '.join(map(percent, chance))}), clean, as pre-trained, Rank-1 for k = 1 / 5 / 10: {', '.join(by_kind)}."
    )
    yield ""
    yield (
        "**Real or generated, without a gallery** (AUROC of the cosine to the mean feature of Tiny-ImageNet pictures, "
        "%; accuracy at the paper's 0.85):"
    )
    yield ""
    yield from zero_shot([one for one in found if one["what"] == "ZeroShot"], kinds)
    yield ""
    episodes = [one for one in found if one["what"] == "Episodes" and one["fingerprint"] == "levels"]
    ways = (
        f"{number}-way {' / '.join(percent(one['accuracy']['value']) for one in episodes if one['ways'] == number)} %"
        for number in (2, 6)
    )
    yield (
        f"**Episodes** of N generators, clean, `levels`, {episodes[0]['episodes']:,} each, for 1 / 5 / 10 shots: "
        f"{', '.join(ways)}."
    )


def ranks(found: Iterable[Found], measure: str) -> Iterator[str]:
    """A line for each fingerprint, encoder and attack; six generators."""
    of_six = [one for one in found if one["scope"] == "generators"]
    yield "| fingerprint | encoder | queries | " + " | ".join(f"k = {k}" for k in SIZES) + " |"
    yield "|---|---|---" + "|---:" * len(SIZES) + "|"
    for kind, adapted in SHOWN:
        for attack in ("none", "jpeg50"):
            cells = {
                one["k"]: one[measure]
                for one in of_six
                if (one["fingerprint"], one["adapted"], one["attack"]) == (kind, adapted, attack)
            }
            yield f"| {kind} | {ENCODERS[adapted]} | {attack} | {' | '.join(interval(cells[k]) for k in SIZES)} |"
    guess = {one["k"]: one[f"chance_{measure}"] for one in of_six}
    yield f"| *a random order* | | | {' | '.join(percent(guess[k]) for k in SIZES)} |"


def zero_shot(found: Iterable[Found], kinds: Iterable[str]) -> Iterator[str]:
    """A line for each fingerprint, of all queries."""
    first: dict[tuple[str, str], Found] = {}
    for one in found:
        first.setdefault((one["fingerprint"], one["attack"]), one)
    yield "| fingerprint | none | jpeg50 |"
    yield "|---|---|---|"
    for kind in kinds:
        both = (first[kind, attack] for attack in ("none", "jpeg50"))
        cells = (f"{interval(one['auroc'])}, {percent(one['balanced_accuracy'])}" for one in both)
        yield f"| {kind} | {' | '.join(cells)} |"


def interval(found: Found) -> str:
    """In %, with what it is called by: mean over draws, or one value."""
    middle = found["mean"] if "mean" in found else found["value"]
    return f"{percent(middle)} [{percent(found['low'])}, {percent(found['high'])}]"


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def main(files: list[str]) -> None:
    if files:
        write_text(STORED, "".join(Path(file).read_text(encoding="utf-8") for file in files))
    found = [json.loads(line) for line in STORED.read_text(encoding="utf-8").splitlines()]
    assert {one["fingerprint"] for one in found} == set(KINDS)
    PART.write("\n".join(page(found)))


if __name__ == "__main__":
    main(sys.argv[1:])
