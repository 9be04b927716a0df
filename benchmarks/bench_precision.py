"""float32 beside bfloat16, on the CPU and on a GPU where there is one: how far scores and AUROC move, what it saves.

    python benchmarks/bench_precision.py [--limit N] [--target NAME ...] [--detector NAME ...] [--device NAME ...]

``--limit`` takes only the first N images of each source and split of the packaged set. Scores are compared with those
in float32 on the first device.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from common import keep, minis

from iarbench.content import images_path
from iarbench.device import PRECISIONS, Precision
from iarbench.harness.plan import Settings
from iarbench.harness.planning import make_plan
from iarbench.harness.run import run
from iarbench.images.image_set import ImageSet
from iarbench.models.variants import get
from iarbench.models.weights import encoders
from iarbench.results.rows import AUROC, POOLED, Row
from iarbench.results.scores import load_scores
from iarbench.task import Task


@dataclass(frozen=True, slots=True)
class Scored:
    """One target on one device in one precision: score and seconds of every image by detector, and the rows."""

    images: pd.DataFrame
    rows: list[Row]

    def auroc(self, detector: str) -> float | None:
        """Of the detector's main score against all non-members pooled."""
        wanted = {"detector": detector, "score_name": detector, "metric": AUROC, "nonmember_set": POOLED}
        (row,) = (row for row in self.rows if all(getattr(row, key) == value for key, value in wanted.items()))
        return row.value


def scored(task: Task, images: ImageSet, limit: int | None, device: str, precision: Precision) -> Scored:
    """A run in a folder of its own."""
    settings = Settings(device=device, precision=precision, limit=limit)
    with tempfile.TemporaryDirectory() as name:
        plan = make_plan(task, images, task.spec.images, settings)
        rows = run(plan, Path(name) / "run", settings, progress=None).rows
        scores = load_scores(Path(name) / "run", [part.path for part in plan.parts])
    scores = scores[scores["score_name"] == scores["detector"]]  # companions, such as the greedy score, follow it
    return Scored(scores.set_index(["detector", "image_id"])[["score", "seconds"]].sort_index(), rows)


def moved(exact: pd.DataFrame, other: pd.DataFrame) -> dict[str, float]:
    """How the scores of one detector on the same images differ."""
    a, b = exact["score"], other["score"]
    change = ((b - a) / a).abs()
    return {
        "median_relative_change": float(f"{change.median():.2g}"),
        "largest_relative_change": float(f"{change.max():.2g}"),
        "rank_correlation": round(float(a.corr(b, method="spearman")), 5),
    }


def side_by_side(ways: Mapping[str, Scored], detector: str) -> dict[str, object]:
    """One detector in every way; the first one is what the others are compared with."""
    first, *others = ways
    frames = {way: found.images.loc[detector] for way, found in ways.items()}
    return {
        "auroc": {way: found.auroc(detector) for way, found in ways.items()},
        "images_per_second": {way: round(1 / float(frame["seconds"].median()), 1) for way, frame in frames.items()},
        "moved": {way: moved(frames[first], frames[way]) for way in others},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--target", action="append", help="default: every mini with images of its own")
    parser.add_argument("--detector", action="append", help="default: quantloss and encloss")
    parser.add_argument("--device", action="append", help="default: cpu, and cuda where there is one")
    args = parser.parse_args()
    base = Task.load("mini")
    images = ImageSet.open(images_path(base.spec.images))
    sources = set(images.index()["source"])
    devices = args.device or ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    results: dict[str, object] = {
        "limit": args.limit,
        "cpu_computes_in_bfloat16": torch.backends.cpu.get_cpu_capability() == "AVX512",
        "gpu": torch.cuda.get_device_name() if "cuda" in devices else None,
    }
    for target in args.target or (name for name in minis() if name in sources):
        encoder = "inverse" if "inverse" in encoders(get(target)) else "original"
        detectors = args.detector or ["quantloss", "encloss"]
        task = base.narrowed(targets=[target], encoders=[encoder], attacks=["none"], detectors=detectors)
        ways = {
            f"{device} {precision}": scored(task, images, args.limit, device, precision)
            for device in devices
            for precision in PRECISIONS
        }
        for detector in task.spec.detectors:
            results[f"{target}/{encoder}/{detector}"] = side_by_side(ways, detector)
    keep("precision", results)


if __name__ == "__main__":
    main()
