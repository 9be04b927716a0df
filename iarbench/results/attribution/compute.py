"""From per-image scores to attribution rows: who made an image, or none of them, with intervals and chance levels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from iarbench import __version__
from iarbench.progress import counted
from iarbench.results.attribution.cell import Standard
from iarbench.results.attribution.cells import ManyTargets, cells_of
from iarbench.results.attribution.rows import (
    BALANCED,
    CLOSED,
    EVERY,
    LEFT_OUT,
    MAP,
    NAMED,
    NONE,
    OPEN,
    RANK1,
    AttributionRow,
)
from iarbench.results.attribution.settings import LEVELS, Key, Setting
from iarbench.results.attribution.task import AttributionTask
from iarbench.results.image_index import Role
from iarbench.results.quality import left_by_attack
from iarbench.results.rows import CLEAN
from iarbench.stats.intervals import seed_of
from iarbench.stats.metrics import Estimate
from iarbench.stats.open_set import Answer, Question, answer, mean_rate
from iarbench.stats.ranking import chance_map
from iarbench.stats.retrieval import chance_rank1
from iarbench.stats.thresholds import ScoreError, Scores

Values = dict[str, Any]
"""Fields of a row, before they are one."""


def compute_rows(scores: pd.DataFrame, images: pd.DataFrame, task: AttributionTask) -> list[AttributionRow]:
    """Every row that the scores allow; what cannot be had is a row with value None and its `reason`.

    `scores`, `images`: as `load_scores` and `load_index` return them.

    Raises:
        UserError: an image that a row needs has no score (the run is not finished) or has two, or one unit is in both
            the calibration and the test split.
    """
    return [
        row
        for many in cells_of(scores, images, task)
        for attack in counted(many.frames, "computing results", len(many.frames), "attacks")
        for row in _Attacked(many, attack).rows()
    ]


class _Attacked:
    """One score of one detector under one attack."""

    def __init__(self, many: ManyTargets, attack: str) -> None:
        self.many, self.attack, self.task, self.index = many, attack, many.task, many.index
        part = many.frames[attack]
        self.base: Values = dict(many.identity) | {
            "task": self.task.name,
            "task_version": self.task.version,
            "main": many.main,
            "fitted": many.fitted,
            "attack": attack,
            "attack_version": int(part["attack_version"].iloc[0]),
            "seconds_per_image": many.seconds(attack),
            "iarbench_version": __version__,
        }
        self.base |= left_by_attack(part, part["image_id"])

    def rows(self) -> Iterator[AttributionRow]:
        if lacking := self.many.lacking:
            yield self._refused(f"no score of this name for {', '.join(lacking)}")
            return
        try:
            yield from self._rows()
        except ScoreError as error:
            yield self._refused(str(error))

    def _rows(self) -> Iterator[AttributionRow]:
        cell = self.many.cell(self.attack)
        references = {"matched": cell}
        if self.attack != CLEAN and CLEAN in self.many.frames:
            references["transfer"] = self.many.cell(CLEAN)
        families = [name for name in self.task.known_families() if len(self.task.known_families()) > 1]
        settings = {
            (kind, left_out): Setting(Standard(cell, reference, left_out))
            for kind, reference in references.items()
            for left_out in (None, *families)
        }
        questions: dict[tuple[str, str | None, float | None], Question] = {}
        for (kind, left_out), setting in settings.items():
            if left_out is None:
                questions[kind, None, None] = setting.question(setting.closed(), None)
            rates = setting.opened() if left_out is None else self._left_out_rates(setting, left_out)
            questions |= {(kind, left_out, rate): setting.question(rates, rate) for rate in self.task.fprs}
        answers = dict(zip(questions, self._answer(list(questions.values())), strict=True))
        for (kind, left_out, fpr), found in answers.items():
            setting = settings[kind, left_out]
            name = CLOSED if fpr is None else OPEN if left_out is None else LEFT_OUT
            base = {"threshold_kind": kind, "left_out": left_out, "fpr_nominal": fpr, "setting": name}
            yield from self._answer_rows(base, setting, questions[kind, left_out, fpr], found)
        for kind, rate in product(references, self.task.fprs):
            left = {family: answers[kind, family, rate] for family in families}
            if left and all(found.reason is None for found in left.values()):
                yield from self._mean_rows(kind, rate, left, settings[kind, None])

    def _left_out_rates(self, setting: Setting, left_out: str) -> dict[Key, Any]:
        balanced = {key: terms for key, terms in setting.opened().items() if key[0] == BALANCED}
        return balanced | {(NAMED, None, left_out): setting.unknown_named()}

    def _answer(self, questions: Sequence[Question]) -> list[Answer]:
        seed = seed_of(*(self.base[key] for key in ("task", "detector", "score_name", "encoder", "attack")))
        task = self.task
        sources = (*task.targets, *task.real, *task.unknown())
        test = {source: self._sample(source, task.test_split) for source in sources}
        calibration = {source: self._sample(source, task.calibration_split) for source in (*task.targets, *task.pooled)}
        return answer(
            questions,
            {source: sample for source, sample in test.items() if len(sample)},
            {source: sample for source, sample in calibration.items() if len(sample)},
            seed=seed,
        )

    def _sample(self, source: str, split: str) -> Scores:
        places = self.index.part((source,), split, ())
        return Scores.of(np.zeros(len(places)), self.index.units(places))

    def _answer_rows(
        self, base: Values, setting: Setting, question: Question, found: Answer
    ) -> Iterator[AttributionRow]:
        for key, terms in question.rates.items():
            metric, level, subject = key
            values = base | {"metric": metric, "level": level, "subject": subject, "threshold": found.threshold}
            values |= self._about(setting, [term.source for term in terms])
            if found.reason is not None:
                yield self._row(values | {"reason": found.reason})
                continue
            if metric == BALANCED and level and found.threshold is not None:
                values["predicted"] = (*setting.classes[level], NONE)
                values["confusion"] = setting.confusion(level, found.threshold)
            yield self._row(values | _chance(metric, level, setting), found.rate(key))

    def _mean_rows(self, kind: str, fpr: float, left: dict[str, Answer], whole: Setting) -> Iterator[AttributionRow]:
        """Means over the families that were left out in turn."""
        keys: list[tuple[str, str | None]] = [(BALANCED, level) for level in LEVELS]
        for metric, level in [*keys, (NAMED, None)]:
            names = [(metric, level, family if metric == NAMED else EVERY) for family in left]
            if not all(name in one.counted for name, one in zip(names, left.values(), strict=True)):
                continue
            values: Values = {"threshold_kind": kind, "left_out": None, "fpr_nominal": fpr, "setting": LEFT_OUT}
            sources = self.task.targets if metric == NAMED else whole.sources
            values |= {"metric": metric, "level": level, "subject": EVERY} | self._about(whole, sources)
            yield self._row(values, mean_rate(list(left.values()), names))

    def _about(self, setting: Setting, sources: Sequence[str]) -> Values:
        """The images that a number stands on."""
        task, known = self.task, setting.standard.targets
        test = Role(tuple((source,) for source in dict.fromkeys(sources)), task.test_split)
        calibration = Role(tuple((source,) for source in (*task.pooled, *known)), task.calibration_split)
        weights = dict(zip(task.targets, self.many.weights, strict=True))
        return {
            "targets": known,
            "target_weights": tuple(weights[name] for name in known),
            "n_images": self.index.count(test),
            "n_groups": self.index.count_groups(test),
            "n_calibration": self.index.count(calibration),
            "images_fingerprint": self.index.fingerprint(test, calibration),
        }

    def _refused(self, reason: str) -> AttributionRow:
        """The one row of a score that attributes nothing."""
        values: Values = {"setting": OPEN, "metric": BALANCED, "level": "model", "subject": EVERY, "reason": reason}
        values |= {"threshold_kind": "matched", "fpr_nominal": self.task.fprs[0], "targets": self.task.targets}
        counts = {"n_images": 0, "n_groups": 0, "n_calibration": 0, "images_fingerprint": ""}
        return self._row(values | counts | {"target_weights": self.many.weights})

    def _row(self, values: Values, estimate: Estimate | None = None) -> AttributionRow:
        if estimate is not None:
            values = values | {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        headline = values["metric"] == BALANCED and values["level"] == "model" and values["setting"] == OPEN
        first = values["threshold_kind"] == "matched" and values["fpr_nominal"] == self.task.fprs[0]
        return AttributionRow(**self.base, **values, primary=headline and first and self.many.main)


def _chance(metric: str, level: str | None, setting: Setting) -> Values:
    if level is None:
        return {}
    classes = len(setting.classes[level])
    known = {RANK1: chance_rank1(classes), MAP: chance_map(classes), BALANCED: 1 / (classes + 1)}
    return {"chance": known[metric]} if metric in known else {}
