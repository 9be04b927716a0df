"""Attribution rows as text: a table for a terminal, plain lines for a pipe, Markdown for a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from iarbench.results.attribution.rows import EVERY, AttributionRow
from iarbench.results.attribution.view import Line, chosen_fpr, lines_of
from iarbench.results.fitted import Fitted, Grid
from iarbench.results.tables import DASH
from iarbench.results.view import View
from iarbench.text_table import aligned, markdown_table

HOW_TO_READ = (
    "In %. Rank-1 and mAP: images of the targets, named by their highest standardised score. balanced: mean over all "
    "classes and none, at the nominal rate. worst: the class found least. Then how many images of none of the targets "
    "are named: of each real set, and of each family while it is left out (mean)."
)


Titled = tuple[str, Grid]


def render(rows: Sequence[AttributionRow], view: View | None = None) -> Group:
    """A table for models, one for families, and what their numbers mean."""
    parts: list[RenderableType] = []
    for title, grid in _grids(rows, view, by_level=True):
        parts += [Text(title, style="bold"), Fitted([grid])]
    reasons = [f"{DASH} {reason}" for reason in _reasons(lines_of(rows, view))]
    return Group(*parts, *(Text(note, style="dim") for note in (HOW_TO_READ, *reasons)))


def plain(rows: Sequence[AttributionRow], view: View | None = None) -> str:
    """One line per result, columns aligned; reasons for missing numbers follow a #."""
    blocks = ["\n".join(aligned([grid.header, *grid.body])) for _, grid in _grids(rows, view, by_level=False)]
    reasons = [f"# {DASH} {reason}" for reason in _reasons(lines_of(rows, view))]
    return "\n".join(["\n\n".join(blocks), *reasons])


def markdown(rows: Sequence[AttributionRow], view: View | None = None) -> str:
    """The same as Markdown tables, text columns left and numbers right."""
    return "\n\n".join(
        markdown_table(grid.header, grid.body, grid.texts) for _, grid in _grids(rows, view, by_level=False)
    )


def _grids(rows: Sequence[AttributionRow], view: View | None, by_level: bool) -> Iterator[Titled]:
    """The short table, one for each level or both in one; then, where details are asked for, what is behind it."""
    view = view or View()
    lines, rate = lines_of(rows, view), chosen_fpr(rows, view.fpr)
    if by_level:
        for level in dict.fromkeys(line.level for line in lines):
            yield _summary([line for line in lines if line.level == level], rate, view)
    else:
        yield _summary(lines, rate, view)
    if view.details or view.all_sets:
        yield _recalls(lines)
        yield _left_out([line for line in lines if line.level == lines[0].level])
        yield from (_confusion(line) for line in lines if line.balanced and line.threshold_kind == "matched")


def _summary(lines: Sequence[Line], rate: float | None, view: View) -> Titled:
    levels = list(dict.fromkeys(line.level for line in lines))
    subjects = list(dict.fromkeys(name for line in lines for name in line.named))
    at = DASH if rate is None else f"{100 * rate:g}%"
    front = ["level", "detector", "encoder", "attack", "threshold"]
    kept = [len(levels) > 1, True, view.all_encoders, True, view.details]
    texts = [name for name, keep in zip(front, kept, strict=True) if keep]
    header = [
        *texts,
        "Rank-1",
        "mAP",
        f"balanced@{at}",
        "worst",
        *(f"{name} named" for name in subjects),
        "left-out named",
    ]
    body = []
    for level in levels:
        own = [line for line in lines if line.level == level]
        body.append(_chance(own, level, front, kept, subjects, rate))
        for line in own:
            labels = [line.level, line.detector, line.encoder, line.attack, line.threshold_kind]
            worst = line.recalls[0] if line.recalls else None
            cells = [with_interval(line.rank1), _percent(line.map), with_interval(line.balanced)]
            cells.append(f"{worst.subject} {_percent(worst)}" if worst else DASH)
            cells += [_percent(line.named.get(name)) for name in subjects]
            cells.append(_percent(line.left_out.get(EVERY)))
            body.append([label for label, keep in zip(labels, kept, strict=True) if keep] + cells)
    drop = (*range(len(header) - 1, len(texts) + 2, -1), len(texts) + 1)  # all but Rank-1 and balanced
    return f"{' and '.join(levels)}: which one made an image, or none of them", Grid(header, body, len(texts), drop)


def _chance(
    lines: Sequence[Line], level: str, front: list[str], kept: list[bool], subjects: list[str], rate: float | None
) -> list[str]:
    """The line that says what a guess reaches, and what rate is promised for images of none."""
    labels = [level, "chance", DASH, DASH, DASH]

    def of(field: str) -> str:
        rows = [row for line in lines if (row := getattr(line, field)) is not None and row.chance is not None]
        return f"{100 * rows[0].chance:.1f}" if rows else DASH

    nominal = DASH if rate is None else f"{100 * rate:g}"
    cells = [of("rank1"), of("map"), of("balanced"), DASH, *(nominal for _ in subjects), nominal]
    return [label for label, keep in zip(labels, kept, strict=True) if keep] + cells


def _recalls(lines: Sequence[Line]) -> Titled:
    """Every class, the worst first."""
    body = [
        [line.level, line.detector, line.attack, line.threshold_kind, row.subject, with_interval(row)]
        for line in lines
        for row in line.recalls
    ]
    header = ["level", "detector", "attack", "threshold", "class", "recall"]
    return "found and rightly named, the worst first", Grid(header, body, 5)


def _left_out(lines: Sequence[Line]) -> Titled:
    """How many images of none of the targets are named: real ones, and those of families that are left out."""
    body = [
        [line.detector, line.attack, line.threshold_kind, what, name, with_interval(row)]
        for line in lines
        for what, found in (("real or unknown", line.named), ("family left out", line.left_out))
        for name, row in found.items()
    ]
    header = ["detector", "attack", "threshold", "as", "images of", "named"]
    return "images of none of the targets that are named", Grid(header, body, 5)


def _confusion(line: Line) -> Titled:
    assert line.balanced is not None
    which = f"{line.level}: {line.detector}, {line.encoder}, {line.attack}"
    title = f"{which}: images of a row that get the answer of a column"
    body = [[name, *(f"{100 * value:.1f}" for value in row)] for name, row in line.balanced.confusion.items()]
    return title, Grid(["images of", *line.balanced.predicted], body, 1)


def with_interval(row: AttributionRow | None, digits: int = 0) -> str:
    """`98.3 [96, 100]` in percent, `digits` behind the point of its interval."""
    if row is None or row.value is None or row.low is None or row.high is None:
        return DASH
    return f"{100 * row.value:.1f} [{100 * row.low:.{digits}f}, {100 * row.high:.{digits}f}]"


def _percent(row: AttributionRow | None) -> str:
    return DASH if row is None or row.value is None else f"{100 * row.value:.1f}"


def _reasons(lines: Sequence[Line]) -> list[str]:
    return list(dict.fromkeys(reason for line in lines for reason in line.reasons))
