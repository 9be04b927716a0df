"""Scores of known images that `trace` compares with: planned, and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from iarbench.detector import tells_siblings
from iarbench.errors import UserError
from iarbench.evidence import NO_ENCODER
from iarbench.harness.choose import Choice
from iarbench.harness.plan import Cell, Plan, Settings
from iarbench.harness.planning import make_plan
from iarbench.harness.store import Chunk, Part, safe
from iarbench.images.compact import plain
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.models.variants import Variant
from iarbench.models.weights import encoders
from iarbench.results.rows import CLEAN
from iarbench.results.scores import load_index, load_scores
from iarbench.results.seal import parts_of
from iarbench.task import Task

if TYPE_CHECKING:
    import pandas as pd


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
    chosen = encoder or _usual_encoder(variants.get(target), settings.weights_dir)
    one = task.narrowed(targets=[target], encoders=[chosen], attacks=[CLEAN])
    plan = make_plan(one, images, task.spec.images, replace(settings, limit=None))
    others = tuple(job for job in plan.jobs if job.chunk.source != target)
    if not others:
        raise UserError(f"{task.spec.images} holds no non-members for {target}; see `iarbench images info`")
    own = tuple(job for job in plan.jobs if job.chunk.source == target and job.attack == CLEAN)  # not mirrored ones
    return replace(plan, jobs=(*others, *own) if members else others)


def bare_cell(detector: Choice, target: str, encoder: str | None, weights_dir: Path | None) -> Cell:
    """A detector at a target, without images. `encoder`: None takes `inverse` where there is one."""
    variant = variants.get(target)
    seen = variants.get(detector.through or target)
    alone = "image" in detector.kind.reads
    chosen = NO_ENCODER if alone else encoder or _usual_encoder(seen, weights_dir)
    return Cell(Part({}, {}, Chunk.of("", "", (), ())), variant, seen, chosen, detector)


def _usual_encoder(variant: Variant, weights_dir: Path | None) -> str:
    return "inverse" if "inverse" in encoders(variant, weights_dir) else "original"


def read_known(plan: Plan, cache: Path) -> KnownScores:
    """The first score of the detector for all images of a plan whose parts are stored."""
    scores = load_scores(cache, [part.path for part in plan.parts])
    first = scores[scores["score_name"] == scores["score_name"].iloc[0]]
    joined = first.merge(plain(plan.index).to_pandas()[["image_id", "source"]], on="image_id")
    return _by_sets(joined, plan.task, plan.task.spec.targets[0], plan.jobs[0].cells[0].detector)


def known_of_run(root: Path, task: Task, target: str, encoder: str, detector: Choice, weights: str) -> KnownScores:
    """The scores of a detector's first name for clean images of a finished run; its images are not needed.

    Raises:
        UserError: the run has none for this target, encoder, version, parameters and weights.
    """
    identity = {"target": target, "encoder": encoder, "attack": CLEAN, "target_weights": weights}
    identity |= {name: detector.identity[name] for name in ("detector", "detector_version", "parameters")}
    parts = [part for part in parts_of(root) if part.startswith(f"scores/{detector.kind.name}/{safe(target)}/")]
    scores = load_scores(root, parts) if parts else None
    if scores is not None:
        for name, value in identity.items():
            scores = scores[scores[name] == value]
    if scores is None or scores.empty:
        raise UserError(
            f"{root}: no scores of {detector.owner} for {target} with the encoder {encoder}, clean images and these "
            "weights; calibrate with an `iarbench run` of the same detector, encoder and version, attack none included"
        )
    joined = scores[scores["score_name"] == scores["main_score"]].merge(
        load_index(root)[["image_id", "source"]], on="image_id"
    )
    return _by_sets(joined, task, target, detector)


def expected_known(plan: Plan) -> KnownScores:
    """As `read_known`, before anything is computed: every score is 0, and only their numbers say something."""
    return _by_sets(
        plain(plan.index).to_pandas().assign(score=0.0),
        plan.task,
        plan.task.spec.targets[0],
        plan.jobs[0].cells[0].detector,
    )


def _by_sets(joined: pd.DataFrame, task: Task, target: str, detector: Choice) -> KnownScores:
    by_source = {str(source): rows.to_numpy() for source, rows in joined.groupby("source", sort=True)["score"]}
    tells = tells_siblings(detector.kind)
    results = task.result_task()
    sets = results.nonmember_sets(target, tells_siblings=tells)
    named = {name: sources for name in results.pools(target, tells_siblings=tells) for sources in sets[name]}
    pooled = {name: [by_source[one] for one in sources if one in by_source] for name, sources in named.items()}
    own = [target] if tells else [target, *task.siblings.get(target, ())]
    return KnownScores(
        sets={name: np.concatenate(values) for name, values in pooled.items() if values},
        sources={one: by_source[one] for sources in named.values() for one in sources if one in by_source},
        members={one: by_source[one] for one in own if one in by_source},
    )
