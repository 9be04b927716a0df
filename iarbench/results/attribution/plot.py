"""The confusion matrices of an attribution run as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from iarbench.results.attribution.rows import AttributionRow
from iarbench.results.attribution.view import Line, chosen_fpr, lines_of
from iarbench.results.plots import STYLE, save
from iarbench.results.view import View

MODEL = "model"


def plot_confusions(rows: Sequence[AttributionRow], path: Path, *, fpr: float | None = None) -> None:
    """A panel per detector and attack: whose images (rows) got which answer (columns), in % of the row; main scores,
    models, the open set at the matched threshold. Writes a PNG to `path`."""
    lines = [line for line in lines_of(rows, View(fpr=fpr)) if line.level == MODEL and line.balanced]
    attacks = list(dict.fromkeys(line.attack for line in lines))
    detectors = list(dict.fromkeys(line.detector for line in lines))
    with matplotlib.rc_context(STYLE):
        width, height = max(1, len(attacks)), max(1, len(detectors))
        figure = Figure(figsize=(1.2 + 3.6 * width, 0.7 + 3.5 * height), layout="constrained")
        panels = figure.subplots(height, width, squeeze=False)
        for panel in panels.flatten():
            panel.set_visible(False)
        for line in lines:
            panel = panels[detectors.index(line.detector), attacks.index(line.attack)]
            panel.set_visible(True)
            _draw(panel, line)
        rate = chosen_fpr(rows, fpr)
        at = "" if rate is None else f", threshold at {100 * rate:g}%"
        figure.supxlabel(f"answer, in % of the images of a row{at}", fontsize=9)
        figure.supylabel("images of", fontsize=9)
        save(figure, path)


def _draw(panel: Axes, line: Line) -> None:
    assert line.balanced is not None
    names, answers = list(line.balanced.confusion), line.balanced.predicted
    table = 100 * np.array(list(line.balanced.confusion.values()))
    panel.imshow(table, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        if value >= 0.5:
            colour = "white" if value > 60 else "#333333"
            panel.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color=colour)
    panel.set_xticks(range(len(answers)), answers, rotation=45, ha="right", fontsize=8)
    panel.set_yticks(range(len(names)), names, fontsize=8)
    panel.set_title(f"{line.detector}, {'clean' if line.attack == 'none' else line.attack}")
    panel.tick_params(length=0)
