"""bfloat16 beside float32 on the same images: how far scores move, whether results do, and what it saves.

    python benchmarks/bench_precision.py [--limit N] [--encoder NAME]

``--limit`` takes only the first N images of each source and split of the packaged set.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pandas as pd
from common import keep, minis

from iarbench.content import images_path
from iarbench.device import PRECISIONS, Precision
from iarbench.harness.plan import Settings, make_plan
from iarbench.harness.run import run
from iarbench.images.image_set import ImageSet
from iarbench.models.variants import get
from iarbench.models.weights import encoders
from iarbench.results.compute import load_scores
from iarbench.results.rows import AUROC, POOLED, TPR, Row
from iarbench.task import Task

IMAGE = ["detector", "target", "encoder", "image_id"]


def scored(task: Task, images: ImageSet, limit: int | None, precision: Precision) -> tuple[pd.DataFrame, list[Row]]:
    """Score and seconds of every image by detector, target and encoder, and the rows of the run."""
    settings = Settings(device="cpu", precision=precision, limit=limit)
    with tempfile.TemporaryDirectory() as name:
        plan = make_plan(task, images, task.spec.images, settings)
        rows = run(plan, Path(name) / "run", settings, progress=None).rows
        scores = load_scores(Path(name) / "run", [part.path for part in plan.parts])
    scores = scores[scores["score_name"] == scores["detector"]]  # companions, such as the greedy score, follow it
    return scores.set_index(IMAGE)[["score", "seconds"]].sort_index(), rows


def value(rows: list[Row], detector: str, target: str, encoder: str, metric: str) -> float | None:
    """One number against all non-members: TPR at 1 % FPR by the matched threshold, or AUROC."""
    kind = {"fpr_nominal": 0.01, "threshold_kind": "matched"} if metric == TPR else {}
    wanted = {
        "detector": detector,
        "score_name": detector,
        "target": target,
        "encoder": encoder,
        "metric": metric,
        "nonmember_set": POOLED,
    }
    (row,) = (row for row in rows if all(getattr(row, key) == value for key, value in (wanted | kind).items()))
    return row.value


def compare(exact: pd.DataFrame, coarse: pd.DataFrame) -> dict[str, float]:
    """How scores of one detector, target and encoder on the same images differ."""
    a, b = exact["score"], coarse["score"]
    return {
        "rank_correlation": round(float(a.corr(b, method="spearman")), 5),
        "largest_relative_change": float(f"{((b - a) / a).abs().max():.3g}"),
        "median_relative_change": float(f"{((b - a) / a).abs().median():.3g}"),
        "speed_ratio_to_float32": round(float(exact["seconds"].median() / coarse["seconds"].median()), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--encoder", default=None, help="default: inverse where a target has it")
    args = parser.parse_args()
    base = Task.load("mini")
    images = ImageSet.open(images_path(base.spec.images))
    sources = set(images.index()["source"])
    results: dict[str, object] = {"limit": args.limit}
    for target in (name for name in minis() if name in sources):
        known = encoders(get(target))
        encoder = args.encoder or ("inverse" if "inverse" in known else "original")
        task = base.narrowed(targets=[target], encoders=[encoder], attacks=["none"])
        (exact, exact_rows), (coarse, coarse_rows) = (
            scored(task, images, args.limit, precision) for precision in PRECISIONS
        )
        for detector in task.spec.detectors:
            cell = (detector, target, encoder)
            found: dict[str, object] = dict(compare(exact.loc[cell], coarse.loc[cell]))
            for metric, name in ((TPR, "tpr_at_1_percent_fpr"), (AUROC, "auroc")):
                found[name] = {
                    precision: value(rows, *cell, metric)
                    for precision, rows in zip(PRECISIONS, (exact_rows, coarse_rows), strict=True)
                }
            results[f"{target}/{encoder}/{detector}"] = found
    keep("precision", results)


if __name__ == "__main__":
    main()
