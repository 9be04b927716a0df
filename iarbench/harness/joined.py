"""Small jobs that share their batches: on a CPU a batch of few images is filled up, and costs as much as a full one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from iarbench.harness.plan import Cell, Job

MOST = 64
"""Images of jobs that share batches: what a killed run loses, and what one thread does in one go."""


def joined(jobs: Iterable[Job], piece: int, threads: int) -> list[list[Job]]:
    """The jobs, those together that ask the same about few images; each of the others alone.

    Args:
        jobs: at one size of images.
        piece: images that fill a batch.
        threads: how many groups are worked off at once; each is to get some.
    """
    jobs = list(jobs)
    most = max(piece, min(MOST, sum(len(job.chunk) for job in jobs) // (2 * threads)))
    groups: list[list[Job]] = []
    open_groups: dict[Hashable, list[Job]] = {}
    for job in jobs:
        same = (job.attack, *map(asks, job.cells))
        group = open_groups.get(same)
        if group is None or images(group) + len(job.chunk) > most:
            groups.append(group := [])
            open_groups[same] = group
        group.append(job)
    return groups


def images(group: Sequence[Job]) -> int:
    """How many images the jobs are about."""
    return sum(len(job.chunk) for job in group)


def asks(cell: Cell) -> Hashable:
    """What a cell asks about any image: cells that ask the same differ in the images alone."""
    return cell.variant.name, cell.seen.name, cell.encoder, cell.detector, cell.fit and cell.fit.key
