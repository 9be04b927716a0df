"""Rows of results as text: a table for a terminal of 100 columns, plain lines for a pipe, Markdown for a README."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from iarbench.device import PRECISIONS
from iarbench.errors import UserError
from iarbench.results.rows import AUROC, CLEAN, POOLED, THRESHOLDS, TPR, Row

DASH = "–"


@dataclass(frozen=True, slots=True)
class Line:
    """One detector with one encoder under one attack against one non-member set; a row is None when not computed."""

    target: str
    detector: str
    encoder: str
    attack: str
    nonmember_set: str
    matched: Row | None
    transfer: Row | None
    oracle: Row | None
    auroc: Row | None

    @property
    def rows(self) -> list[Row]:
        return [row for row in (self.matched, self.transfer, self.oracle, self.auroc) if row]


def summarise(rows: Sequence[Row], *, every_set: bool = False, fpr: float | None = None) -> list[Line]:
    """Lines at one nominal rate (1%, or the smallest there is), pooled or every set; raises UserError for no rows."""
    rate = chosen_fpr(rows, fpr)
    kept = [row for row in rows if every_set or row["nonmember_set"] == POOLED]
    kept = [row for row in kept if row["metric"] == AUROC or row["fpr_nominal"] == rate]
    lines: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in kept:
        kind = AUROC if row["metric"] == AUROC else row["threshold_kind"]
        key = (row["target"], detector_label(row), encoder_label(row), row["attack"], row["nonmember_set"])
        lines.setdefault(key, {})[kind] = row
    found = [_line(key, kinds) for key, kinds in lines.items()]
    targets = list(dict.fromkeys(line.target for line in found))
    sets = list(dict.fromkeys(row["nonmember_set"] for row in rows))
    return sorted(
        found,
        key=lambda x: (
            targets.index(x.target), sets.index(x.nonmember_set), x.detector, x.encoder, x.attack != CLEAN, x.attack
        ),
    )  # fmt: skip


def _line(key: tuple[str, ...], kinds: dict[str, Row]) -> Line:
    target, detector, encoder, attack, nonmember_set = key
    found = (kinds.get(kind) for kind in (*THRESHOLDS, AUROC))
    return Line(target, detector, encoder, attack, nonmember_set, *found)


def chosen_fpr(rows: Sequence[Row], fpr: float | None) -> float | None:
    """The nominal rate to show: `fpr`, which must have rows; by default 1%, else the smallest; None without TPR."""
    if not rows:
        raise UserError("there are no results to show: the run holds no finished cell")
    rates = sorted({row["fpr_nominal"] for row in rows if row["metric"] == TPR})
    if fpr is None:
        return 0.01 if 0.01 in rates else next(iter(rates), None)
    if fpr not in rates:
        raise UserError(f"no results at FPR {fpr:g}; there are: {', '.join(f'{rate:g}' for rate in rates) or 'none'}")
    return fpr


def detector_label(row: Row) -> str:
    """`quantloss`, `detector:score` where one detector gives a score of another name; then the parameters, if any."""
    name = row["detector"] if row["score_name"] == row["detector"] else f"{row['detector']}:{row['score_name']}"
    return f"{name} {row['parameters']}".rstrip()


def encoder_label(row: Row) -> str:
    """`inverse`, with the precision where it is not the usual one: `inverse bfloat16`."""
    return row["encoder"] if row["precision"] == PRECISIONS[0] else f"{row['encoder']} {row['precision']}"


def _headers(rate: float | None) -> list[str]:
    name = DASH if rate is None else f"{100 * rate:g}%"
    return ["detector", "encoder", "attack", f"TPR@{name} matched", "transf.", "oracle", "FPR", "AUROC", "ms"]


def _cells(line: Line) -> list[str]:
    timed = line.rows[0]["seconds_per_image"]
    return [
        line.detector,
        line.encoder,
        line.attack,
        with_interval(line.matched),
        _percent(line.transfer, "value"),
        _percent(line.oracle, "value"),
        _percent(line.matched, "fpr_achieved"),
        DASH if line.auroc is None or line.auroc["value"] is None else f"{line.auroc['value']:.3f}",
        DASH if timed is None else f"{1000 * timed:.1f}",
    ]


def _percent(row: Row | None, key: str) -> str:
    return DASH if row is None or row[key] is None else f"{100 * row[key]:.1f}"


def with_interval(row: Row | None) -> str:
    """`98.3 [96.1, 99.5]` in percent."""
    if row is None or row["value"] is None:
        return DASH
    return f"{100 * row['value']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def render(rows: Sequence[Row], *, every_set: bool = False, fpr: float | None = None) -> Group:
    """A table a target (and set), at most 100 columns wide, then what its columns mean and why a number is missing."""
    headers = _headers(chosen_fpr(rows, fpr))
    lines = summarise(rows, every_set=every_set, fpr=fpr)
    tables = []
    for _, block in groupby(lines, key=lambda line: (line.target, line.nonmember_set)):
        group = list(block)
        table = Table(title=Text(_title(group[0], rows), style="bold"), title_justify="left", box=SIMPLE_HEAD)
        table.padding = (0, 1, 0, 0)
        for place, header in enumerate(headers):
            # where it is too narrow, names fold and numbers stay whole
            table.add_column(header, justify="left" if place < 3 else "right", no_wrap=place >= 3, overflow="fold")
        _fill(table, group)
        tables.append(table)
    return Group(*tables, *(Text(note, style="dim") for note in _notes(lines)))


def _fill(table: Table, lines: list[Line]) -> None:
    """Rows with what repeats from the line above left out."""
    above = ["", ""]
    for line in lines:
        cells = _cells(line)
        repeated = [cells[:2] == above, cells[0] == above[0]]
        above = cells[:2]
        name, encoder = "" if repeated[1] else cells[0], "" if repeated[0] else cells[1]
        table.add_row(name, encoder, cells[2], Text(cells[3], style="bold"), *cells[4:])


def _title(line: Line, rows: Sequence[Row]) -> str:
    row = line.rows[0]
    against = line.nonmember_set
    if against == POOLED:
        sets = dict.fromkeys(r["nonmember_set"] for r in rows if r["target"] == line.target)
        against = " + ".join(takewhile(lambda name: name != POOLED, sets))
    units = "" if row["n_groups"] == row["n_nonmembers"] else f" in {row['n_groups']} groups"
    return f"{line.target} ({row['n_members']} images) against {against} ({row['n_nonmembers']}{units})"


def _notes(lines: Sequence[Line]) -> list[str]:
    notes = [
        "TPR in % with its 95% interval. Threshold from calibration non-members under the same attack",
        "(matched), from clean ones (transf.), or from the test non-members themselves (oracle, as in the",
        "papers). FPR: achieved on test non-members at the matched threshold, in %. ms: an image.",
    ]
    all_rows = [row for line in lines for row in line.rows]
    sides = {row["attacked"] for row in all_rows if row["attack"] != CLEAN} - {"both"}
    notes += [f"Attacks act on {side} only." for side in sorted(sides)]
    return notes + [f"{DASH} {reason}" for reason in _reasons(lines)]


def _reasons(lines: Iterable[Line]) -> list[str]:
    """Why numbers are missing, each reason once."""
    return list(dict.fromkeys(row["reason"] for line in lines for row in line.rows if row["reason"]))


def _grid(rows: Sequence[Row], every_set: bool, fpr: float | None) -> list[list[str]]:
    """Header and lines as cells, each line complete in itself."""
    headers = _headers(chosen_fpr(rows, fpr))
    lines = summarise(rows, every_set=every_set, fpr=fpr)
    front = ["target", "against"] if every_set else ["target"]
    body = [[line.target, *([line.nonmember_set] if every_set else []), *_cells(line)] for line in lines]
    return [[*front, *headers], *body]


def plain(rows: Sequence[Row], *, every_set: bool = False, fpr: float | None = None) -> str:
    """One line a result, columns aligned with at least two spaces between; for pipes and logs. Reasons follow a #."""
    grid = _grid(rows, every_set, fpr)
    widths = [max(len(cell) for cell in column) for column in zip(*grid, strict=True)]
    body = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in grid]
    reasons = _reasons(summarise(rows, every_set=every_set, fpr=fpr))
    return "\n".join([*body, *(f"# {DASH} {reason}" for reason in reasons)])


def markdown(rows: Sequence[Row], *, every_set: bool = False, fpr: float | None = None) -> str:
    """The same as a Markdown table, text columns left and numbers right."""
    head, *body = _grid(rows, every_set, fpr)
    texts = len(head) - 6
    rule = ["---"] * texts + ["---:"] * 6
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *body))


def show(
    rows: Sequence[Row], *, every_set: bool = False, fpr: float | None = None, console: Console | None = None
) -> None:
    """Print the table, or plain lines when the output is not a terminal."""
    console = console or Console()
    if console.is_terminal:
        console.print(render(rows, every_set=every_set, fpr=fpr))
    else:
        console.file.write(plain(rows, every_set=every_set, fpr=fpr) + "\n")
