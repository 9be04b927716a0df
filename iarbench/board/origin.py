"""Where the rows of an entry are from: it may have been submitted, or run, in several parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from iarbench.board.gather import AnyRow, Batch


def origin(pairs: Iterable[tuple[AnyRow, Batch]]) -> tuple[Batch, list[str]]:
    """Of rows and the batches that they came in: the last batch, with the commands of all, and their submissions.

    Where there are both the user's rows and stored ones, this is about the user's.
    """
    pairs = list(pairs)
    last = pairs[-1][1]
    alike = [(row, batch) for row, batch in pairs if batch.own == last.own]
    commands = dict.fromkeys(batch.command for _, batch in alike if batch.command)
    submissions = dict.fromkeys(row.submission for row, _ in alike if row.submission)
    batch = replace(last, command=" && ".join(commands)) if len(commands) > 1 else last
    return batch, list(submissions)
