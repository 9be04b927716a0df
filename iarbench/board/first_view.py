"""What the switches of the page show at first: the tables that stand in the HTML, for readers without a script."""

from __future__ import annotations

from typing import Any

from iarbench.board.command_line import filled
from iarbench.board.data import Json

EMPTY = ["–", None, None, None]


def first_view(group: Json) -> Json:
    """Tables of a group as its page has them before anything is chosen: clean images, pooled non-members, the first
    rate, main scores. `Every number` has all attacks."""
    return _provenance(group) if group["kind"] == "provenance" else _attribution(group)


def _provenance(group: Json) -> Json:
    entries, lines = group["entries"], group["lines"]
    found = {(line[0], line[1], line[2]): line for line in lines if (line[3], line[4]) == (0, 0)}
    mains = [place for place, entry in enumerate(entries) if entry["main"]]
    ranking = [row for row in group["ranking"]["0/0/0"] if entries[row[0]]["main"]]
    shown = group["columns"].index("matched" if group["metric"] == "TPR" else "AUROC")

    def cells(entry: int, attack: int) -> list[Any]:
        there = [found.get((entry, target, attack)) for target, _ in enumerate(group["targets"])]
        return [(line[5][shown], line[7]) if line else (EMPTY, "not computed") for line in there]

    def means(entry: int, attack: int) -> list[Any]:
        rows = group["ranking"][f"{attack}/0/0"]
        return next((row[4] for row in rows if row[0] == entry), [EMPTY] * 4)

    attacks = list(enumerate(group["attacks"]))
    robust = [{"entry": entries[e], "cells": [means(e, a)[0] for a, _ in attacks]} for e in mains]
    quality = [(name, [means(e, a) for e in mains]) for a, name in attacks]
    return {
        "ranking": [
            {
                "entry": entries[e], "rank": rank, "mean": average[0], "worst": worst, "worst_target": target,
                "mean_rank": mean_rank, "cells": cells(e, 0),
            }
            for e, rank, worst, target, average, _, mean_rank in ranking
        ],
        "overall": [
            {"entry": entries[e], "mean_rank": mean_rank, "mean": mean, "areas": areas}
            for e, mean_rank, mean, areas in group["overall"]["0/0"]
        ],
        "lines": [
            {
                "entry": entries[line[0]],
                "target": group["targets"][line[1]],
                "attack": group["attacks"][line[2]],
                "cells": line[5],
                "why": line[7],
                "command": filled(entries[line[0]]["command"], group["targets"][line[1]], group["attacks"][line[2]]),
            }
            for line in lines
            if (line[3], line[4]) == (0, 0) and entries[line[0]]["main"]
        ],
        "robustness": robust,
        "quality": [
            {
                "attack": name,
                "psnr": next((one[2] for one in found if one[2][1] is not None), EMPTY),
                "ssim": next((one[3] for one in found if one[3][1] is not None), EMPTY),
                "cells": [one[0] for one in found],
            }
            for name, found in quality
            if any(one[2][1] is not None for one in found)
        ],
        "cost": [{"entry": entries[e], "ms": means(e, 0)[1], "value": means(e, 0)[0]} for e in mains],
    }  # fmt: skip


def _attribution(group: Json) -> Json:
    lines = [
        line | {"level": {"model": "models", "family": "families"}[group["levels"][line["level"]]],
                "attack": group["attacks"][line["attack"]]}
        for line in group["lines"] if line["rate"] == 0 and line["entry"]["main"]
    ]  # fmt: skip
    best = next(
        (n for n, line in enumerate(group["lines"]) if str(n) in group["confusions"] and line["rank"] == 1), None
    )
    confusion: Json = {"title": "no detector", "answers": [], "rows": []}
    if best is not None:
        confusion = {"title": _title(group["lines"][best])} | group["confusions"][str(best)]
    return {"lines": lines, "confusion": confusion}


def _title(line: Json) -> str:
    return f"{line['entry']['name']}, {line['entry']['encoder']}"
