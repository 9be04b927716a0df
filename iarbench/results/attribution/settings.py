"""The questions of a setting: which images, right answers and rates there are in it, for models and for families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from iarbench.results.attribution.cell import Standard
from iarbench.results.attribution.rows import BALANCED, EVERY, MAP, NAMED, RANK1, RECALL
from iarbench.results.image_index import Sources
from iarbench.stats.open_set import Question, Term
from iarbench.stats.ranking import reciprocal_ranks, top_shares
from iarbench.stats.thresholds import FloatArray

Key = tuple[str, str | None, str]
"""(metric, level, subject) of a rate."""
LEVELS = ("model", "family")


@dataclass(frozen=True, eq=False)
class Setting:
    """What can be asked of standardised scores: the closed set, or the open one at a nominal rate."""

    standard: Standard

    @cached_property
    def classes(self) -> dict[str, dict[str, Sources]]:
        """Level -> class -> the sources of its test images, which count the same."""
        task, left_out = self.standard.cell.task, self.standard.left_out
        return {
            "model": {name: (name,) for name in task.known(left_out)},
            "family": task.known_families(left_out),
        }

    @property
    def unknown(self) -> Sources:
        """Generators whose images no target made."""
        return self.standard.cell.task.unknown(self.standard.left_out)

    @cached_property
    def sources(self) -> Sources:
        """Every source whose test images are looked at."""
        return (*self.standard.targets, *self.standard.cell.task.real, *self.unknown)

    @cached_property
    def tables(self) -> dict[str, dict[str, FloatArray]]:
        """Level -> source -> standardised scores (n, classes) of its test images; a family has its best target's."""
        models = {source: self.standard.standardised(source) for source in self.sources}
        columns = [[self.standard.targets.index(name) for name in names] for names in self.classes["family"].values()]
        families = {
            source: np.stack([table[:, one].max(axis=1) for one in columns], axis=1) for source, table in models.items()
        }
        return {"model": models, "family": families}

    @cached_property
    def maxima(self) -> dict[str, FloatArray]:
        """Source -> the highest standardised score (n,) of its test images."""
        return {source: table.max(axis=1) for source, table in self.tables["model"].items()}

    def closed(self) -> dict[Key, Sequence[Term]]:
        """Rank-1, of each class and of all, and mAP, at both levels."""
        rates: dict[Key, Sequence[Term]] = {}
        for level in LEVELS:
            each = {name: self._terms(level, name, closed=True) for name in self.classes[level]}
            rates[RANK1, level, EVERY] = _mean(list(each.values()))
            rates |= {(RANK1, level, name): terms for name, terms in each.items()}
            rates[MAP, level, EVERY] = _mean([self._reciprocal(level, name) for name in self.classes[level]])
        return rates

    def opened(self) -> dict[Key, Sequence[Term]]:
        """Balanced accuracy and recalls at both levels, and how often images of none are named."""
        rates: dict[Key, Sequence[Term]] = {}
        for level in LEVELS:
            each = {name: self._terms(level, name) for name in self.classes[level]}
            if none := self.none_terms():
                rates[BALANCED, level, EVERY] = _mean([*each.values(), none])
            rates |= {(RECALL, level, name): terms for name, terms in each.items()}
        for source in (*self.standard.cell.task.real, *self.unknown):
            if self._count(source):
                rates[NAMED, None, source] = [self._none_term(source, 1.0, named=1.0)]
        return rates

    def unknown_named(self) -> list[Term]:
        """How often images of unknown generators are named, each generator counting the same."""
        found = [source for source in self.unknown if self._count(source)]
        return [self._none_term(source, 1 / len(found), named=1.0) for source in found]

    def none_terms(self) -> list[Term]:
        """How often images of none are not named: every pooled set of real images counts the same, and all unknown
        generators together as one more."""
        pooled = [source for source in self.standard.cell.task.pooled if self._count(source)]
        unknown = [source for source in self.unknown if self._count(source)]
        parts = len(pooled) + bool(unknown)
        terms = [self._none_term(source, 1 / parts, named=0.0) for source in pooled]
        return terms + [self._none_term(source, 1 / parts / len(unknown), named=0.0) for source in unknown]

    def question(self, rates: Mapping[Key, Sequence[Term]], fpr: float | None) -> Question:
        """The rates as one question."""
        return Question(rates, self.maxima, self.standard.maxima, fpr)

    def confusion(self, level: str, threshold: float) -> dict[str, tuple[float, ...]]:
        """Class or source -> fraction of its test images that got each answer: the classes in order, then none."""
        groups = self.classes[level] | {source: (source,) for source in (*self.standard.cell.task.real, *self.unknown)}
        found = {}
        for name, sources in groups.items():
            rows = [self._answers(level, source, threshold) for source in sources if self._count(source)]
            if rows:
                found[name] = tuple(float(value) for value in np.mean(rows, axis=0))
        return found

    def _answers(self, level: str, source: str, threshold: float) -> FloatArray:
        named = self.maxima[source] > threshold
        shares = top_shares(self.tables[level][source]) * named[:, None]
        return np.append(shares.mean(axis=0), np.mean(~named))

    def _count(self, source: str) -> int:
        return len(self.maxima[source])

    def _terms(self, level: str, name: str, closed: bool = False) -> list[Term]:
        """Images of a class that get its name."""
        sources, column = self.classes[level][name], list(self.classes[level]).index(name)
        terms = []
        for source in sources:
            shares = top_shares(self.tables[level][source])[:, column]
            terms.append(Term(1 / len(sources), source, shares, shares if closed else np.zeros_like(shares)))
        return terms

    def _reciprocal(self, level: str, name: str) -> list[Term]:
        sources, column = self.classes[level][name], list(self.classes[level]).index(name)
        found = {source: reciprocal_ranks(self.tables[level][source], column) for source in sources}
        return [Term(1 / len(sources), source, values, values) for source, values in found.items()]

    def _none_term(self, source: str, weight: float, named: float) -> Term:
        size = self._count(source)
        return Term(weight, source, np.full(size, named), np.full(size, 1 - named))


def _mean(classes: Sequence[Sequence[Term]]) -> list[Term]:
    """The mean over classes of their rates."""
    return [Term(term.weight / len(classes), term.source, term.named, term.none) for terms in classes for term in terms]
