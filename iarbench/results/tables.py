"""Rows of results as text: a table that fits a terminal, plain lines for a pipe, Markdown for a README.

Several detectors are compared by the metric of the task: the best one of each target and attack first, the others
beside it as far as there is room. One detector, or a view that asks for more, gets every threshold, AUROC and time. The
short table is no longer than a screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.text import Text

from iarbench.results.fitted import Fitted, Grid
from iarbench.results.rows import AUROC, CLEAN, THRESHOLDS, TPR, Row
from iarbench.results.view import Line, View, chosen_fpr, lines_of, primary_metric
from iarbench.text_table import aligned, markdown_table, with_short_commits

DASH = "–"
SCREEN = 24
"""Lines of a short table, at most, where targets are no more than that."""
TEXTS = 3
"""Columns of text in a table with details: detector, encoder, attack."""
PSNR = "PSNR"
DROPPED = ("ms", PSNR, "transfer", "oracle", "matched", "guaranteed", "FPR", "AUROC", "encoder")
"""Columns of a table with details that are left out where there is no room, the first one first."""
ONE_SIDED = {
    "members": "Attacks act on members only; thresholds come from clean calibration images.",
    "nonmembers": "Attacks act on non-members only; thresholds come from attacked calibration images.",
}


def render(rows: Sequence[Row], view: View | None = None) -> Group:
    """A table that fits the terminal, then what its numbers mean and why one is missing."""
    view = view or View()
    lines, more = _a_screen(lines_of(rows, view), view)
    rate, metric = chosen_fpr(rows, view.fpr), primary_metric(rows)
    detectors = _detectors(lines)
    if view.short and len(detectors) > 1:
        notes = [*more, f"{_metric_name(metric, rate, view.threshold)}.", MORE]
        return Group(*_by_detector(lines, detectors, metric, rate), *_notes(lines, notes))
    return Group(*_details(lines, rate, len(detectors)), *_notes(lines, [*more, *_how_to_read(lines, rate)]))


def _a_screen(lines: Sequence[Line], view: View) -> tuple[list[Line], list[str]]:
    """Of a short table the first attacks of every target, clean images first, and a note on the others."""
    attacks = list(dict.fromkeys(line.attack for line in lines))
    room = max(1, SCREEN // len({line.target for line in lines}))
    if not view.short or len(attacks) <= room:
        return list(lines), []
    shown = set(attacks[:room])
    what = f"Shown: {', '.join(attacks[:room])}; {len(attacks) - room} more attacks: --details, or write to a file."
    return [line for line in lines if line.attack in shown], [what]


def plain(rows: Sequence[Row], view: View | None = None) -> str:
    """One line per result, columns aligned with at least two spaces between; for pipes and logs. Reasons follow a #."""
    grid, _ = _grid(rows, view)
    lines = lines_of(rows, view)
    notes = [*_one_sided(lines), *(f"{DASH} {reason}" for reason in _reasons(lines))]
    return "\n".join([*aligned(grid), *(f"# {note}" for note in notes)])


def markdown(rows: Sequence[Row], view: View | None = None) -> str:
    """The same as a Markdown table, text columns left and numbers right."""
    (head, *body), texts = _grid(rows, view)
    return markdown_table(head, body, texts)


def with_interval(row: Row | None, digits: int = 1) -> str:
    """`98.3 [96.1, 99.5]` in percent, `digits` behind the point of its interval; AUROC as `0.983 [0.961, 0.995]`; with
    a * where the interval is about this very threshold (`Row.interval`)."""
    if row is None or row.value is None or row.low is None or row.high is None:
        return DASH
    if row.metric == AUROC:
        return f"{row.value:.3f} [{row.low:.{digits + 2}f}, {row.high:.{digits + 2}f}]"
    mark = "*" if row.interval == "at-threshold" else ""
    return f"{100 * row.value:.1f} [{100 * row.low:.{digits}f}, {100 * row.high:.{digits}f}]{mark}"


def _grid(rows: Sequence[Row], view: View | None) -> tuple[list[list[str]], int]:
    """Header and lines as cells, each line complete in itself, and how many columns are text."""
    view = view or View()
    lines = lines_of(rows, view)
    rate, metric = chosen_fpr(rows, view.fpr), primary_metric(rows)
    detectors, quality = _detectors(lines), _quality_head(lines)
    if view.short and len(detectors) > 1:
        names = [f"{name} {_short_name(metric, rate)}" for name in detectors]
        return [["target", "attack", *names, *quality], *_side_by_side(lines, detectors, metric, quality)], 2
    front, others = ["target", "against"] if view.all_sets else ["target"], _others(lines)
    body = [
        [line.target, *([line.nonmember_set] if view.all_sets else []), *_cells(line, others, quality)]
        for line in lines
    ]
    head = [*front, *_headers(lines, rate, others, quality)]
    return [head, *body], len(front) + TEXTS


