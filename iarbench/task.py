"""Task: a specification, narrowed by the command line, and which images play a part in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from iarbench import content
from iarbench.alignment import with_align
from iarbench.attack import parse
from iarbench.models import variants
from iarbench.results.rows import CLEAN, mirrored
from iarbench.specs import TaskRecord, TaskSpec, check_task, parse_task, read_text

if TYPE_CHECKING:
    from iarbench.results.attribution.task import AttributionTask
    from iarbench.results.image_index import Most
    from iarbench.results.result_task import ResultTask


@dataclass(frozen=True)
class Task:
    """What a run works on. `text`: the YAML as written; `spec`: what the command line made of it."""

    spec: TaskSpec
    text: str
    generators: tuple[str, ...]
    """Every generator of the task, under test in this run or not: their images are non-members for each other."""
    siblings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Generator -> others of the task with the same tokenizer, whom no score of a tokenizer can tell from it."""
    families: Mapping[str, str] = field(default_factory=dict)
    """Generator -> name of the family that those with its tokenizer form: their common one where no others have it."""

    @classmethod
    def load(cls, name: str) -> Self:
        """A packaged task by name, or one of the user's by path. Raises UserError."""
        path = content.task_path(name)
        text = read_text(path)
        spec = _each_once(_pinned(parse_task(text, str(path))))
        siblings = _siblings(spec.targets)
        return cls(spec, text, spec.targets, siblings, _families(spec.targets, siblings))

    @property
    def sha256(self) -> str:
        """Of the YAML as written."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def narrowed(self, **changes: Sequence[str] | Sequence[float] | str | None) -> Self:
        """The task with some keys replaced; None and empty lists leave a key as it is.

        Raises:
            UserError: a value that the key does not allow.
        """
        given = {key: value for key, value in changes.items() if value}
        spec = _each_once(_pinned(check_task(self.spec.model_dump() | given, "command line")))
        generators = tuple(dict.fromkeys((*self.generators, *spec.targets)))
        siblings = _siblings(generators)
        families = _families(generators, siblings)
        return replace(self, spec=spec, generators=generators, siblings=siblings, families=families)

    def aligned(self, align: str | None) -> Self:
        """The task with images aligned before its detectors score them; None changes nothing.

        Raises:
            UserError: its detectors are `all`.
        """
        if align is None:
            return self
        return self.narrowed(detectors=[with_align(name, align) for name in self.spec.detectors])

    def attacks_for(self, names: Sequence[str]) -> list[str]:
        """Attacks to score: where only one side is attacked, the other's clean scores are needed as well, and where the
        task asks for the set `mirrored`, those of mirrored images."""
        wanted = list(dict.fromkeys(names))
        if self.spec.attacked != "both" and CLEAN not in wanted:
            wanted = [CLEAN, *wanted]
        if not self.spec.mirrored:
            return wanted
        others = [CLEAN] if self.spec.attacked == "members" else wanted
        return list(dict.fromkeys([*wanted, *map(mirrored, others)]))

    def needs(self, target: str, source: str, split: str, attack: str) -> bool:
        """Whether images of this source and split under this attack say anything about the target."""
        spec, asked = self.spec, self._asked
        others = split in (spec.nonmember_split, spec.calibration_split)
        if spec.mirrored and source == target and others and attack in map(mirrored, asked):
            return True
        if attack not in asked:
            return False
        member = source == target and split == spec.member_split
        nonmember = source in self.nonmembers(target) and others
        if attack == CLEAN or spec.attacked == "both":
            return member or nonmember
        return member if spec.attacked == "members" else nonmember

    def at_most(self, target: str, source: str) -> int | None:
        """How many images of a source take part for a target in each split, the first by id; None: all of them."""
        first = self.spec.first
        if first is None:
            return None
        return first.members if source == target else first.real if source in self.spec.real else first.others

    @cached_property
    def _asked(self) -> frozenset[str]:
        """Names of the attacks that rows are about, and of none."""
        return frozenset({CLEAN, *(parse(name).name for name in self.spec.attacks)})

    def result_task(self) -> ResultTask:
        """What the rows of a provenance task need to know."""
        from iarbench.results.result_task import ResultTask

        spec = self.spec
        return ResultTask(
            name=spec.name,
            version=spec.version,
            targets=spec.targets,
            generators=self.generators,
            real_sets={source: (source,) for source in spec.real},
            pooled=spec.pooled,
            mirrored=spec.mirrored,
            attacks=tuple(sorted(self._asked)),
            siblings=self.siblings,
            most=self._most(),
            fprs=spec.fpr,
            primary=spec.primary,
            attacked=spec.attacked,
            member_split=spec.member_split,
            nonmember_split=spec.nonmember_split,
            calibration_split=spec.calibration_split,
        )

    def attribution_task(self) -> AttributionTask:
        """What `iarbench.results.attribution` needs to know."""
        from iarbench.results.attribution.task import AttributionTask

        spec = self.spec
        return AttributionTask(
            name=spec.name,
            version=spec.version,
            targets=spec.targets,
            generators=self.generators,
            real=spec.real,
            pooled=spec.real if spec.pooled is None else spec.pooled,
            families=self.families,
            fprs=spec.fpr,
            test_split=spec.member_split,
            calibration_split=spec.calibration_split,
        )

    def record(self) -> TaskRecord:
        """For the manifest; `Task.restore` reads it back."""
        return TaskRecord(
            name=self.spec.name,
            version=self.spec.version,
            sha256=self.sha256,
            text=self.text,
            generators=self.generators,
            siblings=dict(self.siblings),
            families=dict(self.families),
            effective=self.spec,
        )

    @classmethod
    def restore(cls, record: TaskRecord) -> Self:
        """The task of a manifest."""
        return cls(record.effective, record.text, record.generators, record.siblings, record.families)

    def _most(self) -> dict[str, Most]:
        """`at_most` of every source for every target; {} where all images take part."""
        if self.spec.first is None:
            return {}
        sources = dict.fromkeys((*self.spec.real, *self.generators, *self.spec.targets))
        return {
            target: tuple((source, most) for source in sources if (most := self.at_most(target, source)) is not None)
            for target in self.spec.targets
        }

    def nonmembers(self, target: str) -> set[str]:
        """Sources whose images the target did not make."""
        return {*self.spec.real, *self.generators} - {target}


def _each_once(spec: TaskSpec) -> TaskSpec:
    """The task with every name once."""
    lists = ("targets", "attacks", "detectors", "encoders", "fpr")
    return spec.model_copy(update={name: tuple(dict.fromkeys(getattr(spec, name))) for name in lists})


def _pinned(spec: TaskSpec) -> TaskSpec:
    """Targets from the Hub under their names with the commit."""
    return spec.model_copy(update={"targets": tuple(map(variants.pinned, spec.targets))})


def _siblings(generators: Sequence[str]) -> dict[str, tuple[str, ...]]:
    # A name nobody knows is reported where its weights are looked for.
    known = {name: variants.get(name).shares_tokenizer_with for name in generators if name in variants.names()}
    shared = {  # one of the two may know nothing of the other, which somebody has published
        name: tuple(other for other in generators if other in known.get(name, ()) or name in known.get(other, ()))
        for name in known
    }
    return {name: others for name, others in shared.items() if others}


def _families(generators: Sequence[str], siblings: Mapping[str, Sequence[str]]) -> dict[str, str]:
    groups = dict.fromkeys(tuple(sorted({name, *siblings.get(name, ())})) for name in generators)
    known = set(variants.names())
    names = {group: variants.get(group[0]).family if group[0] in known else group[0] for group in groups}
    shared = {name for name in names.values() if list(names.values()).count(name) > 1}
    return {one: group[0] if names[group] in shared else names[group] for group in groups for one in group}
