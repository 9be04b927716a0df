"""Scores of known images that `trace` compares with: planned, and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from iarbench.detector import tells_siblings
from iarbench.errors import UserError
from iarbench.harness.plan import Plan, Settings, make_plan
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.models.weights import encoders
from iarbench.results.rows import CLEAN
from iarbench.results.scores import load_scores
from iarbench.task import Task


@dataclass(frozen=True, slots=True)
class KnownScores:
    """Scores (n,) by one target: of non-members by the sets that `pooled` is made of (all other generators are one) and
    by source, and of its own images, and those of siblings that it cannot be told from, by source.
    """

    sets: Mapping[str, np.ndarray]
    sources: Mapping[str, np.ndarray]
    members: Mapping[str, np.ndarray]


def plan_known(
    task: Task, target: str, encoder: str | None, images: ImageSet, settings: Settings, members: bool
) -> Plan:
    """What has to be scored for one target of the task: non-members of all splits and, for `members`, its own images of
    the split `member_split`.

    Raises:
        UserError: there are no non-members.
    """
    known = encoders(variants.get(target), settings.weights_dir)
    chosen = encoder or ("inverse" if "inverse" in known else "original")
    one = task.narrowed(targets=[target], encoders=[chosen], attacks=[CLEAN])
    plan = make_plan(one, images, task.spec.images, replace(settings, limit=None))
    others = tuple(job for job in plan.jobs if job.chunk.source != target)
    if not others:
        raise UserError(f"{task.spec.images} holds no non-members for {target}; see `iarbench images info`")
    own = tuple(job for job in plan.jobs if job.chunk.source == target and job.attack == CLEAN)  # not mirrored ones
    return replace(plan, jobs=(*others, *own) if members else others)


def read_known(plan: Plan, cache: Path) -> KnownScores:
    """The first score of the detector for all images of a plan whose parts are stored."""
    scores = load_scores(cache, [part.path for part in plan.parts])
    first = scores[scores["score_name"] == scores["score_name"].iloc[0]]
    joined = first.merge(plan.index[["image_id", "source"]], on="image_id")
    by_source = {str(source): rows.to_numpy() for source, rows in joined.groupby("source", sort=True)["score"]}
    tells = tells_siblings(plan.jobs[0].cells[0].detector.kind)
    target, task = plan.task.spec.targets[0], plan.task.result_task()
    sets = task.nonmember_sets(target, tells_siblings=tells)
    named = {name: sources for name in task.pools(target, tells_siblings=tells) for sources in sets[name]}
    pooled = {name: [by_source[one] for one in sources if one in by_source] for name, sources in named.items()}
    own = [target] if tells else [target, *plan.task.siblings.get(target, ())]
    return KnownScores(
        sets={name: np.concatenate(values) for name, values in pooled.items() if values},
        sources={one: by_source[one] for sources in named.values() for one in sources if one in by_source},
        members={one: by_source[one] for one in own if one in by_source},
    )