def _detectors(lines: Iterable[Line]) -> list[str]:
    return list(dict.fromkeys(line.detector for line in lines))


def _side_by_side(
    lines: Sequence[Line], detectors: Sequence[str], metric: str, quality: Sequence[str]
) -> list[list[str]]:
    """A row per target and attack; a cell per detector."""
    found = {(line.target, line.attack, line.detector): line.main(metric) for line in lines}
    left = {(line.target, line.attack): _quality(line, quality) for line in lines}
    return [[*key, *(with_interval(found.get((*key, name)), 0) for name in detectors), *left[key]] for key in left]


def _quality_head(lines: Iterable[Line]) -> list[str]:
    """The head of a column with what attacks left of the images, where that was measured."""
    return [PSNR] if any(line.psnr is not None for line in lines) else []


def _quality(line: Line, head: Sequence[str]) -> list[str]:
    """The cell below `head`, which `_quality_head` gave for all lines."""
    return [DASH if line.psnr is None else f"{line.psnr:.1f}"] if head else []


def _short_name(metric: str, rate: float | None) -> str:
    return "AUROC" if metric == AUROC else f"TPR@{DASH if rate is None else f'{100 * rate:g}%'}"


def _metric_name(metric: str, rate: float | None, threshold: str) -> str:
    if metric == AUROC or rate is None:
        return "AUROC with its 95% interval; 0.5 = chance"
    flags = {
        "matched": f"flags {100 * rate:g}% of calibration non-members under the same attack",
        "transfer": f"flags {100 * rate:g}% of clean calibration non-members",
        "oracle": f"flags {100 * rate:g}% of the test non-members themselves",
        "guaranteed": f"flags at most {100 * rate:g}% of new non-members under the same attack, with 95% confidence",
    }[threshold]
    what = "TPR in %: how many of the target's images a detector finds, with its 95% interval"
    return f"{what}, at the threshold that {flags}"


AT_THRESHOLD = (
    "* about the TPR at this very threshold: for one about the rate, an FPR of 1% takes 368 independent calibration "
    "images (one a group), 5% takes 72."
)

GUARANTEED = (
    "* about the TPR at this very threshold: a guaranteed one is a promise, no estimate of where the rate lies."
)

MORE = (
    "Each detector's main score, with the inverse encoder where there is one, all non-members pooled. More: --details, "
    "--all-scores, --all-encoders, --all-sets."
)


def _how_to_read(lines: Sequence[Line], rate: float | None) -> list[str]:
    threshold, others = lines[0].threshold, _others(lines)
    told = {
        "transfer": " transfer: threshold from clean calibration images.",
        "oracle": " oracle: from the test non-members themselves, as in the papers.",
        "guaranteed": " guaranteed: low enough to keep the rate with 95% confidence.",
        "matched": " matched: from calibration images under the same attack.",
    }
    return [
        f"{_metric_name(TPR, rate, threshold)} ({threshold}).{''.join(told[kind] for kind in others)} FPR: test "
        f"non-members that the {threshold} threshold flags, in %. ms: milliseconds per image."
    ]


def _others(lines: Iterable[Line]) -> list[str]:
    """Further kinds of threshold that a table with details has columns of; guaranteed where one has a number."""
    lines = list(lines)
    kinds = [kind for kind in THRESHOLDS if kind != lines[0].threshold]
    known = {kind for line in lines for kind in kinds if (row := line.tpr(kind)) and row.value is not None}
    return [kind for kind in kinds if kind != "guaranteed" or kind in known]


def _headers(lines: Sequence[Line], rate: float | None, others: Sequence[str], quality: Sequence[str]) -> list[str]:
    tpr = f"{_short_name(TPR, rate)} {lines[0].threshold}"
    return ["detector", "encoder", "attack", tpr, *others, "FPR", "AUROC", "ms", *quality]


def _cells(line: Line, others: Sequence[str], quality: Sequence[str]) -> list[str]:
    return [
        line.detector,
        line.encoder,
        line.attack,
        with_interval(line.chosen),
        *(_percent(row.value if (row := line.tpr(kind)) else None) for kind in others),
        _percent(line.chosen.fpr_achieved if line.chosen else None),
        DASH if line.auroc is None or line.auroc.value is None else f"{line.auroc.value:.3f}",
        f"{1000 * line.rows[0].seconds_per_image:.1f}",
        *_quality(line, quality),
    ]


