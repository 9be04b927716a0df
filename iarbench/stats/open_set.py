"""Naming a generator or none: one conformal threshold on the highest standardised score, and rates with intervals.

An image is named when the highest of its standardised scores over all targets exceeds one threshold, in the manner of
Westfall and Young (1993): the threshold is set on that maximum itself, so it pays for the number of targets exactly as
far as their scores differ. Calibration images form sets (photographs, other generators' images); the maximum of an
image that one of the targets made is over the targets of other families, which are the ones that did not make it.
"None of them made it" is a composite hypothesis, so the p-value of a maximum is its largest over the sets, and the
threshold the largest of theirs: for an image exchangeable with one of the sets P(named) <= the nominal rate.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from iarbench.stats.intervals import DRAWS, bootstrap, clopper_pearson, percentiles, variance_of_mean
from iarbench.stats.metrics import Estimate
from iarbench.stats.thresholds import (
    FloatArray,
    Scores,
    cut,
    p_values,
    refusal,
    smallest_fpr,
    threshold,
)

Maxima = Mapping[str, FloatArray]
"""Source of images -> the highest standardised score (n,) of each of its images."""


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A part of a rate: `weight` times the mean over the images of `source` of what each counts, (n,) in [0, 1]:
    `named` when it is named, `none` when it is not. The weights of a rate's terms sum to 1.
    """

    weight: float
    source: str
    named: FloatArray
    none: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Rates at one threshold, by names of any kind. `maxima`: of the test images; `calibration`: set -> maxima of its
    images by source; `fpr`: the nominal rate of naming an image that no target made, None to name every image."""

    rates: Mapping[Any, Sequence[Term]]
    maxima: Maxima
    calibration: Mapping[str, Maxima]
    fpr: float | None


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """A term at the threshold: what each image counts."""

    weight: float
    values: FloatArray
    sample: Scores


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The threshold and the rates, or the `reason` there are none."""

    threshold: float | None = None
    reason: str | None = None
    counted: Mapping[Any, Sequence[_Counted]] = field(default_factory=dict)
    draws: Mapping[Any, FloatArray] = field(default_factory=dict)

    def rate(self, name: Hashable) -> Estimate:
        """A rate with its 95% interval, at each end the wider of two: exact, and the bootstrap's."""
        return _estimate(self.counted[name], self.draws[name])


def mean_rate(answers: Sequence[Answer], names: Sequence[Hashable]) -> Estimate:
    """The mean of one rate of each answer, all of one call of `answer`, with its interval."""
    parts = [
        _Counted(part.weight / len(answers), part.values, part.sample)
        for one, name in zip(answers, names, strict=True)
        for part in one.counted[name]
    ]
    return _estimate(parts, np.mean([one.draws[name] for one, name in zip(answers, names, strict=True)], axis=0))


def max_threshold(calibration: Mapping[str, Maxima], fpr: float) -> float:
    """The largest over the sets of their conformal thresholds; an image is named when its maximum is above it.

    Raises:
        ScoreError: a set is too small for the rate.
    """
    return max(threshold(Scores.of(_joined(maxima)), fpr) for maxima in calibration.values())


def max_p_values(maxima: FloatArray, calibration: Mapping[str, Maxima]) -> FloatArray:
    """Conformal p-value of "no target made it" for each maximum (m,): the largest over the sets, in (0, 1]."""
    return np.asarray(np.max([p_values(maxima, Scores.of(_joined(one))) for one in calibration.values()], axis=0))


