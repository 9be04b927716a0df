"""What of a task an image set can answer: sets without images are left out, and said to be, before scoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from iarbench.errors import UserError
from iarbench.images.image_set import ImageSet
from iarbench.results.rows import POOLED
from iarbench.task import Task

USUAL_RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
"""False-positive rates that people report; one of them is added where no rate of the task can be promised."""

Counts = Mapping[tuple[str, str], int]
"""(source, split) -> images."""


def leave_out_missing(task: Task, images: ImageSet, limit: int | None = None) -> tuple[Task, list[str]]:
    """The task without what `images` has no images for, and a line for each thing that is left out.

    A target needs members, a generator among the non-members test and calibration images; a set of real images without
    calibration images stays, but outside `pooled`. Where so few calibration images are there that no rate of the task
    can be promised, the smallest usual one that can is added. `limit`: at most so many images of each source and split.

    Raises:
        UserError: no target has members, or one has no non-members.
    """
    counts = {key: min(n, limit or n) for key, n in images.counts().items()}
    counts = {key: min(n, task.at_most("", key[0]) or n) for key, n in counts.items()}  # as non-members
    spec, name = task.spec, task.spec.images
    targets = [target for target in spec.targets if (target, spec.member_split) in counts]
    if not targets:
        needed = f"images of {', '.join(spec.targets)} in split {spec.member_split!r}"
        raise UserError(f"{name} has no members for task {spec.name}: it needs {needed}; {_what_there_is(counts)}")
    both = (spec.nonmember_split, spec.calibration_split)
    lacking = {
        source: [split for split in dict.fromkeys(both) if (source, split) not in counts]
        for source in (*spec.real, *(g for g in task.generators if set(targets) != {g}))
    }
    real = [source for source in spec.real if spec.nonmember_split not in lacking[source]]
    generators = [source for source in task.generators if not lacking.get(source)]
    pooled = [source for source in spec.pooled or spec.real if not lacking[source]]
    if not pooled and all(set(generators) <= {target} for target in targets):
        pooled = real
    siblings = {one: tuple(o for o in others if o in generators) for one, others in task.siblings.items()}
    kept = replace(
        task,
        spec=spec.model_copy(update={"targets": tuple(targets), "real": tuple(real), "pooled": tuple(pooled)}),
        generators=tuple(generators),
        siblings={one: others for one, others in siblings.items() if others},
    )
    for target in targets:
        if not kept.nonmembers(target):
            known = ", ".join(sorted(task.nonmembers(target)))
            raise UserError(
                f"{name} has no non-members for {target}: it needs some of {known}; {_what_there_is(counts)}"
            )
    notes = [
        f"{name} has no images of {target}: it is no target here" for target in spec.targets if target not in targets
    ]
    notes += _notes(name, lacking, real)
    return _with_a_possible_rate(kept, counts, notes)


def _notes(name: str, lacking: Mapping[str, list[str]], real: list[str]) -> list[str]:
    """One line for all sources that lack the same."""
    notes = []
    for splits in dict.fromkeys(tuple(splits) for splits in lacking.values() if splits):
        sources = [source for source, missing in lacking.items() if tuple(missing) == splits]
        for kept in (True, False):
            if named := [source for source in sources if (source in real) == kept]:
                effect = "only AUROC and the oracle threshold" if kept else "no results"
                notes.append(
                    f"{name} has no {' and no '.join(splits)} images of {', '.join(named)}: {effect} against them"
                )
    return notes


def _with_a_possible_rate(task: Task, counts: Counts, notes: list[str]) -> tuple[Task, list[str]]:
    spec, results = task.spec, task.result_task()
    smallest = 0.0
    for target in spec.targets:
        parts = results.nonmember_sets(target).get(POOLED, ())
        sizes = [sum(counts.get((source, spec.calibration_split), 0) for source in part) for part in parts]
        if sizes and all(sizes):
            smallest = max(smallest, sum(1 / (size + 1) for size in sizes) / len(sizes))
    if smallest <= max(spec.fpr):
        return task, notes
    rate = next(rate for rate in USUAL_RATES if rate >= smallest)
    least = f"{100 * smallest:.2g} %"
    notes.append(f"so few calibration images allow no FPR below {least}: results are at {100 * rate:g} % as well")
    return replace(task, spec=spec.model_copy(update={"fpr": (*spec.fpr, rate)})), notes


def _what_there_is(counts: Counts) -> str:
    return f"it has: {', '.join(f'{source}/{split} ({count})' for (source, split), count in sorted(counts.items()))}"