def _percent(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f}"


def _by_detector(
    lines: Sequence[Line], detectors: Sequence[str], metric: str, rate: float | None
) -> list[RenderableType]:
    """A column with intervals per detector; without room for them, the best detector's number and the others' short."""
    more = _quality_head(lines)
    cells = _side_by_side(lines, detectors, metric, more)
    whole = Grid(["target", "attack", *detectors, *more], cells, 2, strong=2)
    body = []
    for row in cells:
        values = row[2 : 2 + len(detectors)]
        found = [(float(value.split()[0]), -place) for place, value in enumerate(values) if value != DASH]
        best = -max(found)[1] if found else 0
        short = [value.split()[0] for value in values]
        body.append([*row[:2], detectors[best], values[best], *short, *row[2 + len(detectors) :]])
    header = ["target", "attack", "best", _short_name(metric, rate), *detectors, *more]
    droppable = tuple(range(len(header) - 1, 3, -1))
    return [Text(_title(lines), style="bold"), Fitted([whole, Grid(header, body, 3, droppable, strong=3)])]


def _details(lines: Sequence[Line], rate: float | None, detectors: int) -> list[RenderableType]:
    """One table when there is one detector and set, else a table per target and set."""
    quality = _quality_head(lines)
    others = _others(lines)
    headers, texts = _headers(lines, rate, others, quality), TEXTS
    if detectors == 1 and len({line.nonmember_set for line in lines}) == 1:
        title = f"{lines[0].detector}: {_title(lines)}"
        rows = [[line.target, *_cells(line, others, quality)[1:]] for line in lines]
        return _table(["target", *headers[1:]], rows, title, texts)
    tables: list[RenderableType] = []
    for _, block in groupby(lines, key=lambda line: (line.target, line.nonmember_set)):
        group = list(block)
        tables += _table(headers, [_cells(line, others, quality) for line in group], _title(group), texts)
    return tables


def _table(headers: Sequence[str], rows: Sequence[list[str]], title: str, texts: int) -> list[RenderableType]:
    """Title and table; an encoder that is everywhere the same stands in the title."""
    place = headers.index("encoder")
    if len({row[place] for row in rows}) == 1:
        title += f", encoder {rows[0][place]}"
        headers = [*headers[:place], *headers[place + 1 :]]
        rows, texts = [[*row[:place], *row[place + 1 :]] for row in rows], texts - 1
    drop = [headers.index(name) for name in DROPPED if name in headers]
    return [Text(title, style="bold"), Fitted([Grid(headers, rows, texts, drop, strong=texts)])]


def _title(lines: Sequence[Line]) -> str:
    """`a (40 images) against photos + other-generators (400 in 80 groups)`; a range where targets differ."""
    rows = [line.rows[0] for line in lines]
    targets = list(dict.fromkeys(row.target for row in rows))
    whose = targets[0] if len(targets) == 1 else f"{len(targets)} targets"
    pools = list(dict.fromkeys(name for row in rows for name in row.pools))
    groups = (
        ""
        if all(row.n_groups == row.n_nonmembers for row in rows)
        else f" in {_range(r.n_groups for r in rows)} groups"
    )
    images = _range(row.n_members for row in rows) + (" images" if len(targets) == 1 else " images each")
    whose, against = with_short_commits(whose), with_short_commits(" + ".join(pools))
    return f"{whose} ({images}) against {against} ({_range(row.n_nonmembers for row in rows)}{groups})"


def _range(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _notes(lines: Sequence[Line], notes: Sequence[str]) -> list[Text]:
    one_sided = _one_sided(lines)
    if _quality_head(lines):
        one_sided.append("PSNR: what the attack leaves of the images it acts on, median in dB; rows hold SSIM too.")
    if any(line.chosen and line.chosen.interval == "at-threshold" for line in lines):
        one_sided.append(GUARANTEED if lines[0].threshold == "guaranteed" else AT_THRESHOLD)
    reasons = [f"{DASH} {reason}" for reason in _reasons(lines)]
    return [Text(note, style="dim") for note in (*notes, *one_sided, *reasons)]


def _one_sided(lines: Iterable[Line]) -> list[str]:
    """Whose images are attacked, where it is not everybody's."""
    rows = (row for line in lines for row in line.rows if row.attack != CLEAN)
    sides = {row.attacked for row in rows} - {"both"}
    return [ONE_SIDED[side] for side in sorted(sides)]


def _reasons(lines: Iterable[Line]) -> list[str]:
    """Why numbers are missing, each reason once."""
    return list(dict.fromkeys(row.reason for line in lines for row in line.rows if row.reason))