def answer(
    questions: Sequence[Question],
    test: Mapping[str, Scores],
    calibration: Mapping[str, Scores],
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> list[Answer]:
    """Answer all questions on the same resamples of the same images.

    `test`, `calibration`: source -> its images as one set, whose groups are drawn as wholes and whose scores are not
    looked at. The bootstrap draws test and calibration images anew and sets each threshold again; the standardisation,
    which hangs on a median and a quantile of all calibration images, it keeps. Seeded by source: the same images give
    the same interval whatever else is asked.
    """
    reasons = [_refusal(question) for question in questions]
    asked = [question for question, reason in zip(questions, reasons, strict=True) if reason is None]
    if not asked:
        return [Answer(reason=reason) for reason in reasons]
    named = {f"test/{key}": sample for key, sample in test.items()}
    named |= {f"calibration/{key}": sample for key, sample in calibration.items()}

    def statistic(weights: Mapping[str, FloatArray]) -> FloatArray:
        return np.concatenate([_resampled(question, weights) for question in asked], axis=1)

    resampled = bootstrap(named, statistic, seed, draws)
    answers: list[Answer] = []
    start = 0
    for question, reason in zip(questions, reasons, strict=True):
        if reason is not None:
            answers.append(Answer(reason=reason))
            continue
        columns = resampled[:, start : start + len(question.rates)]
        start += len(question.rates)
        at = None if question.fpr is None else max_threshold(question.calibration, question.fpr)
        counted = {name: [_count(term, question, at, test) for term in terms] for name, terms in question.rates.items()}
        answers.append(Answer(at, None, counted, dict(zip(question.rates, columns.T, strict=True))))
    return answers


def _refusal(question: Question) -> str | None:
    if question.fpr is None:
        return None
    if not question.calibration:
        return "no calibration images of none of the targets"
    reasons = (refusal(Scores.of(_joined(maxima)), question.fpr) for maxima in question.calibration.values())
    return next((reason for reason in reasons if reason), None)


def _count(term: Term, question: Question, at: float | None, test: Mapping[str, Scores]) -> _Counted:
    above = question.maxima[term.source] > (-np.inf if at is None else at)
    return _Counted(term.weight, np.where(above, term.named, term.none), test[term.source])


def _estimate(parts: Sequence[_Counted], draws: FloatArray) -> Estimate:
    value = sum(part.weight * float(np.mean(part.values)) for part in parts)
    value, draws = min(max(value, 0.0), 1.0), np.clip(draws, 0.0, 1.0)  # sums of weights round
    size = _effective_size(parts, value)
    exact, resampled = clopper_pearson(value * size, size), percentiles(draws)
    return Estimate(value, min(value, exact[0], resampled[0]), max(value, exact[1], resampled[1]))


def _effective_size(parts: Sequence[_Counted], value: float) -> float:
    """Independent images that a weighted mean is worth (Korn and Graubard 1998), see `intervals.proportion`."""
    variance = sum(part.weight**2 * variance_of_mean(part.values, part.sample) for part in parts)
    if variance > 0:
        kish = 1 / sum(part.weight**2 / len(part.values) for part in parts)
        return min(value * (1 - value) / variance + 1, kish)
    return 1 / sum(part.weight**2 * _squares(part.sample) for part in parts)


def _squares(sample: Scores) -> float:
    shares = np.bincount(sample.groups) / len(sample)
    return float(shares @ shares)


def _resampled(question: Question, weights: Mapping[str, FloatArray]) -> FloatArray:
    """Every rate (b, rates) in every resample."""
    at = None if question.fpr is None else _resampled_thresholds(question, question.fpr, weights)
    rates = np.zeros((len(next(iter(weights.values()))), len(question.rates)))
    for source, terms in _by_source(question).items():
        mass = weights[f"test/{source}"]
        above = mass if at is None else np.where(question.maxima[source] > at[:, None], mass, 0.0)
        named, none = (np.stack([getattr(t, side) for _, t in terms], axis=1) for side in ("named", "none"))
        found = above @ named + (mass - above) @ none
        for place, (column, term) in enumerate(terms):
            rates[:, column] += term.weight * found[:, place]
    return rates


def _by_source(question: Question) -> dict[str, list[tuple[int, Term]]]:
    found: dict[str, list[tuple[int, Term]]] = {}
    for column, terms in enumerate(question.rates.values()):
        for term in terms:
            found.setdefault(term.source, []).append((column, term))
    return found


def _resampled_thresholds(question: Question, fpr: float, weights: Mapping[str, FloatArray]) -> FloatArray:
    """(b,) the threshold in every resample."""
    found = []
    for maxima in question.calibration.values():
        values = _joined(maxima)
        order = np.argsort(-values, kind="stable")
        mass = np.concatenate(
            [weights[f"calibration/{key}"] * (len(one) / len(values)) for key, one in maxima.items()], axis=1
        )
        share = len(values) / (len(values) + 1.0)  # the rest is the unseen image's
        tail = smallest_fpr(Scores.of(values)) + np.cumsum(mass[:, order] * share, axis=1)
        found.append(values[order][cut(tail, fpr)])
    return np.asarray(np.max(found, axis=0))


def _joined(maxima: Maxima) -> FloatArray:
    return np.concatenate(list(maxima.values()))
