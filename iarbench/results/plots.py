"""Pictures of a run as PNG files: what each detector reaches, and the scores behind it. Needs matplotlib only here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iarbench.results.rows import Row
from iarbench.results.view import Line, View, chosen_fpr, lines_of
from iarbench.stats.thresholds import FloatArray

COLOURS = ("#1b6ca8", "#d1495b", "#3a8f5d", "#b07aa1", "#e08e0b", "#5b5b5b", "#76b7b2", "#9c755f")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
STYLE: Any = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#888888",
    "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left", "legend.frameon": False,
}  # fmt: skip


def plot_run(rows: Sequence[Row], path: Path, *, fpr: float | None = None) -> None:
    """A panel per target, three side by side: TPR at the matched threshold with its 95% interval, a row per detector
    and encoder, a colour per attack; main scores, pooled non-members. Writes a PNG to `path`."""
    lines = [line for line in lines_of(rows, View(fpr=fpr, all_encoders=True)) if line.matched]
    targets = list(dict.fromkeys(line.target for line in lines))
    labels = list(dict.fromkeys((line.detector, line.encoder) for line in lines))
    attacks = list(dict.fromkeys(line.attack for line in lines))
    step = 0.14 * len(attacks) + 0.16
    with matplotlib.rc_context(STYLE):
        columns = min(len(targets), 3)
        height = -(-len(targets) // columns)
        size = (1.6 + 3.4 * columns, 0.9 + (0.4 + step * len(labels)) * height)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(height, columns, sharey=True, squeeze=False).flatten()
        for panel, target in zip(panels, targets, strict=False):
            _draw_target(panel, [line for line in lines if line.target == target], labels, attacks)
            panel.set_title(target)
        for panel in panels[len(targets) :]:
            panel.set_visible(False)
        panels[0].set_yticks(range(len(labels)), [f"{detector}, {encoder}" for detector, encoder in labels])
        panels[0].invert_yaxis()
        rate = chosen_fpr(rows, fpr) or 0.0
        figure.supxlabel(
            f"TPR at {100 * rate:g}% FPR, in % (matched threshold, all non-members pooled, 95% interval)", fontsize=9
        )
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper right", ncols=min(6, len(names)))
        save(figure, path)


def _draw_target(panel: Axes, lines: Sequence[Line], labels: list[tuple[str, str]], attacks: list[str]) -> None:
    offsets = (np.arange(len(attacks)) - (len(attacks) - 1) / 2) * 0.75 / len(attacks)
    for place in range(0, len(labels), 2):
        panel.axhspan(place - 0.5, place + 0.5, color="#f4f4f4", zorder=0)
    for number, attack in enumerate(attacks):
        drawn = [(line, line.matched) for line in lines if line.attack == attack and line.matched]
        shown = [(line, row) for line, row in drawn if row.value is not None]
        value, low, high = (
            100 * np.array([getattr(row, name) for _, row in shown], dtype=float) for name in ("value", "low", "high")
        )
        panel.errorbar(
            value,
            [labels.index((line.detector, line.encoder)) + offsets[number] for line, _ in shown],
            xerr=np.abs(np.stack([low, high]) - value),
            fmt=MARKERS[number % len(MARKERS)],
            color=_colour(number),
            markersize=4.5,
            elinewidth=1.3,
            label="clean" if attack == "none" else attack,
        )
    panel.set_xlim(-3, 103)
    panel.set_ylim(-0.5, len(labels) - 0.5)
    panel.grid(axis="x", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(axis="y", length=0)


def plot_scores(
    members: FloatArray,
    nonmembers: Mapping[str, FloatArray],
    path: Path,
    *,
    title: str = "",
    threshold: float | None = None,
) -> None:
    """Histograms of `members` (m,) and each set of `nonmembers` (n,), with the threshold, beside their ROC curves on a
    logarithmic FPR axis. Scores higher = more likely a member. Writes a PNG to `path`."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_histograms(left, {"members": members, **nonmembers}, threshold)
        left.set_title(title)
        for number, (name, scores) in enumerate(nonmembers.items(), start=1):
            right.step(*roc(members, scores), where="post", color=_colour(number), label=f"against {name}")
        floor = 0.5 / max(len(scores) for scores in nonmembers.values())
        right.set(xscale="log", xlim=(floor, 1), ylim=(0, 1.02), xlabel="FPR", ylabel="TPR")
        right.grid(color="#dddddd", linewidth=0.6)
        right.legend(fontsize=8, loc="lower right")
        save(figure, path)


def _draw_histograms(panel: Axes, sets: Mapping[str, FloatArray], threshold: float | None) -> None:
    # a few outliers must not squeeze all others into one bin: they are drawn in the outermost ones
    low, high = np.percentile(np.concatenate(list(sets.values())), [0.5, 99.5])
    bins = np.linspace(float(low), float(high), 41).tolist()
    for number, (name, scores) in enumerate(sets.items()):
        percent = np.full(len(scores), 100 / len(scores))
        shown = np.clip(scores, bins[0], bins[-1])
        panel.hist(shown, bins, weights=percent, histtype="stepfilled", alpha=0.3, color=_colour(number))
        panel.hist(shown, bins, weights=percent, histtype="step", color=_colour(number), label=name)
    if threshold is not None:
        panel.axvline(threshold, color="#333333", linewidth=1, linestyle="--", label="threshold")
    panel.set(xlabel="score (higher = more likely a member)", ylabel="images, %")
    panel.legend(fontsize=8)


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def save(figure: Figure, path: Path) -> None:
    """Without the writer's version inside, so that the same picture is the same file."""
    figure.savefig(path, format="png", dpi=160, facecolor="white", metadata={"Software": None})


def roc(members: FloatArray, nonmembers: FloatArray) -> tuple[FloatArray, FloatArray]:
    """ROC curve as (fpr, tpr), each (k,) from (0, 0) to (1, 1): a point per distinct score."""
    cuts = np.unique(np.concatenate([members, nonmembers]))[::-1]

    def fraction(scores: FloatArray) -> FloatArray:
        above = len(scores) - np.searchsorted(np.sort(scores), cuts, side="left")
        return np.concatenate([[0.0], above / len(scores)])

    return fraction(nonmembers), fraction(members)
