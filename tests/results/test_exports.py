from __future__ import annotations

import csv
import io

import numpy as np
import run_folder

from iarbench.results.compute import cells_of, compute_rows
from iarbench.results.exports import as_csv, as_latex
from iarbench.results.roc_plot import plot_roc
from iarbench.stats.cuts import cuts_of
from iarbench.stats.roc_band import roc_band
from iarbench.stats.thresholds import Scores
from iarbench.stats.tpr_interval import tpr_interval


def test_csv_holds_every_field_of_every_row() -> None:
    images = run_folder.index(120)
    rows = compute_rows(run_folder.run(images, ("none",)), images, run_folder.task())
    lines = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert line["value"] == ("" if row.value is None else repr(row.value))
        assert line["pools"] == " ".join(row.pools)
        assert list(line) == list(type(row).model_fields)


def test_latex_escapes_and_aligns() -> None:
    table = "| target | TPR@1% |\n| --- | ---: |\n| my_gen & co | 98.3 [96.1, 99.5]* |\n| b | – |"
    assert as_latex(table).splitlines() == [
        "\\begin{tabular}{lr}",
        "\\toprule",
        "target & TPR@1\\% \\\\",
        "\\midrule",
        "my\\_gen \\& co & 98.3 [96.1, 99.5]* \\\\",
        "b & -- \\\\",
        "\\bottomrule",
        "\\end{tabular}",
    ]


def test_a_band_is_the_interval_at_each_rate() -> None:
    rng = np.random.default_rng(0)
    members, nonmembers = Scores.of(rng.normal(2, 1, 200)), Scores.of(rng.normal(size=400))
    found = roc_band(members, nonmembers)
    assert (found.fpr[0], found.fpr[-1], found.tpr[-1]) == (0, 1, 1)
    assert np.all(np.diff(found.fpr) >= 0) and np.all(np.diff(found.tpr) >= 0)  # noqa: PT018
    for rate, low, high in zip(found.at, found.low, found.high, strict=True):
        expected = tpr_interval(cuts_of(members), cuts_of(nonmembers), rate)
        assert (None if np.isnan(low) else low, high) == expected
    assert np.isnan(found.low[found.at < 0.0091]).all()  # 400 images: no lower end below 1 - 0.025^(1/400)
    assert not np.isnan(found.low[found.at > 0.0093]).any()


def test_roc_curves_are_drawn(tmp_path: object) -> None:
    from pathlib import Path

    images = run_folder.index(120)
    cells = list(cells_of(run_folder.run(images), images, run_folder.task()))
    path = Path(str(tmp_path)) / "roc.png"
    plot_roc(cells, path, attack="jpeg50")
    assert path.read_bytes().startswith(b"\x89PNG")
