"""ROC curves with their 95% bands on a logarithmic axis, as a PNG: a panel a target, a colour a detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from iarbench.errors import UserError
from iarbench.results.compute import Cell
from iarbench.results.plots import COLOURS, STYLE, save
from iarbench.results.rows import CLEAN, POOLED
from iarbench.results.view import encoder_order
from iarbench.stats.roc_band import roc_band
from iarbench.stats.thresholds import ScoreError


def plot_roc(cells: Sequence[Cell], path: Path, *, attack: str = CLEAN, nonmember_set: str = POOLED) -> None:
    """The main score of every detector, with the inverse encoder where there is one, against one set of non-members.

    The dashed part of a curve lies below the smallest rate at which the images give the band a lower end.

    Raises:
        UserError: no scores under this attack, or no such set.
    """
    shown = _best([cell for cell in cells if cell.main])
    targets = list(dict.fromkeys(cell.target for cell in shown))
    colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(dict.fromkeys(map(_label, shown)))}
    columns = min(3, len(targets))
    height = -(-len(targets) // columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1 + 3.2 * columns, 0.9 + 2.9 * height), layout="constrained")
        panels = figure.subplots(height, columns, sharex=True, sharey=True, squeeze=False).flatten()
        for panel, target in zip(panels, targets, strict=False):
            for cell in (cell for cell in shown if cell.target == target):
                try:
                    members, nonmembers, _ = cell.samples(attack, nonmember_set)
                except ScoreError as error:
                    raise UserError(str(error)) from None
                found, colour = roc_band(members, nonmembers), colours[_label(cell)]
                known = ~np.isnan(found.low)
                start = float(found.at[known][0]) if known.any() else 1.0
                panel.fill_between(found.at[known], found.low[known], found.high[known], color=colour, alpha=0.18, lw=0)
                many = found.fpr >= start
                panel.step(found.fpr, found.tpr, where="post", color=colour, lw=1, linestyle="--")
                panel.step(found.fpr[many], found.tpr[many], where="post", color=colour, lw=1.5, label=_label(cell))
            panel.set_title(target)
            panel.set(xscale="log", xlim=(1e-3, 1), ylim=(0, 1.02))
            panel.grid(color="#dddddd", linewidth=0.6)
        for panel in panels[len(targets) :]:
            panel.set_visible(False)
        figure.supxlabel(f"FPR on {nonmember_set} non-members, {'clean' if attack == CLEAN else attack}", fontsize=9)
        figure.supylabel("TPR, with 95% band", fontsize=9)
        handles = {
            label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=min(6, len(handles)))
        save(figure, path)


def _label(cell: Cell) -> str:
    return " ".join(filter(None, (str(cell.identity["detector"]), str(cell.identity["parameters"]))))


def _best(cells: Sequence[Cell]) -> list[Cell]:
    """Of each detector and target the cell with the encoder that is known to work best."""
    found: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        other = found.setdefault((cell.target, _label(cell)), cell)
        if _order(cell) < _order(other):
            found[cell.target, _label(cell)] = cell
    return list(found.values())


def _order(cell: Cell) -> int:
    return encoder_order(str(cell.identity["encoder"]))
