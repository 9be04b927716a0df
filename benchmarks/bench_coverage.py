"""How often do our 95% intervals hold the truth? Simulated scores whose true rates are known.

    python benchmarks/bench_coverage.py [--repetitions N] [--only tpr,auroc,fpr,paired,ranks,areas]

Score shapes, non-members first: `normal`; `heavy tails` (Student's t with 2 degrees of freedom against normal members:
the threshold is far out and jumps from sample to sample); `wide members` (three times the spread: some lie among the
lowest); `ties` (whole numbers only); `crops` (four of each photograph, correlation 0.9: n images are n/4 photographs);
`pooled` (half crops, half single images of another mean, sets counting equally). n: images of non-members; members: n,
at most 300. Where the calibration images are too few for an interval about the rate, `offered` says so, and
`at_threshold` is how often the one given in its place holds the TPR at the threshold it is about. Mean ranks and areas
under strength curves: coverage_of_ranks.py.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from common import RESULTS, keep
from coverage_of_ranks import area_cells, rank_cells
from scipy.optimize import brentq
from scipy.stats import norm, t

from iarbench.progress import Progress
from iarbench.stats.intervals import proportion, seed_of
from iarbench.stats.metrics import Reference, auroc, tpr_at_fpr
from iarbench.stats.paired import compare_tpr, delong
from iarbench.stats.thresholds import Scores

SIZES, MOST_MEMBERS = (100, 300, 1000), 300
RATES, TPRS = (0.01, 0.05), (0.5, 0.95, 0.995)
AREAS = (0.6, 0.9, 0.99, 0.999)
CROPS, ALIKE = 4, 0.9
SECOND_MEAN = 0.7
EXACT = 1e-9
DRAWS = 500


@dataclass(frozen=True)
class Shape:
    """`survival` of a non-member's score; `spread` of the members' normal scores; how non-members are drawn."""

    draw: Callable[[np.random.Generator, int], Scores]
    survival: Callable[[Any], Any] = norm.sf
    spread: float = 1.0
    whole: bool = False

    def threshold(self, fpr: float) -> float:
        """The smallest score that at most `fpr` of the non-members exceed."""
        if self.whole:
            return float(next(k for k in range(-9, 10) if norm.sf(k + 0.5) <= fpr))
        return float(brentq(lambda x: self.survival(x) - fpr, -50, 5000, xtol=1e-12))

    def members(self, rng: np.random.Generator, count: int, mean: float) -> Scores:
        scores = rng.normal(mean, self.spread, count)
        return Scores.of(scores.round() if self.whole else scores)

    def tpr(self, fpr: float, mean: float) -> float:
        return self.above(self.threshold(fpr), mean)

    def above(self, threshold: float, mean: float) -> float:
        """The true TPR at a threshold."""
        return float(norm.sf((threshold + 0.5 if self.whole else threshold) - mean, scale=self.spread))

    def area(self, mean: float) -> float:
        """The true AUROC, by numerical integration; ties count half."""
        return _area(self, mean)

    def mean_for_area(self, area: float) -> float:
        return float(brentq(lambda mean: self.area(mean) - area, -30, 200, xtol=1e-10))


@cache
def _area(shape: Shape, mean: float) -> float:
    if shape.whole:
        k = np.arange(-60, 260)
        mass = norm.cdf(k + 0.5 - mean) - norm.cdf(k - 0.5 - mean)
        return float(mass @ (1 - (norm.sf(k - 0.5) + norm.sf(k + 0.5)) / 2))
    quantiles = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    return float(np.mean(1 - shape.survival(mean + shape.spread * quantiles)))


def crops(rng: np.random.Generator, count: int) -> Scores:
    """Four crops of each photograph, normal scores."""
    photographs = rng.normal(size=count // CROPS)
    scores = np.sqrt(ALIKE) * np.repeat(photographs, CROPS) + np.sqrt(1 - ALIKE) * rng.normal(size=count)
    return Scores.of(scores, np.repeat(np.arange(count // CROPS), CROPS))


def pooled(rng: np.random.Generator, count: int) -> Scores:
    half = count // 2 // CROPS * CROPS
    return Scores.pool([crops(rng, half), Scores.of(rng.normal(SECOND_MEAN, 1, count - half))])


SHAPES = {
    "normal": Shape(lambda rng, n: Scores.of(rng.normal(size=n))),
    "heavy tails": Shape(lambda rng, n: Scores.of(rng.standard_t(2, n)), t(2).sf),
    "wide members": Shape(lambda rng, n: Scores.of(rng.normal(size=n)), spread=3.0),
    "ties": Shape(lambda rng, n: Scores.of(rng.normal(size=n).round()), whole=True),
    "crops": Shape(crops),
    "pooled": Shape(pooled, lambda x: (norm.sf(x) + norm.sf(x - SECOND_MEAN)) / 2),
}


def summary(found: list[tuple[float | None, float | None]], true: float) -> dict[str, Any]:
    """Coverage of the intervals that are offered, how many are, and how wide."""
    whole = [(low, high) for low, high in found if low is not None and high is not None]
    below = np.array([true < low - EXACT for low, _ in whole])
    above = np.array([true > high + EXACT for _, high in whole])
    return {
        "offered": len(whole) / len(found),
        "coverage": None if not whole else float(1 - np.mean(below | above)),
        "true_below": None if not whole else float(np.mean(below)),
        "true_above": None if not whole else float(np.mean(above)),
        "mean_width": None if not whole else float(np.mean([high - low for low, high in whole])),
    }


def tpr_cells(repetitions: int) -> list[dict[str, Any]]:
    """TPR at an FPR with the matched threshold."""
    cells = []
    for name, shape in SHAPES.items():
        for fpr in RATES:
            for wanted in TPRS:
                mean = shape.threshold(fpr) + (0.5 if shape.whole else 0) + shape.spread * norm.ppf(wanted)
                for n in SIZES:
                    rng = np.random.default_rng(seed_of("tpr", name, fpr, wanted, n))
                    found: list[tuple[float | None, float | None]] = []
                    given = []
                    for _ in range(repetitions):
                        members, others = shape.members(rng, min(n, MOST_MEMBERS), mean), shape.draw(rng, n)
                        point = tpr_at_fpr(members, others, {"matched": Reference(others)}, [fpr])["matched"][0]
                        if point.tpr is None or point.threshold is None:
                            continue
                        redrawn = point.tpr.about == "at-fpr"
                        found.append((point.tpr.low, point.tpr.high) if redrawn else (None, None))
                        if not redrawn:
                            low, high = point.tpr.low, point.tpr.high
                            assert low is not None, "Clopper-Pearson has both ends"
                            assert high is not None, "Clopper-Pearson has both ends"
                            there = shape.above(point.threshold, mean)
                            given.append(low - EXACT <= there <= high + EXACT)
                    about: dict[str, Any] = {"shape": name, "fpr": fpr, "true": shape.tpr(fpr, mean), "n": n}
                    cells.append(about | (summary(found, about["true"]) if found else {"offered": 0.0}))
                    cells[-1]["at_threshold"] = float(np.mean(given)) if given else None
                    BAR.advance(1)
    return cells


def auroc_cells(repetitions: int) -> list[dict[str, Any]]:
    """AUROC."""
    cells = []
    for name, shape in SHAPES.items():
        for area in AREAS:
            mean = shape.mean_for_area(area)
            for n in SIZES:
                rng = np.random.default_rng(seed_of("auroc", name, area, n))
                estimates = [
                    auroc(shape.members(rng, min(n, MOST_MEMBERS), mean), shape.draw(rng, n))
                    for _ in range(repetitions)
                ]
                about: dict[str, Any] = {"shape": name, "true": shape.area(mean), "n": n}
                cells.append(about | summary([(e.low, e.high) for e in estimates], about["true"]))
                BAR.advance(1)
    return cells


def fpr_cells(repetitions: int) -> list[dict[str, Any]]:
    """The achieved FPR at a threshold from elsewhere, here the true one."""
    cells = []
    for name in ("normal", "crops", "pooled"):
        shape = SHAPES[name]
        for rate in (0.002, 0.01, 0.05):
            at = shape.threshold(rate)
            for n in SIZES:
                rng = np.random.default_rng(seed_of("fpr", name, rate, n))
                samples = (shape.draw(rng, n) for _ in range(repetitions))
                found = [proportion(sample.scores > at, sample)[1:] for sample in samples]
                cells.append({"shape": name, "true": rate, "n": n} | summary(list(found), rate))
                BAR.advance(1)
    return cells


def paired_cells(repetitions: int) -> list[dict[str, Any]]:
    """Difference of two detectors whose scores of an image correlate by 0.7, in TPR (bootstrap) and AUROC (MOVER)."""
    cells = []
    for n in (400, 1000):
        for means in ((3.0, 2.5), (4.0, 3.0)):
            rng = np.random.default_rng(seed_of("paired", n, means))
            true_tpr = float(np.subtract(*norm.sf(norm.isf(0.01) - np.array(means))))
            true_area = float(np.subtract(*norm.cdf(np.array(means) / np.sqrt(2))))
            tprs, areas = [], []
            for number in range(repetitions):
                members = rng.multivariate_normal(means, [[1, 0.7], [0.7, 1]], min(n, MOST_MEMBERS)).T
                others = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], n).T
                a, b = ((Scores.of(x), Scores.of(y)) for x, y in zip(members, others, strict=True))
                tpr = compare_tpr(a, b, 0.01, seed=number, draws=DRAWS).difference
                area = delong(a, b).difference
                tprs.append((tpr.low, tpr.high))
                areas.append((area.low, area.high))
            cells.append({"number": "TPR at 1% FPR", "true": true_tpr, "n": n} | summary(list(tprs), true_tpr))
            cells.append({"number": "AUROC", "true": true_area, "n": n} | summary(list(areas), true_area))
            BAR.advance(1)
    return cells


BAR = Progress("", None, stream=None)
PARTS: dict[str, tuple[Callable[[int], list[dict[str, Any]]], int]] = {
    "tpr": (tpr_cells, len(SHAPES) * len(RATES) * len(TPRS) * len(SIZES)),
    "auroc": (auroc_cells, len(SHAPES) * len(AREAS) * len(SIZES)),
    "fpr": (fpr_cells, 3 * 3 * len(SIZES)),
    "paired": (paired_cells, 4),
    "ranks": (lambda repetitions: rank_cells(repetitions, BAR.advance), 8),
    "areas": (lambda repetitions: area_cells(repetitions, BAR.advance), 18),
}


def main() -> None:
    """Simulate the parts asked for and store them beside what is stored of the others."""
    global BAR
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--only", default=",".join(PARTS))
    args = parser.parse_args()
    stored = RESULTS / "coverage.json"
    parts = json.loads(stored.read_text())["parts"] if stored.is_file() else {}
    for name in args.only.split(","):
        simulate, cells = PARTS[name]
        with Progress(name, cells, unit="cells") as BAR:
            parts[name] = {"repetitions": args.repetitions, "cells": simulate(args.repetitions)}
        keep("coverage", {"parts": parts})


if __name__ == "__main__":
    main()
