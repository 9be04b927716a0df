"""How often mean ranks and areas under strength curves hold the truth: the parts `ranks` and `areas` of bench_coverage.

Ranks: four detectors in four cells, two targets under two attacks; all scores of an image correlate by 0.5. `near`:
80, 81, 82 and 83% in every cell, which so few images do not tell apart; `apart`: 50, 70, 90 and 99%.
`percentiles` is how often the percentiles of resampled mean ranks, which are *not* offered, would hold the truth.
Areas: one detector on clean images and at two strengths, correlation 0.8. `frail`: 99, 80, 30%; `sturdy`: 99.9, 99 and
97%; `weak`: 50, 30, 10%.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import norm, t

from iarbench.stats.area import trapezoid
from iarbench.stats.cuts import cuts_of
from iarbench.stats.intervals import resampled_weights, seed_of
from iarbench.stats.mean_ranks import mean_ranks, rank_intervals
from iarbench.stats.paired import resampled_tpr
from iarbench.stats.thresholds import FloatArray, Scores, threshold
from iarbench.stats.tpr_interval import tpr_interval

MEMBERS, DRAWS = 250, 200
SAMPLES = ((0.01, 400), (0.05, 100))
"""Nominal rate, and calibration images: hardly more than it takes to draw the threshold anew."""

RANKED = {"near": (0.83, 0.82, 0.81, 0.8), "apart": (0.99, 0.9, 0.7, 0.5)}
CURVES = {"frail": (0.99, 0.8, 0.3), "sturdy": (0.999, 0.99, 0.97), "weak": (0.5, 0.3, 0.1)}
ISF: dict[str, Callable[[float], float]] = {"normal": norm.isf, "heavy tails": t(2).isf}


def cells_of(truths: dict[str, Any], sizes: tuple[tuple[float, int], ...]) -> Iterator[tuple[str, str, float, int]]:
    """Every combination that is simulated."""
    return ((name, shape, fpr, n) for name in truths for shape in ISF for fpr, n in sizes)


def rank_cells(repetitions: int, advance: Callable[[int], None]) -> list[dict[str, Any]]:
    """Mean rank of each of four detectors."""
    cells = []
    for name, shape, fpr, n in cells_of(RANKED, SAMPLES):
        rng = np.random.default_rng(seed_of("ranks", name, shape, fpr, n))
        tprs = np.array(RANKED[name])
        true = mean_ranks(np.repeat(tprs[:, None], 4, axis=1))
        held, percentile, widths = [], [], []
        for _ in range(repetitions):
            both = [_drawn(rng, np.repeat(tprs, 2), 0.5, shape, fpr, n) for _ in range(2)]  # a target each
            values = np.concatenate([value.reshape(4, 2) for value, _ in both], axis=1)
            draws = np.concatenate([drawn.reshape(-1, 4, 2) for _, drawn in both], axis=2)
            low, high = rank_intervals(values, draws, np.full(4, 1 / MEMBERS))
            held.append((low <= true) & (true <= high))
            widths.append(high - low)
            ends = np.percentile(mean_ranks(draws), [2.5, 97.5], axis=0)
            percentile.append((ends[0] <= true) & (true <= ends[1]))
        cells += [
            {"shape": f"{name}, {shape}", "fpr": fpr, "n": n, "true": float(true[place]), "offered": 1.0,
             "coverage": float(np.mean(held, axis=0)[place]), "mean_width": float(np.mean(widths, axis=0)[place]),
             "percentiles": float(np.mean(percentile, axis=0)[place])}
            for place in range(4)
        ]  # fmt: skip
        advance(1)
    return cells


def area_cells(repetitions: int, advance: Callable[[int], None]) -> list[dict[str, Any]]:
    """Area under three points of a curve."""
    cells = []
    weights = trapezoid(np.array([0.0, 0.5, 1.0]))
    for name, shape, fpr, n in cells_of(CURVES, (*SAMPLES, (0.01, 1000))):
        rng = np.random.default_rng(seed_of("areas", name, shape, fpr, n))
        tprs = np.array(CURVES[name])
        true = float(tprs @ weights)
        held, widths = [], []
        for _ in range(repetitions):
            sides = _sides(rng, tprs, 0.8, shape, fpr, n)
            ends = [tpr_interval(cuts_of(own), cuts_of(other), fpr) for own, other in sides]
            low, high = weights @ np.array(ends, dtype=np.float64)
            held.append(low <= true <= high)
            widths.append(high - low)
        cells.append(
            {"shape": f"{name}, {shape}", "fpr": fpr, "n": n, "true": true, "offered": 1.0,
             "coverage": float(np.mean(held)), "mean_width": float(np.mean(widths))}
        )  # fmt: skip
        advance(1)
    return cells


def _sides(
    rng: np.random.Generator, tprs: FloatArray, alike: float, shape: str, fpr: float, n: int
) -> list[tuple[Scores, Scores]]:
    """Members and calibration images of k scores on the same images."""
    members, others = (_normal(rng, size, len(tprs), alike) for size in (MEMBERS, n))
    others = others if shape == "normal" else t(2).ppf(norm.cdf(others))
    members += ISF[shape](fpr) + norm.ppf(tprs)
    return [(Scores.of(own), Scores.of(other)) for own, other in zip(members.T, others.T, strict=True)]


def _drawn(
    rng: np.random.Generator, tprs: FloatArray, alike: float, shape: str, fpr: float, n: int
) -> tuple[FloatArray, FloatArray]:
    """TPRs (k,) of k scores on the same images, and in resamples (b, k)."""
    sides = _sides(rng, tprs, alike, shape, fpr, n)
    own_weights, weights = (resampled_weights(one, rng, DRAWS) for one in sides[0])
    calibrating = partial(np.take, weights, axis=1)
    values = [float(np.mean(own.scores > threshold(other, fpr))) for own, other in sides]
    draws = [resampled_tpr(own, own_weights, other, calibrating, fpr) for own, other in sides]
    return np.array(values), np.stack(draws, axis=1)


def _normal(rng: np.random.Generator, count: int, scores: int, alike: float) -> FloatArray:
    common = rng.normal(size=(count, 1))
    return np.asarray(np.sqrt(alike) * common + np.sqrt(1 - alike) * rng.normal(size=(count, scores)))
