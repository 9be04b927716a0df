"""Curves of detection: against the strength of attacks, and against what they leave of the images. PNG files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from iarbench.results.plots import COLOURS, MARKERS, STYLE, save
from iarbench.results.rows import AUROC, CLEAN
from iarbench.results.strength import Point, stronger_is_less


def plot_strength(points: Sequence[Point], path: Path) -> bool:
    """A panel per detector, encoder and kind of attack of which there are two strengths or more, a curve per target,
    stronger to the right; dashed: clean images. Writes a PNG; False when there is nothing to draw."""
    kinds = [kind for kind in _each(points, "kind") if len({p.strength for p in points if p.kind == kind} - {None}) > 1]
    detectors, targets = _detectors(points), _each(points, "target")
    if not kinds:
        return False
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(detectors), len(kinds))
        for place, (detector, kind) in enumerate((d, k) for d in detectors for k in kinds):
            panel = panels[place]
            mine = [p for p in points if (p.detector, p.encoder) == detector]
            shown = [p for p in mine if p.kind == kind]
            for number, target in enumerate(targets):
                clean = next((p.value for p in mine if p.target == target and p.attack == CLEAN), None)
                if clean is not None:
                    panel.axhline(
                        _scaled(clean, points), color=_colour(number), linewidth=0.8, linestyle="--", alpha=0.5
                    )
                curve = sorted((p for p in shown if p.target == target), key=lambda p: p.strength or 0.0)
                _curve(panel, [p.strength for p in curve], curve, number, target)
            if stronger_is_less(shown):
                panel.invert_xaxis()
            panel.set_xlabel(f"{kind}: {shown[0].field}" if shown else kind)
            _finish(panel, detector, len(detectors), points)
        _legend(figure, panels[0], clean=True)
        save(figure, path)
    return True


def plot_quality(points: Sequence[Point], path: Path) -> bool:
    """A panel per detector, encoder and target, a curve per kind of attack over the PSNR it leaves, less to the right.
    Writes a PNG; False when no PSNR is known."""
    known = [p for p in points if p.psnr is not None]
    detectors, targets, kinds = _detectors(known), _each(known, "target"), _each(known, "kind")
    if not known:
        return False
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(detectors), len(targets))
        low, high = (f(p.psnr for p in known if p.psnr is not None) for f in (min, max))
        for place, (detector, target) in enumerate((d, t) for d in detectors for t in targets):
            panel = panels[place]
            shown = [p for p in known if (p.detector, p.encoder) == detector and p.target == target]
            for number, kind in enumerate(kinds):
                curve = sorted((p for p in shown if p.kind == kind), key=lambda p: -(p.psnr or 0.0))
                _curve(panel, [p.psnr for p in curve], curve, number, kind)
            panel.set_xlim(high + 1.5, low - 1.5)
            panel.set_xlabel("PSNR of the attacked images, dB")
            panel.set_title(target)
            _finish(panel, detector, len(detectors), points)
        _legend(figure, panels[0])
        save(figure, path)
    return True


def _curve(panel: Axes, x: Sequence[float | None], curve: Sequence[Point], number: int, label: str) -> None:
    kept = [(at, p) for at, p in zip(x, curve, strict=True) if at is not None and p.value is not None]
    value, low, high = (
        np.array([_scaled(getattr(p, name), curve) for _, p in kept], dtype=float) for name in ("value", "low", "high")
    )
    panel.errorbar(
        [at for at, _ in kept], value, yerr=np.abs(np.stack([low, high]) - value) if kept else None,
        color=_colour(number), marker=MARKERS[(number + number // len(COLOURS)) % len(MARKERS)], markersize=4,
        linewidth=1.2, elinewidth=0.7, alpha=0.9, label=label,
    )  # fmt: skip


def _finish(panel: Axes, detector: tuple[str, str], detectors: int, points: Sequence[Point]) -> None:
    if detectors > 1:
        panel.set_title(", ".join([*detector, *filter(None, [panel.get_title("left")])]))
    panel.set_ylim((0.45, 1.02) if points[0].metric == AUROC else (-3, 103))
    panel.set_ylabel(_metric(points))
    panel.grid(color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)


def _panels(blocks: int, each: int) -> tuple[Figure, list[Axes]]:
    """Panels for `blocks` times `each` drawings, every block beginning a row of its own."""
    columns = each if each <= 4 else min((4, 3), key=lambda count: -each % count)  # few empty places
    rows = math.ceil(each / columns) * blocks
    figure = Figure(figsize=(0.8 + 3.3 * columns, 0.9 + 2.6 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).reshape(blocks, -1)
    for panel in grid[:, each:].flatten():
        panel.set_visible(False)
    return figure, list(grid[:, :each].flatten())


def _legend(figure: Figure, panel: Axes, *, clean: bool = False) -> None:
    handles, names = panel.get_legend_handles_labels()
    if clean:
        handles.append(Line2D([], [], color="#777777", linewidth=0.8, linestyle="--"))
        names.append("clean images")
    width = max(len(name) for name in names)
    columns = max(1, int(figure.get_figwidth() * 13 / (width + 6)))
    figure.legend(handles, names, loc="outside upper center", ncols=min(columns, len(names)), fontsize=8)


def _metric(points: Sequence[Point]) -> str:
    first = points[0]
    return "AUROC" if first.metric == AUROC or first.fpr is None else f"TPR at {100 * first.fpr:g}% FPR, %"


def _scaled(value: float | None, points: Sequence[Point]) -> float:
    """Rates in percent, AUROC as it is."""
    return math.nan if value is None else value if points[0].metric == AUROC else 100 * value


def _each(points: Sequence[Point], field: str) -> list[str]:
    return list(dict.fromkeys(getattr(point, field) for point in points if point.attack != CLEAN))


def _detectors(points: Sequence[Point]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((point.detector, point.encoder) for point in points))


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
