"""Rows of provenance tasks into groups whose numbers may stand side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from iarbench.board.gather import Batch
from iarbench.board.origin import origin
from iarbench.board.provenance import Cell, Entry, Group, Line
from iarbench.results.rows import AUROC, CLEAN, POOLED, Key, Row, clean_first, key_of, main_scores

Images = dict[tuple[str, str], str]
"""(target, non-member set) -> fingerprint of the images that its numbers stand on."""


def groups_of(batches: Sequence[Batch]) -> list[Group]:
    """Every row of a provenance task in its group; tasks by name, the newest version and the most images first.

    Rows of different versions of a task or of the metrics, of different attacked sides or of different images are never
    in one group.
    Where two rows are about the same, that of the later batch counts, the user's last.
    """
    found: dict[tuple[str, int, int, str], dict[Key, list[tuple[Row, Batch]]]] = {}
    for batch in sorted(batches, key=lambda batch: batch.own):
        for row in batch.rows:
            if isinstance(row, Row):
                tasks = found.setdefault((row.task, -row.task_version, -row.metric_version, row.attacked), {})
                tasks.setdefault(key_of(row), []).append((row, batch))
    newest = {(task, version): metrics for task, version, metrics, _ in sorted(found, reverse=True)}
    return [
        group
        for task, version, metrics, side in sorted(found)
        for group in _split(found[task, version, metrics, side], -metrics if metrics != newest[task, version] else None)
    ]


def _images(rows: Iterable[tuple[Row, Batch]]) -> Images:
    return {(row.target, row.nonmember_set): row.images_fingerprint for row, _ in rows}


def _split(entries: dict[Key, list[tuple[Row, Batch]]], metrics: int | None) -> list[Group]:
    """Entries that share the images of at least one set belong together; so do those that nothing tells apart, and the
    scores of one detector in one run: of some only rows against pooled images are kept, which siblings may be among."""
    parts: list[tuple[Images, dict[Key, list[tuple[Row, Batch]]]]] = []
    by_size = sorted(entries, key=lambda key: (-max(row.n_members for row, _ in entries[key]), -len(entries[key]), key))
    for key in by_size:
        for images, rows in _by_images(entries[key]):
            homes = (part for part in parts if key not in part[1])
            home = next((part for part in homes if _fits(images, part[0]) or _kin(key, rows, part[1])), None)
            if home is None:
                parts.append(home := ({}, {}))
            home[1][key] = rows
            home[0].update({cell: found for cell, found in images.items() if cell not in home[0]})
    full = max(_members(members) for _, members in parts)
    return [_group(members, full, metrics) for _, members in parts]


def _by_images(rows: list[tuple[Row, Batch]]) -> list[tuple[Images, list[tuple[Row, Batch]]]]:
    """The rows of one entry, apart where it was run on different images."""
    found: list[tuple[Images, list[tuple[Row, Batch]]]] = []
    batches = {id(batch): batch for _, batch in rows}
    for number in batches:
        part = [pair for pair in rows if id(pair[1]) == number]
        images = _images(part)
        home = next((one for one in found if _fits(images, one[0])), None)
        if home is None:
            found.append((images, part))
        else:
            home[0].update(images)
            home[1].extend(part)
    return found


def _fits(images: Images, others: Images) -> bool:
    shared = images.keys() & others.keys()
    return not shared or any(images[cell] == others[cell] for cell in shared)


def _kin(key: Key, rows: list[tuple[Row, Batch]], entries: dict[Key, list[tuple[Row, Batch]]]) -> bool:
    """Whether another score of the same detector, from the same run, is among the entries."""
    batches = {id(batch) for _, batch in rows}
    return any(other[0] == key[0] and batches & {id(batch) for _, batch in entries[other]} for other in entries)


def _members(entries: dict[Key, list[tuple[Row, Batch]]]) -> int:
    return max(row.n_members for rows in entries.values() for row, _ in rows)


def _usual(entries: dict[Key, list[tuple[Row, Batch]]]) -> Images:
    """The images that most entries stand on; where there are as many, those that a stored one stands on."""
    votes: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    for rows in entries.values():
        for cell, digest in _images(rows).items():
            found = votes.setdefault(cell, {})
            one, stored = found.get(digest, (0, 0))
            found[digest] = (one + 1, stored + (not all(batch.own for _, batch in rows)))
    return {cell: max(sorted(found), key=found.__getitem__) for cell, found in votes.items()}


def _group(entries: dict[Key, list[tuple[Row, Batch]]], full: int, metrics: int | None) -> Group:
    images = _usual(entries)
    cells: dict[Cell, dict[str, Row]] = {}
    rows = [row for pairs in entries.values() for row, _ in pairs]
    rates = _rates(rows)
    for key, pairs in entries.items():
        for row, _ in pairs:
            where = (key, row.target, row.attack, row.nonmember_set)
            for rate in (rates or (None,)) if row.metric == AUROC else (row.fpr_nominal,):
                cells.setdefault((*where, rate), {})[row.threshold_kind or AUROC] = row
    lines = {cell: Line(*cell, found, _same(found, images)) for cell, found in cells.items()}
    main = main_scores(rows)
    limits = {batch.limit for pairs in entries.values() for _, batch in pairs} - {None}
    members = _members(entries)
    return Group(
        task=rows[0].task,
        version=rows[0].task_version,
        metrics=metrics,
        attacked=rows[0].attacked,
        metric=next((row.metric for row in rows if row.primary), rows[0].metric),
        entries=tuple(
            _entry(key, pairs, not main or (key[0], key[1], key[3]) in main) for key, pairs in sorted(entries.items())
        ),
        lines=tuple(line for _, line in sorted(lines.items(), key=lambda item: _place_of(item[0]))),
        targets=_in_order(row.target for row in rows),
        attacks=tuple(clean_first(row.attack for row in rows)),
        sets=tuple(sorted(_in_order(row.nonmember_set for row in rows), key=lambda name: name != POOLED)),
        rates=rates,
        limit=max(limits) if limits else members if members < full else None,  # type: ignore[type-var]
        by_cell=lines,
    )


def _entry(key: Key, pairs: list[tuple[Row, Batch]], main: bool) -> Entry:
    batch, submissions = origin(pairs)
    return Entry(key, pairs[-1][0], batch, tuple(submissions), main)


def _place_of(cell: Cell) -> tuple[Key, str, bool, str, bool, str, float]:
    """Clean images and pooled sets first."""
    key, target, attack, nonmember_set, rate = cell
    return key, target, attack != CLEAN, attack, nonmember_set != POOLED, nonmember_set, rate or 0.0


def _rates(rows: Iterable[Row]) -> tuple[float, ...]:
    """The nominal rates, the smallest first, but those that no pooled set has a number for last."""
    known = [row for row in rows if row.fpr_nominal is not None]
    usable = {row.fpr_nominal for row in known if row.nonmember_set == POOLED and row.value is not None}
    return tuple(sorted({row.fpr_nominal or 0.0 for row in known}, key=lambda rate: (rate not in usable, rate)))


def _same(rows: dict[str, Row], images: Images) -> bool:
    return all(images[row.target, row.nonmember_set] == row.images_fingerprint for row in rows.values())


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(dict.fromkeys(names)))
